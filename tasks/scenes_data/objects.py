"""The objects of the built-in Scenes: their classes, and samples with boxes and masks."""

from __future__ import annotations

from collections.abc import Sequence

from harness.protocols import DataContext
from harness.sample import Classes, Dataset


def open_scene_objects(context: DataContext, templates: str | Sequence[str]) -> Dataset:
    """Open Scenes with all of its kinds: by default test and novel together."""
    from tasks.datasets.locations import refuse_settings
    from tasks.scenes_data.open import OPEN, OPEN_PARTS, Variant, open_scenes
    from tasks.scenes_data.wording import lexicon_name, lexicon_options

    refuse_settings(context, ("classes", "novel"), "is for folders: the classes of Scenes are fixed")
    options = {**lexicon_options(context), "templates": templates}
    return open_scenes(context, Variant(lexicon_name(options), options, OPEN, OPEN_PARTS))


def scene_object_classes(data: Dataset) -> Classes:
    """The kinds of Scenes' objects, worded by the lexicons and the templates of the data set."""
    from tasks.scenes.factors import KINDS
    from tasks.scenes_data.wording import worded_kinds

    return worded_kinds(data, KINDS)

"""The objects of the built-in Scenes: their classes, and samples with boxes and masks."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import UsageError, nearest
from harness.protocols import DataContext
from harness.sample import Classes, Dataset


def open_scene_objects(context: DataContext, templates: str | Sequence[str]) -> Dataset:
    """Open Scenes with all of its kinds: by default test and novel together."""
    from tasks.datasets.locations import refuse_settings
    from tasks.scenes.class_texts import CLASS_LEXICONS
    from tasks.scenes_data.open import OPEN, OPEN_PARTS, Variant, open_scenes

    refuse_settings(context, ("classes", "novel"), "is for folders: the classes of Scenes are fixed")
    lexicon = context.settings.get("lexicon", "transparent")
    if lexicon not in CLASS_LEXICONS:
        raise UsageError(f"--lexicon {lexicon}: unknown. {nearest(str(lexicon), CLASS_LEXICONS)}")
    options = {"lexicon": lexicon, "templates": templates}
    return open_scenes(context, Variant(f"scenes:{lexicon}", options, OPEN, OPEN_PARTS))


def scene_object_classes(data: Dataset) -> Classes:
    """The kinds of Scenes' objects, worded by the lexicon and the templates of the data set."""
    from tasks.datasets.prompts import fill, read_templates
    from tasks.scenes.class_texts import class_texts
    from tasks.scenes.factors import KINDS
    from tasks.scenes_data.labels import kind_classes

    worded, templates = class_texts(data.options["lexicon"]), read_templates(data.options["templates"])
    return kind_classes(KINDS, [fill(templates, worded[kind.name]) for kind in KINDS])

"""The built-in Scenes world as a data set of the tasks: found by digest in the cache, made where missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.errors import UsageError, nearest
from harness.protocols import NOTICE, DataContext
from harness.sample import Dataset, Sample
from harness.storage.content import Contents
from tasks.formats.coco_captions import read_caption_file
from tasks.formats.coco_layout import SplitFile
from tasks.formats.json_files import read_json
from tasks.scenes import ensure_scenes, recipe_digest, split_names
from tasks.scenes.layout import annotation_file, image_dir
from tasks.scenes_data.files import forget_changed

SUMMARY = "built-in: rendered worlds with known causes, made on first use; splits train, val, test and the shifts"
COCO_SUMMARY = "COCO 2017 or 2014, or any folder in its layout: --data PATH, $BENCH_DATA or ./data/coco"
_TRAINING, _SELECTION = "train", "val"
_SHIFTS = ("style", "ground-swap", "light", "scale", "count", "lexical", "prior-conflict")
OPEN = "open"
"""The split of old and new kinds: test and novel together."""
OPEN_PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType({OPEN: ("test", "novel")})


@dataclass(frozen=True)
class Variant:
    """How a task uses Scenes: under which name, with which options, and which splits it puts together."""

    name: str = "scenes"
    options: Mapping[str, Any] = field(default_factory=dict)
    default_split: str = "test"
    compound: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    training_split: str = _TRAINING

    def parts_of(self, split: str) -> tuple[str, ...]:
        """The generated splits that a split is made of."""
        return self.compound.get(split, (split,))


def scene_shifts(data: Dataset, *, reads_text: bool) -> dict[str, str]:
    """The splits of Scenes on which one thing has changed; other words count where words are read or written."""
    if data.layout != "scenes":
        return {}
    return {name: name for name in _SHIFTS if reads_text or name != "lexical"}


def open_scenes(context: DataContext, variant: Variant | None = None) -> Dataset:
    """Make the splits that a run needs, or find them in the cache."""
    variant = variant or Variant()
    names = (*split_names(), *variant.compound)
    wanted = context.split or variant.default_split
    if wanted not in names:
        raise UsageError(f"Scenes has no split '{wanted}'. {nearest(wanted, names)}")
    needed = dict.fromkeys((_TRAINING, variant.training_split, _SELECTION, *variant.parts_of(wanted)))
    root = _whole_scenes(context, list(needed))
    return Dataset(
        name=variant.name,
        root=root,
        digest=recipe_digest() if not variant.options else scene_text_digest(recipe_digest(), variant.options),
        layout="scenes",
        embedded=True,
        splits=names,
        training_split=variant.training_split,
        selection_split=_SELECTION,
        default_split=variant.default_split,
        options=variant.options,
    )


def _whole_scenes(context: DataContext, splits: list[str]) -> Path:
    """Make the splits that the cache lacks, and those of which a file is not what was made."""

    def tell(name: str, done: int, total: int) -> None:
        context.progress(f"making Scenes, {name}", done, total)

    root = ensure_scenes(context.cache, splits, progress=tell)
    contents = Contents(context.cache, context.progress)
    if changed := forget_changed(root, splits, contents):
        names = ", ".join(changed)
        context.progress(f"Scenes, {names}: files in {root} are not what was made; making them again", 0, NOTICE)
        ensure_scenes(context.cache, splits, progress=tell)
        forget_changed(root, changed, contents)
    return root


def scene_text_digest(base: str, options: Mapping[str, Any]) -> str:
    """Digest a data set's own digest together with the options that decide what its samples are."""
    return hashlib.sha256(f"{base} {json.dumps(options, sort_keys=True)}".encode()).hexdigest()


def read_scene_captions(data: Dataset, split: str) -> Sequence[Sample]:
    """Read a split's captions with the facts and logical forms that its annotations state."""
    from tasks.targets.targets import CaptionTarget

    path = annotation_file(data.root, "captions", split)
    file = SplitFile(split, path, image_dir(data.root, split))
    content = read_json(path)
    facts = {str(image["id"]): image["facts"] for image in content["images"]}
    forms: dict[str, list[Any]] = {}
    for annotation in content["annotations"]:
        forms.setdefault(str(annotation["image_id"]), []).append(annotation["logical_form"])
    return [
        Sample(
            image.image_id,
            image.path,
            CaptionTarget(image.references, {"facts": facts[image.image_id], "forms": forms[image.image_id]}),
        )
        for image in read_caption_file(file).images
    ]

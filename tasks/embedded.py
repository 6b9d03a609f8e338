"""The embedded Scenes world as a data set of the tasks: found by digest in the cache, made where missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import UsageError, nearest
from harness.protocols import DataContext
from harness.sample import Dataset, Sample
from tasks.caption_files import CaptionFile, read_caption_file, read_json
from tasks.scenes import ensure_scenes, recipe_digest, split_names
from tasks.scenes.layout import annotation_file, image_dir

SUMMARY = "embedded: rendered worlds with known causes, made on first use; splits train, val, test and the shifts"
COCO_SUMMARY = "COCO 2017 or 2014, or any folder in its layout: --data PATH, $BENCH_DATA or ./data/coco"
_ALWAYS = ("train", "val")


def open_scenes(context: DataContext) -> Dataset:
    """Make the splits that a run needs, or find them in the cache."""
    wanted = context.split or "test"
    if wanted not in split_names():
        raise UsageError(f"Scenes has no split '{wanted}'. {nearest(wanted, split_names())}")
    needed = dict.fromkeys((*_ALWAYS, wanted))
    root = ensure_scenes(
        context.cache,
        list(needed),
        progress=lambda name, done, total: context.progress(f"making Scenes, {name}", done, total),
    )
    return Dataset(
        name="scenes",
        root=root,
        digest=recipe_digest(),
        layout="scenes",
        splits=split_names(),
        training_split="train",
        selection_split="val",
        default_split="test",
    )


def read_scene_captions(data: Dataset, split: str) -> Sequence[Sample]:
    """Read a split's captions with the facts and logical forms that its annotations state."""
    from tasks.captioning import CaptionTarget

    path = annotation_file(data.root, "captions", split)
    file = CaptionFile(split, path, image_dir(data.root, split))
    forms: dict[str, list[Any]] = {}
    for annotation in read_json(path)["annotations"]:
        forms.setdefault(str(annotation["image_id"]), []).append(annotation["logical_form"])
    return [
        Sample(
            image.image_id,
            image.path,
            CaptionTarget(image.references, {"facts": image.extra["facts"], "forms": forms[image.image_id]}),
        )
        for image in read_caption_file(file)
    ]

"""The task `coco-caption`: describe an image in a sentence, scored by the COCO caption metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.answers import CAPTIONS
from harness.errors import DataError, UsageError, nearest
from harness.protocols import DataContext
from harness.sample import Dataset, Outcome, Prediction, Sample, Target, TaskSpec
from tasks.caption_files import (
    CaptionedImage,
    CaptionFile,
    digest_of,
    find_caption_files,
    read_caption_file,
    read_caption_results,
    read_references,
)

if TYPE_CHECKING:
    from harness.protocols import Scorer

HELD_OUT = "train-held-out"
"""The part of train that selects checkpoints where there is no test split beside val."""


@dataclass(frozen=True)
class CaptionTarget:
    """The reference captions of an image; for Scenes also the facts that its annotation states."""

    references: tuple[str, ...]
    facts: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class CaptionTask:
    """COCO captioning on COCO 2017, COCO 2014, plain caption folders, or the embedded Scenes."""

    name: str = "coco-caption"
    summary: str = "describe an image in a sentence (COCO captions, Flickr-style folders, Scenes)"
    version: int = 1
    metrics: tuple[str, ...] = ("CIDEr", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "SPICE")
    settings: tuple[str, ...] = ()
    learnable_score: float = 3.0

    def open_data(self, context: DataContext) -> Dataset:
        """Take `--data`, else `$BENCH_DATA`, else `./data/coco`, else Scenes; raises DataError."""
        from tasks.embedded import open_scenes

        coco = context.working_directory / "data" / "coco"
        if context.wish == "scenes":
            return open_scenes(context)
        if context.wish == "coco":
            return open_folder(_coco_by_name(context, coco))
        if context.wish is not None:
            return open_folder(Path(context.wish).expanduser())
        if context.environment:
            return open_folder(Path(context.environment).expanduser())
        return open_folder(coco) if coco.is_dir() else open_scenes(context)

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        """Read a split in the order of its file; the sample id is the image id."""
        if data.layout == "scenes":
            from tasks.embedded import read_scene_captions

            return read_scene_captions(data, split)
        files = find_caption_files(data.root)
        if HELD_OUT not in data.splits or split not in (data.training_split, HELD_OUT):
            return [_sample(image) for image in read_caption_file(_split_file(files, split, data))]
        images = read_caption_file(files["train"])
        held_out = held_out_ids([image.image_id for image in images])
        wanted = split == HELD_OUT
        return [_sample(image) for image in images if (image.image_id in held_out) == wanted]

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Hand over the training captions: vocabularies come from them."""
        return TaskSpec(self.name, tuple(sample.target for sample in training), CAPTIONS)

    def ceilings(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """None is known: what people may say of an image is open."""
        return {}

    def validation_score(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
        """CIDEr-D on lower-cased words without punctuation: no Java process in the training loop."""
        from tasks.caption_scoring import quick_cider

        return quick_cider(predictions, [target.references for target in targets])

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """The COCO caption metrics; on Scenes also exact propositions."""
        from tasks.caption_scoring import CaptionTaskScorer

        return CaptionTaskScorer(cache, propositions=data.layout == "scenes")

    def read_predictions(self, path: Path) -> Sequence[Outcome]:
        """Read COCO's results format."""
        return read_caption_results(path)

    def read_references(self, path: Path) -> tuple[Dataset, Sequence[Sample]]:
        """Read a COCO caption file alone; its images are not looked for."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        samples = [Sample(i, Path(), CaptionTarget(texts)) for i, texts in read_references(path).items()]
        return Dataset(path.stem, path.parent, digest, "references", ("all",), "", "", "all"), samples


def open_folder(root: Path) -> Dataset:
    """Open a caption folder on disk; raises DataError when it is in none of the layouts."""
    files = find_caption_files(root)
    has_test = "test" in files
    used = ["train", "val", "test"] if has_test else ["train", "val"]
    return Dataset(
        name=root.resolve().name,
        root=root.resolve(),
        digest=digest_of([files[split] for split in used]),
        layout="coco",
        splits=tuple(used) if has_test else (*used, HELD_OUT),
        training_split="train",
        selection_split="val" if has_test else HELD_OUT,
        default_split="test" if has_test else "val",
    )


def held_out_ids(image_ids: Sequence[str]) -> frozenset[str]:
    """Pick the tenth of train (16 to 500 images, never over half) that selects checkpoints.

    Choosing a checkpoint on val and then reporting val would be selection on the test data.
    """
    count = min(max(16, len(image_ids) // 10), 500, len(image_ids) // 2)
    ordered = sorted(image_ids, key=lambda image_id: hashlib.sha256(image_id.encode()).digest())
    return frozenset(ordered[:count])


def _coco_by_name(context: DataContext, default: Path) -> Path:
    for folder in [Path(context.environment)] if context.environment else [default]:
        if folder.is_dir():
            return folder
    raise DataError(
        f"--data coco: COCO is not here (looked at {context.environment or default}). Put COCO 2017 there, "
        "set BENCH_DATA to its folder, give its path with --data, or take --data scenes, which needs no download."
    )


def _split_file(files: Mapping[str, CaptionFile], split: str, data: Dataset) -> CaptionFile:
    if split not in files:
        raise UsageError(f"No split '{split}' in {data.root}. {nearest(split, data.splits)}")
    return files[split]


def _sample(image: CaptionedImage) -> Sample:
    return Sample(image.image_id, image.path, CaptionTarget(image.references))


coco_caption = CaptionTask()

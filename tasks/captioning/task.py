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
from harness.sample import AnswerEvidence, Dataset, Outcome, Prediction, Sample, Target, TaskSpec, targets_of
from harness.storage.content import Contents
from tasks.captioning.annotated_objects import REFERENCES
from tasks.datasets.shared_images import coco_image, shared_images
from tasks.datasets.split_roles import folder_dataset, part_of, roles_of, stored_split
from tasks.datasets.stored_splits import split_notes_of
from tasks.formats.coco_captions import (
    CaptionedImage,
    captions_digest_of,
    read_caption_results,
    read_references,
)
from tasks.formats.coco_layout import find_caption_files
from tasks.formats.digests import NOWHERE
from tasks.targets.targets import CaptionTarget

if TYPE_CHECKING:
    from harness.affine import Affine
    from harness.protocols import Scorer
    from tasks.captioning.clip_scoring import ClipScoring


@dataclass(frozen=True)
class CaptionTask:
    """COCO captioning on COCO 2017, COCO 2014, plain caption folders, or the built-in Scenes.

    `clip_score` names a CLIP on disk (see `tasks.captioning.clip_weights`), by which CLIPScore and RefCLIPScore are
    computed too; `instances` a COCO file of the images' objects, against which mentioned objects are checked. Without
    it the one beside the captions is taken.
    """

    name: str = "coco-caption"
    summary: str = "describe an image in a sentence (COCO captions, Flickr-style folders, Scenes)"
    version: int = 1
    metrics: tuple[str, ...] = ("CIDEr", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "SPICE")
    settings: tuple[str, ...] = ("clip_score", "instances")
    learnable_score: float = 2.0  # answering with one of an image's own references scores 2.6 on 32 of Scenes
    answers: str = CAPTIONS

    def open_data(self, context: DataContext) -> Dataset:
        """Take `--data`, else `$BENCH_DATA`, else `./data/coco`, else Scenes; raises DataError."""
        from tasks.datasets.locations import locate_data
        from tasks.scenes_data.open import open_scenes

        folder = locate_data(context)
        contents = Contents.of_one_opening(context.cache, context.progress)
        return open_scenes(context) if folder is None else open_folder(folder, context.split, contents)

    def scoring_settings(self, context: DataContext) -> Mapping[str, Any]:
        """Name the CLIP that is asked for and the file of objects, each with its digest, where there are such.

        Raises WeightsUnavailable, UsageError or CheckpointError for a CLIP that is not there, MissingPath for a file.
        """
        from tasks.captioning.annotated_objects import find_instances

        objects = find_instances(context.settings.get("instances"), _captions_beside(context))
        wish = context.settings.get("clip_score")
        if wish is None:
            return objects
        from tasks.captioning.clip_weights import find_clip

        return {**objects, "clip_score": str(wish), "clip_weights": find_clip(str(wish)).digest}

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        """Read a split in the order of its file; the sample id is the image id."""
        if data.layout == "scenes":
            from tasks.scenes_data.open import read_scene_captions

            return read_scene_captions(data, split)
        files = find_caption_files(data.root)
        stored = stored_split(data, split)
        if stored not in files:
            raise UsageError(f"No split '{split}' in {data.root}. {nearest(split, data.splits)}")
        from tasks.formats.caption_index import open_captions

        images = open_captions(files[stored], Contents(data.cache)).images
        return part_of(data, split, [_sample(image) for image in images])

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Hand over the training captions: vocabularies come from them."""
        return TaskSpec(self.name, targets_of(training), CAPTIONS)

    def ceilings(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """None is known: what people may say of an image is open."""
        return {}

    def validation_score(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
        """CIDEr-D on lower-cased words without punctuation: no Java process in the training loop."""
        from tasks.captioning.scoring import quick_cider

        return quick_cider(predictions, [target.references for target in targets])

    def moved(self, target: Target, affine: Affine) -> Target:
        """Left and right change places in the references of a mirrored image, and in its facts on Scenes."""
        from tasks.targets.mirrored_words import moved_words

        if not affine.mirrored:
            return target
        facts = target.facts
        if facts is not None:
            from tasks.captioning.propositions import mirrored_facts

            facts = mirrored_facts(facts)
        return CaptionTarget(tuple(moved_words(text, affine) for text in target.references), facts)

    def evidence(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Sequence[AnswerEvidence | None]:
        """Where the objects are that captions are about, where a file of instances is known."""
        from tasks.captioning.evidence import caption_evidence

        return caption_evidence(data, split, samples)

    def shifts(self, data: Dataset) -> Mapping[str, str]:
        """Those of Scenes."""
        from tasks.scenes_data.open import scene_shifts

        return scene_shifts(data, reads_text=True)

    def slices(self, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, Sequence[int]]]:
        """By the length of the references."""
        from tasks.targets.slices import length_slices

        return length_slices(samples)

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """The COCO caption metrics, and what is invented; on Scenes also exact propositions; if asked for CLIPScore."""
        from tasks.captioning.annotated_objects import annotated_objects
        from tasks.captioning.inventions import Inventions
        from tasks.captioning.scoring import CaptionTaskScorer

        exact = data.layout == "scenes"
        inventions = Inventions(exact, None if exact else annotated_objects(data, cache))
        return CaptionTaskScorer(cache, propositions=exact, clip=_clip_scoring(data), inventions=inventions)

    def read_predictions(self, path: Path, data: Dataset) -> Sequence[Outcome]:
        """Read COCO's results format."""
        return read_caption_results(path)

    def read_references(self, path: Path) -> tuple[Dataset, Sequence[Sample]]:
        """Read a COCO caption file alone; its images are not looked for."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found = read_references(path)
        samples = [Sample(image.image_id, Path(), CaptionTarget(image.references)) for image in found.images]
        data = Dataset(path.stem, path.parent, digest, REFERENCES, ("all",), None, None, "all", notes=found.notes)
        return data, samples


def open_folder(root: Path, split: str | None = None, contents: Contents = NOWHERE) -> Dataset:
    """Open a caption folder on disk to evaluate `split`; raises DataError when it is in none of the layouts."""
    from tasks.formats.caption_index import open_captions

    files = find_caption_files(root)
    roles = roles_of(root, files, split)
    found = {split: open_captions(files[split], contents) for split in roles.stored}
    images = {split: [coco_image(i.image_id, i.path) for i in stored.images] for split, stored in found.items()}
    notes = (*split_notes_of(found), *shared_images(images, contents))
    return folder_dataset(root, roles, "coco", captions_digest_of(found, contents), cache=contents.cache, notes=notes)


def _captions_beside(context: DataContext) -> Path | None:
    """The file of captions that is evaluated; None for Scenes, and where there is none."""
    from tasks.datasets.locations import locate_data

    try:
        root = locate_data(context)
        files = {} if root is None else find_caption_files(root)
        return None if root is None else files[roles_of(root, files, context.split).default].annotations
    except DataError:  # references alone: whoever opens the data says what it lacks
        return None


def _clip_scoring(data: Dataset) -> ClipScoring | None:
    wish = data.scoring.get("clip_score")
    if wish is None:
        return None
    from tasks.captioning.clip_scoring import ClipScoring
    from tasks.captioning.clip_weights import find_clip

    return ClipScoring(find_clip(wish))


def _sample(image: CaptionedImage) -> Sample:
    return Sample(image.image_id, image.path, CaptionTarget(image.references))


coco_caption = CaptionTask()

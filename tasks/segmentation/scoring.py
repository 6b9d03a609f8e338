"""Scores label maps, and panoptic segments where the data has them, at the size of the images themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.answers import IGNORED, decode_label_map, resize_label_map
from harness.errors import DataError
from harness.protocols import Statistics
from harness.read_ahead import reading_in_threads
from harness.sample import Classes, Note, Outcome, Prediction, Sample
from tasks.formats.index_png import StoredLabels, read_label_image
from tasks.formats.label_maps import STRANGE, LabelScheme, to_class_map
from tasks.formats.predicted_maps import naming_notes, read_predicted_maps
from tasks.segmentation.readers import LabelImageReader
from tasks.segmentation.segments import LEAST_PX, PanopticClasses, given_segments, labels_of_segments, true_segments
from tasks.targets.answer_tally import AnswerTally, ComparedMaps, is_consecutive, tally_notes
from tasks.targets.matching import in_sample_order
from tasks.targets.plain_scorer import PlainScorer, require_samples
from tasks.targets.targets import MapTarget

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.metrics.maps.panoptic_segments import ImageSegments, SegmentMap
    from harness.stats.resampling import IntArray

LABEL_IMAGE = "label_image"
"""Key of a prediction made elsewhere, `{"label_image": PATH}`: a file of the data's own label values."""
SEGMENTS_PNG, SEGMENTS = "panoptic_png", "segments"
"""Keys of one with segments, `{"panoptic_png": PATH, "segments": [[segment id, category id], …]}`."""
_LARGEST_KEPT = 8 * 2**20  # bytes


@dataclass(frozen=True)
class SegmentationScorer(PlainScorer):
    """The scorer of `coco-segmentation`; `panoptic` are the classes as things and stuff where PQ is wanted."""

    classes: Classes
    scheme: LabelScheme
    panoptic: PanopticClasses | None = None
    tallies: dict[str, AnswerTally] = field(default_factory=dict, repr=False, compare=False)
    """What was seen of the label images made elsewhere while they were scored, by their path."""

    def prepare(self, samples: Sequence[Sample]) -> str:
        """Check the golden case; raises DataError for an empty split."""
        from harness.metrics.maps.golden import check_segmentation_metrics

        require_samples(samples)
        signature = check_segmentation_metrics(panoptic=self.panoptic is not None)
        how = f",label-maps=components:4-connected,least={LEAST_PX}px" if self.panoptic else ""
        return signature + how

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Mapping[str, Statistics | None]:
        """Score one answer a sample; raises DataError for answers that are missing, too many or no label maps."""
        from harness.metrics.maps.panoptic import PanopticCounts, panoptic_statistics
        from harness.metrics.maps.segmentation import SegmentationCounts, per_class_iou, segmentation_statistics

        answers = in_sample_order(samples, _named_by_sample(samples, outcomes), "label map")
        _keep_freed_memory()
        targets = [sample.target for sample in samples]
        with reading_in_threads(zip(targets, answers, strict=True), lambda pair: self._compare(*pair)) as compared:
            pairs = list(compared)
        names, counts = self.classes.names, SegmentationCounts.stack(pixels for pixels, _ in pairs)
        unseen = [number for number, seen in enumerate(self.classes.seen) if not seen]
        found: dict[str, Statistics | None] = dict(segmentation_statistics(counts, names, unseen or None))
        if self.panoptic is not None:
            segments = [matched for _, matched in pairs if matched is not None]
            found |= panoptic_statistics(PanopticCounts.stack(self.panoptic.compared, segments))
        for number, name in enumerate(names):  # a class alone has few numbers to resample
            alone = SegmentationCounts(counts.table[:, number : number + 1])
            found[f"mIoU:{name}"] = per_class_iou(alone, [name])[f"per-class:{name}"]
        return found

    def score_first(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Statistics | None:
        """Mean IoU alone: no segments are matched."""
        from harness.metrics.maps.segmentation import SegmentationCounts, segmentation_statistics

        answers = in_sample_order(samples, _named_by_sample(samples, outcomes), "label map")
        counts = SegmentationCounts.stack(
            count_map(s.target.label_map(), self._read(s.target, answer)[0], len(self.classes), s.target.image_id)
            for s, answer in zip(samples, answers, strict=True)
        )
        return segmentation_statistics(counts, self.classes.names)["mIoU"]

    def notes(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Sequence[Note]:
        """Say how label images made elsewhere were read, how much of them is no class, and whether they are shifted."""
        found = list(_naming_notes(samples, outcomes))
        given = [path for outcome in outcomes if (path := _map_of(outcome.prediction))]
        if any(path not in self.tallies for path in given):
            self.score(samples, outcomes)
        return [*found, *tally_notes([self.tallies[path] for path in given], self.scheme)] if given else found

    def _compare(self, target: MapTarget, answer: Prediction) -> tuple[IntArray, ImageSegments | None]:
        """Count the pixels of an image, and match its segments."""
        from harness.metrics.maps.panoptic import match_segments

        if self.panoptic is None and isinstance(answer, Mapping) and LABEL_IMAGE in answer:
            return self._compare_image(target, answer[LABEL_IMAGE]), None
        labels, segments = self._read(target, answer)
        truth = target.label_map()
        pixels = count_map(truth, labels, len(self.classes), target.image_id)
        if self.panoptic is None:
            return pixels, None
        if LABEL_IMAGE in answer:
            self._compare_image(target, answer[LABEL_IMAGE])
        elif path := _map_of(answer):
            compared = ComparedMaps.of(truth, labels, len(self.classes))
            self.tallies[path] = compared.tally(compared.values, None)
        if segments is None:
            segments = self.panoptic.segments_of_labels(labels)
        place = f"image {target.image_id}"
        return pixels, match_segments(true_segments(target), segments, self.panoptic.compared, place)

    def _read(self, target: MapTarget, answer: Prediction) -> tuple[npt.NDArray[np.integer[Any]], SegmentMap | None]:
        """Class indices `[H, W]` at the image's size, C where no class is told; and segments where they are given."""
        if isinstance(answer, Mapping) and LABEL_IMAGE in answer:
            return self._read_image(target, Path(answer[LABEL_IMAGE])), None
        if not isinstance(answer, Mapping) or SEGMENTS_PNG not in answer:
            return model_labels(target, answer, len(self.classes)), None
        if self.panoptic is None:
            raise DataError("Panoptic results are scored against panoptic truth. Leave task.panoptic=false out.")
        segments = given_segments(target, Path(answer[SEGMENTS_PNG]), answer[SEGMENTS])
        index = {category.category_id: number for number, category in enumerate(self.panoptic.categories)}
        return labels_of_segments(segments, index, len(self.classes)), segments

    def _compare_image(self, target: MapTarget, path: str) -> IntArray:
        """[C, 3] pixels of an image with a label image made elsewhere, which is tallied."""
        stored, classes = self._stored(target, Path(path)), len(self.classes)
        compared = _of_bytes(target, stored, classes) or ComparedMaps.of(target.label_map(), stored, classes)
        meaning = self.scheme.meaning(compared.values, classes)
        if (meaning[compared.held] == STRANGE).any():
            to_class_map(stored, self.scheme, Path(path))  # which says what is wrong
        meaning[meaning == STRANGE] = classes  # there is none of these in the image
        self.tallies[path] = compared.tally(meaning, self.scheme.values[0] if is_consecutive(self.scheme) else None)
        return compared.counts(meaning)

    def _read_image(self, target: MapTarget, path: Path) -> npt.NDArray[np.int64]:
        import numpy as np

        labels = to_class_map(self._stored(target, path), self.scheme, path).astype(np.int64)
        labels[labels == self.scheme.ignore_index] = len(self.classes)
        return labels

    def _stored(self, target: MapTarget, path: Path) -> StoredLabels:
        """The values of a label image made elsewhere; raises DataError for one of another size than the image."""
        labels = read_label_image(path, self.scheme.colours)
        if labels.shape != (target.height_px, target.width_px):
            raise DataError(
                f"{path} has {labels.shape[1]} x {labels.shape[0]} px; wanted {target.width_px} x {target.height_px}, "
                f"those of image {target.image_id}. Predict a label for each pixel of the image."
            )
        return labels


def _keep_freed_memory() -> None:
    """Have this process keep the memory of an image for the next one, instead of giving it back to the system.

    glibc's malloc takes blocks as large as one that was freed from its heap from then on and trims that less
    (mallopt(3), M_MMAP_THRESHOLD). Fresh pages of all arrays of a map of 512 x 512 take a millisecond, as long as
    decoding it.
    """
    import numpy as np

    np.empty(_LARGEST_KEPT, np.uint8)


def _of_bytes(target: MapTarget, answer: StoredLabels, classes: int) -> ComparedMaps | None:
    """Compare label images as they are stored; None where they are not of 8 bits, or the truth is moved or strange."""
    if not isinstance(target.read, LabelImageReader) or target.affines or answer.dtype != "uint8":
        return None
    truth = target.read.stored()
    if truth.dtype != "uint8":
        return None
    return ComparedMaps.of_bytes(truth, answer, target.read.classes_of_bytes, classes)


def model_labels(target: MapTarget, answer: Prediction, classes: int) -> npt.NDArray[np.uint16]:
    """Decode a model's label map and bring it to the image's size; raises DataError for labels that are no class."""
    labels = decode_label_map(answer)
    if labels.ndim != 2 or not labels.size or int(labels.max()) >= classes:
        seen = f"{list(labels.shape)}, labels up to {int(labels.max()) if labels.size else 'none'}"
        raise DataError(
            f"Image {target.image_id} is answered with a map {seen}; wanted a class of 0..{classes - 1} for each pixel "
            "[height, width]."
        )
    return resize_label_map(labels, target.width_px, target.height_px)


def count_map(
    truth: npt.NDArray[np.uint16], labels: npt.NDArray[np.integer[Any]], classes: int, image_id: str
) -> IntArray:
    """[C, 3] pixels of an image; those for which no class is told (label C) are missed, and no class's mistake."""
    from harness.metrics.maps.segmentation import count_pixels

    return count_pixels(truth, labels, classes + 1, IGNORED, f"image {image_id}")[:classes]


def quick_mean_iou(predictions: Sequence[Prediction], targets: Sequence[MapTarget]) -> float:
    """Mean IoU over the classes that occur, 0..1; raises DataError where no pixel is asked about."""
    import numpy as np

    from harness.metrics.maps.segmentation import SegmentationCounts, segmentation_statistics

    truths = [target.label_map() for target in targets]
    answers = [model_labels(target, answer, IGNORED) for target, answer in zip(targets, predictions, strict=True)]
    classes = 1 + max(_highest(truths), _highest(answers))
    if all((truth == IGNORED).all() for truth in truths):
        raise DataError(f"Not one pixel of {len(targets)} images has a class to select a checkpoint by. Use more data.")
    counts = SegmentationCounts(
        np.stack(
            [
                count_map(truth, answer, classes, target.image_id)
                for truth, answer, target in zip(truths, answers, targets, strict=True)
            ]
        )
    )
    statistics = segmentation_statistics(counts, [str(number) for number in range(classes)])["mIoU"]
    assert statistics is not None
    return float(statistics.value)


def _highest(maps: Iterable[npt.NDArray[np.uint16]]) -> int:
    return max((int(labels[labels != IGNORED].max(initial=0)) for labels in maps), default=0)


def _map_of(answer: Prediction) -> str | None:
    """The file of a label map made elsewhere; None for a model's answer."""
    return answer.get(LABEL_IMAGE, answer.get(SEGMENTS_PNG)) if isinstance(answer, Mapping) else None


def _folder_of(outcomes: Sequence[Outcome]) -> Path | None:
    """The folder of label images made elsewhere; None where an answer is none."""
    files = [
        Path(outcome.prediction[LABEL_IMAGE])
        for outcome in outcomes
        if isinstance(outcome.prediction, Mapping) and LABEL_IMAGE in outcome.prediction
    ]
    return files[0].parent if files and len(files) == len(outcomes) else None


def _naming_notes(samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> tuple[Note, ...]:
    folder = _folder_of(outcomes)
    return () if folder is None else naming_notes(folder, {sample.sample_id: sample.image for sample in samples})


def _named_by_sample(samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Label images made elsewhere are named by image or by sample: give each to its sample."""
    folder = _folder_of(outcomes)
    if folder is None:
        return list(outcomes)
    found = read_predicted_maps(folder, {sample.sample_id: sample.image for sample in samples})
    return [Outcome(sample_id, {LABEL_IMAGE: str(path)}) for sample_id, path in found.items()]

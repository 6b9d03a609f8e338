"""Scores boxes or masks against the annotated objects, with COCO's own evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.errors import DataError
from harness.protocols import Statistics
from harness.sample import Classes, Note, Outcome, Prediction, Sample
from tasks.detection.box_outcomes import PX, BoxOutcomes
from tasks.formats.id_readings import IdReading, ids_themselves, numbers_of_names, one_reading, reading_note
from tasks.targets.matching import in_sample_order
from tasks.targets.plain_scorer import PlainScorer, require_samples
from tasks.targets.targets import BoxTarget

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.metrics.boxes.columns import DetectionColumns
    from harness.metrics.boxes.detection import DetectionScores, DetectionTruth

MASKS, ENTRIES = "rle", "entries"
"""Keys of masks made elsewhere: `{"rle": [[class, score, run lengths], …], "entries": [place in the file, …]}`."""
MAX_DETECTIONS = 100
"""Of so many detections of a class in an image does COCO's evaluation take the best; others are left out."""
_OVERHANG = 0.01
"""By how much of the image's side a box may stick out of it: predictions are not exact at the border."""
_WANTED = "wanted a list of [class, score, x, y, width, height]"


@dataclass(frozen=True)
class DetectionScorer(PlainScorer):
    """The scorer of `coco-detection`; with classes that are unseen also AP-base and AP-novel."""

    classes: Classes
    engine: str = "hotcoco"
    iou: str = "bbox"

    def prepare(self, samples: Sequence[Sample]) -> str:
        """Check the golden case; raises DataError for a split without any object to be found."""
        from harness.metrics.boxes.golden import check_detection_metrics

        require_samples(samples)
        if all(all(sample.target.crowd) for sample in samples):
            raise DataError(
                f"Not one of the split's {len(samples)} images has an object that counts: there is nothing to score. "
                "Choose another with --split."
            )
        return check_detection_metrics(self.engine, self.iou)

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Mapping[str, Statistics | None]:
        """Score one answer a sample; raises DataError for answers that are missing, too many or no boxes."""
        from harness.metrics.boxes.detection import per_class_boxes

        answers = in_sample_order(samples, self._answers(samples, outcomes), "answer")
        scores = detection_scores([sample.target for sample in samples], answers, self)
        unseen = [number for number, seen in enumerate(self.classes.seen, start=1) if not seen]
        per_class = per_class_boxes(scores)
        named = {name.replace("per-class:", "AP:", 1): statistics for name, statistics in per_class.items()}
        return {**scores.statistics(unseen or None), **named}

    def score_first(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Statistics | None:
        """AP alone: evaluation is the same, but intervals of all others take twice as long as that of AP."""
        answers = in_sample_order(samples, self._answers(samples, outcomes), "answer")
        return detection_scores([sample.target for sample in samples], answers, self).statistics()["AP"]

    def notes(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Sequence[Note]:
        """Say what of the answers COCO's evaluation leaves out, and how the ids of results made elsewhere were read."""
        outcomes = _with_tables(outcomes)
        given = [outcome.sample_id for outcome in outcomes]
        chosen, first = _reading(samples, given)
        found = [*reading_note(given, chosen, first)]
        if _made_elsewhere(outcomes) and len(samples) > len(outcomes):
            lacking, total = len(samples) - len(outcomes), len(samples)
            found.append(Note(f"{lacking} of {total} images have no detection in the results", None, lacking, total))
        detections, beyond = _beyond_limit([outcome.prediction for outcome in _with_tables(outcomes)])
        if beyond:
            text = (
                f"{beyond} of {detections} detections ({beyond / detections:.1%}) are beyond the {MAX_DETECTIONS} best "
                "of a class in an image: COCO's evaluation leaves them out"
            )
            found.append(Note(text, None, beyond, detections))
        return found

    def _answers(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Outcomes under the ids of their samples; images that results made elsewhere do not name have no detection."""
        outcomes = _with_tables(outcomes)
        if not _made_elsewhere(outcomes):
            return list(outcomes)
        reading, _ = _reading(samples, [outcome.sample_id for outcome in outcomes])
        named = [
            replace(outcome, sample_id=reading.sample(outcome.sample_id) or outcome.sample_id) for outcome in outcomes
        ]
        answered = {outcome.sample_id for outcome in named}
        nothing: dict[str, list[Any]] = {MASKS if self.iou == "segm" else PX: []}
        return [*named, *(Outcome(s.sample_id, nothing) for s in samples if s.sample_id not in answered)]


def detection_scores(
    targets: Sequence[BoxTarget], answers: Sequence[Prediction], scorer: DetectionScorer
) -> DetectionScores:
    """Evaluate answers in the order of their targets; classes are numbered from 1 as COCO's categories."""
    from harness.metrics.boxes.detection import evaluate_columns, evaluate_detections

    truth, pairs = _truth(targets, scorer.classes.names), list(zip(targets, answers, strict=True))
    for target, answer in pairs:
        _require_kind(target, answer, scorer.iou)
    if scorer.iou == "bbox":
        columns = _box_columns(truth, pairs, len(scorer.classes))
        return evaluate_columns(truth, columns, "bbox", scorer.engine)  # type: ignore[arg-type]
    entries = [entry for target, answer in pairs for entry in _mask_entries(target, answer, len(scorer.classes))]
    return evaluate_detections(truth, entries, "segm", scorer.engine, "the predictions")  # type: ignore[arg-type]


def quick_ap50(predictions: Sequence[Prediction], targets: Sequence[BoxTarget]) -> float:
    """AP at IoU 0.5 of boxes, 0..1, over the classes that occur; raises DataError where there is no object."""
    labels = [label for target in targets for label in target.labels]
    found = [int(box[0]) for answer in predictions for box in answer]
    names = tuple(str(number) for number in range(max((*labels, *found), default=0) + 1))
    scores = detection_scores(targets, predictions, DetectionScorer(Classes(names)))
    statistics = scores.statistics()["AP50"]
    if statistics is None:
        raise DataError(f"Not one of {len(targets)} images has an object to select a checkpoint by. Use more data.")
    return float(statistics.value)


def _with_tables(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """Boxes of a file as arrays, which nothing has to make lists of."""
    return outcomes.as_tables() if isinstance(outcomes, BoxOutcomes) else outcomes


def _made_elsewhere(outcomes: Sequence[Outcome]) -> bool:
    """Tell results in COCO's format, where an image without detections has no entry, from a model's answers."""
    return all(isinstance(outcome.prediction, Mapping) for outcome in outcomes)


def _reading(samples: Sequence[Sample], given: Sequence[str]) -> tuple[IdReading, IdReading]:
    """How the ids of results are read, and the plainest way; names of VOC may be written as numbers."""
    ids = ids_themselves([sample.sample_id for sample in samples])
    if not any(sample.target.name for sample in samples):
        return ids, ids
    names = IdReading("image names", ids.sample_of)
    return one_reading(given, [names, numbers_of_names([sample.sample_id for sample in samples])]), names


def _beyond_limit(predictions: Sequence[Prediction]) -> tuple[int, int]:
    """How many detections there are, and how many are beyond the best of their class in their image."""
    import numpy as np

    total = beyond = 0
    for prediction in predictions:
        rows = prediction.get(PX, prediction.get(MASKS)) if isinstance(prediction, Mapping) else prediction
        total += len(rows)
        if len(rows) > MAX_DETECTIONS:
            labels = rows[:, 0].tolist() if isinstance(rows, np.ndarray) else [row[0] for row in rows]
            beyond += sum(max(0, count - MAX_DETECTIONS) for count in Counter(labels).values())
    return total, beyond


def _truth(targets: Sequence[BoxTarget], names: Sequence[str]) -> DetectionTruth:
    from harness.metrics.boxes.detection import DetectionTruth

    images: list[dict[str, int]] = []
    annotations: list[dict[str, Any]] = []
    for target in targets:
        image_id = int(target.image_id)
        images.append({"id": image_id, "width": target.width_px, "height": target.height_px})
        boxes, areas, masks = _annotated(target)
        for box, area, mask, label, crowd in zip(boxes, areas, masks, target.labels, target.crowd, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image_id, "category_id": label + 1, "bbox": box,
                    "area": area, "iscrowd": int(crowd), "segmentation": mask,
                }
            )  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    instances = {"images": images, "annotations": annotations, "categories": categories}
    return DetectionTruth(instances, tuple(image["id"] for image in images))


def _annotated(target: BoxTarget) -> tuple[list[list[float]], list[float], Sequence[Any]]:
    """Boxes in px, areas in px² and masks as they are annotated, or what the fractions say."""
    if target.objects is not None:
        return target.objects.stated_boxes.tolist(), target.objects.areas.tolist(), target.objects.segmentations
    boxes = [
        [x * target.width_px, y * target.height_px, w * target.width_px, h * target.height_px]
        for x, y, w, h in target.boxes
    ]
    return boxes, [width * height for _, _, width, height in boxes], [None] * len(boxes)


def _require_kind(target: BoxTarget, answer: Prediction, iou: str) -> None:
    masks = isinstance(answer, Mapping) and MASKS in answer
    if masks != (iou == "segm"):
        raise DataError(
            f"Image {target.called} is answered with {'masks' if masks else 'boxes'}, which cannot be scored by "
            f"{'masks' if iou == 'segm' else 'boxes'}. Score boxes with --iou bbox, and results that hold masks "
            "with --iou segm."
        )


def _mask_entries(target: BoxTarget, answer: Prediction, classes: int) -> list[dict[str, Any]]:
    """Turn an answer of masks to entries of COCO's results format."""
    places = answer.get(ENTRIES, range(len(answer[MASKS])))
    return [_mask_entry(target, row, classes, place) for row, place in zip(answer[MASKS], places, strict=True)]


def _box_columns(
    truth: DetectionTruth, pairs: Sequence[tuple[BoxTarget, Prediction]], classes: int
) -> DetectionColumns:
    """Turn answers of boxes to columns, one image after the other."""
    import numpy as np

    from harness.metrics.boxes.columns import box_columns

    tables = [_table_in_px(target, answer, classes) for target, answer in pairs]
    numbers = [truth.image_numbers[int(target.image_id)] for target, _ in pairs]
    table = np.concatenate([np.zeros((0, 6)), *tables])
    image = np.repeat(np.array(numbers, np.int64), [len(rows) for rows in tables])
    return box_columns(image, table[:, 0].astype(np.int64), table[:, 1], table[:, 2:])


def _table_in_px(target: BoxTarget, answer: Prediction, classes: int) -> npt.NDArray[np.float64]:
    """[n, 6] class, score and box in px."""
    given = isinstance(answer, Mapping)
    rows = _rows(target, answer[PX] if given and PX in answer else answer)
    _check(target, rows, classes, in_px=given)
    if not given:
        rows[:, 2:] *= [target.width_px, target.height_px] * 2
    return rows


def _rows(target: BoxTarget, answer: Any) -> npt.NDArray[np.float64]:
    """[n, 6] numbers; raises DataError for anything else."""
    import numpy as np

    try:
        rows = np.array(answer)
    except ValueError:  # rows of several lengths
        rows = np.array(None)
    if isinstance(answer, list | tuple) and not len(answer):
        return np.zeros((0, 6))
    if rows.ndim != 2 or rows.shape[1] != 6 or rows.dtype.kind not in "iuf":
        raise DataError(f"Image {target.called} has the answer {str(answer)[:80]}; {_WANTED}.")
    return rows.astype(np.float64)


def _check(target: BoxTarget, rows: npt.NDArray[np.float64], classes: int, *, in_px: bool) -> None:
    """Check the range of each number; of boxes made elsewhere scores and places may be anything finite."""
    import numpy as np

    label, score, start, extent = rows[:, 0], rows[:, 1], rows[:, 2:4], rows[:, 4:]
    problems = [
        (~np.isfinite(rows).all(axis=1), "finite numbers"),
        ((label != np.floor(label)) | (label < 0) | (label >= classes), f"a class of 0..{classes - 1}"),
        ((extent < 0).any(axis=1), "no size below 0"),
    ]
    if not in_px:
        outside = (start < -_OVERHANG).any(axis=1) | (start + extent > 1 + _OVERHANG).any(axis=1)
        problems += [((score < 0) | (score > 1), "a score of 0..1"), (outside, "a box in fractions of the image, 0..1")]
    for bad, wanted in problems:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise DataError(f"Image {target.called}: box {row} is {rows[row].tolist()}; wanted {wanted}.")


def _mask_entry(target: BoxTarget, row: Sequence[Any], classes: int, place: int) -> dict[str, Any]:
    label, score, mask = row
    if mask.get("size") != [target.height_px, target.width_px]:
        raise DataError(
            f"Image {target.called} is answered with a mask of size {mask.get('size')} (entry {place} of the results); "
            f"wanted [height, width] = [{target.height_px}, {target.width_px}]."
        )
    if not 0 <= label < classes:
        raise DataError(f"Image {target.called}: a mask has the class {label}; wanted 0..{classes - 1}.")
    return {"image_id": int(target.image_id), "category_id": label + 1, "score": score, "segmentation": mask}

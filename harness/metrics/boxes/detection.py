"""Average precision and recall as the COCO detection evaluation has them (Lin et al. 2014, arXiv:1405.0312).

The numbers are those of the engine, hotcoco or pycocotools, which agree bit for bit. What resamples need is worked out
only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.metrics.boxes.columns import DetectionColumns, Iou, detection_columns
from harness.metrics.boxes.engines import (
    AREAS,
    IOU_THRESHOLDS,
    MOST_DETECTIONS,
    Engine,
    PrecisionCurves,
    evaluate_curves,
)
from harness.metrics.boxes.latest_cells import LatestCells
from harness.metrics.boxes.masks import check_masks
from harness.metrics.boxes.matching import MatchedDetections
from harness.metrics.boxes.resampling import AveragePrecision, AverageRecall
from harness.metrics.boxes.truth import DetectionTruth
from harness.protocols import Statistics
from harness.stats.resampling import FloatArray

__all__ = ["DETECTION_METRICS", "DetectionScores", "DetectionTruth", "evaluate_detections", "per_class_boxes"]

DETECTION_METRICS = (
    "AP",
    "AP50",
    "AP75",
    "AP-small",
    "AP-medium",
    "AP-large",
    "AR-1",
    "AR-10",
    "AR-100",
    "AR-small",
    "AR-medium",
    "AR-large",
)
"""COCO's twelve numbers, in its order; all 0..1 and higher is better."""

_PRECISION_AT = {"AP50": 0.5, "AP75": 0.75}
_SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class DetectionScores:
    """One model's detections, evaluated; `precision` and `recall` are as in pycocotools."""

    truth: DetectionTruth
    curves: PrecisionCurves
    matched: MatchedDetections
    drawn: LatestCells = field(default_factory=LatestCells, repr=False, compare=False)

    @property
    def precision(self) -> FloatArray:
        """[T, R, K, A, M] precision at each IoU threshold, recall, category, area, most detections; -1 for none."""
        return self.curves.precision

    @property
    def recall(self) -> FloatArray:
        """[T, K, A, M] the highest recall; -1 where a category has no truth."""
        return self.curves.recall

    def statistics(self, novel: Collection[int] | None = None) -> dict[str, Statistics | None]:
        """COCO's twelve numbers by name; None where there is nothing to measure, such as no small object at all.

        With `novel`, the ids of the categories that a model was not trained on, also `AP-base` and `AP-novel`: AP
        averaged over the other categories and over these (Zareian et al. 2021, arXiv:2011.10678, at COCO's IoUs).
        Raises DataError for ids that are unknown.
        """
        scores: dict[str, Statistics | None] = {"AP": self._average_precision()}
        for name, threshold in _PRECISION_AT.items():
            scores[name] = self._average_precision(thresholds=np.flatnonzero(threshold == IOU_THRESHOLDS))
        for size in _SIZES:
            scores[f"AP-{size}"] = self._average_precision(area=size)
        for most in MOST_DETECTIONS:
            scores[f"AR-{most}"] = self._average_recall("all", most)
        for size in _SIZES:
            scores[f"AR-{size}"] = self._average_recall(size, MOST_DETECTIONS[-1])
        if novel is not None:
            unseen = set(self.truth.numbers_of(novel).tolist())
            base = set(range(len(self.truth.categories))) - unseen
            scores["AP-base"] = self._average_precision(categories=base)
            scores["AP-novel"] = self._average_precision(categories=unseen)
        return scores

    def average_precision_of(self, category: int) -> Statistics | None:
        """AP of the category of this number, 0..K-1 in the order of ids."""
        return self._average_precision(categories=[category])

    def _average_precision(
        self,
        area: str = "all",
        thresholds: Iterable[int] = range(len(IOU_THRESHOLDS)),
        categories: Iterable[int] | None = None,
    ) -> AveragePrecision | None:
        every = range(len(self.truth.categories)) if categories is None else sorted(categories)
        t, k = np.array(list(thresholds), dtype=np.int64), np.array(every, dtype=np.int64)
        cells = self.precision[t][:, :, k, list(AREAS).index(area), -1]
        value = _mean(cells)
        return (
            None
            if value is None
            else AveragePrecision(value, self.matched, area, tuple(t.tolist()), tuple(k.tolist()), self.drawn)
        )

    def _average_recall(self, area: str, most: int) -> AverageRecall | None:
        value = _mean(self.recall[:, :, list(AREAS).index(area), MOST_DETECTIONS.index(most)])
        return None if value is None else AverageRecall(value, self.matched, area, most, self.drawn)


def evaluate_detections(
    truth: DetectionTruth,
    detections: Sequence[Mapping[str, Any]],
    iou: Iou = "bbox",
    engine: Engine = "hotcoco",
    source: str = "the detections",
) -> DetectionScores:
    """Evaluate detections in COCO's results format; there may be none at all, which scores 0 where there is truth.

    Each has image_id, category_id, score, and `bbox` [x, y, width, height] in pixels or `segmentation`, by `iou`.
    `source` is named in errors. Raises DataError for an entry or an annotation that is wrong.
    """
    if iou not in ("bbox", "segm"):
        raise UsageError(f"Unknown kind of IoU '{iou}'. Known: bbox, segm.")
    rows = truth.columns
    if iou == "segm":
        check_masks(
            rows.segmentations,
            truth.sizes[rows.image],
            lambda number: f"{truth.source}: annotation {rows.annotation_ids[number]}",
        )
    return evaluate_columns(truth, detection_columns(truth, detections, iou, source), iou, engine)


def evaluate_columns(truth: DetectionTruth, columns: DetectionColumns, iou: Iou, engine: Engine) -> DetectionScores:
    """Evaluate detections that have been checked."""
    curves = evaluate_curves(truth, columns, iou, engine)
    return DetectionScores(truth, curves, MatchedDetections(truth, columns, iou))


def per_class_boxes(scores: DetectionScores) -> dict[str, Statistics | None]:
    """AP of each category as `per-class:NAME`, in the order of ids; None for a category without truth."""
    return {
        f"per-class:{category['name']}": scores.average_precision_of(number)
        for number, category in enumerate(scores.truth.categories)
    }


def _mean(cells: FloatArray) -> float | None:
    """The mean over what was measured, summed in pycocotools' order; None where nothing was."""
    measured = cells[cells > -1]
    return float(np.mean(measured)) if len(measured) else None

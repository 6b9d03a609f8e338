"""Runs COCO's evaluation in one of its two implementations on the same columns.

hotcoco (Rust) gives the same numbers as pycocotools, bit for bit, in a small part of its time. Both get images,
categories and annotations numbered from 1 in the order of their ids: that leaves all ties as they are, and pycocotools
takes an annotation whose id is 0 for one that was never matched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal

import numpy as np

from harness.errors import UsageError, nearest
from harness.metrics.boxes.columns import DetectionColumns, Iou
from harness.metrics.boxes.truth import DetectionTruth, TruthColumns
from harness.stats.resampling import FloatArray

Engine = Literal["hotcoco", "pycocotools"]

AREAS: Mapping[str, tuple[float, float]] = {
    "all": (0, 1e5**2),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e5**2),
}
"""Ranges of area in pixels, both ends included, in COCO's order."""
MOST_DETECTIONS = (1, 10, 100)
"""How many of an image's detections of a category count, the surest first, in COCO's order."""
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""[T] made as pycocotools makes them."""
RECALL_THRESHOLDS = np.linspace(0.0, 1.0, 101)
"""[R] made as pycocotools makes them."""


@dataclass(frozen=True)
class PrecisionCurves:
    """What COCO's evaluation leaves behind; -1 where there is no truth to measure against."""

    precision: FloatArray  # [T, R, K, A, M] at each IoU, recall, category, area range, most detections
    recall: FloatArray  # [T, K, A, M]


def evaluate_curves(truth: DetectionTruth, detections: DetectionColumns, iou: Iou, engine: Engine) -> PrecisionCurves:
    """Match and accumulate with COCO's own parameters; raises UsageError for an unknown engine."""
    with redirect_stdout(StringIO()):
        evaluator = _evaluator(truth, detections, iou, engine)
        evaluator.evaluate()
        evaluator.accumulate()
        curves = evaluator.eval
    return PrecisionCurves(curves["precision"], curves["recall"])


def _evaluator(truth: DetectionTruth, detections: DetectionColumns, iou: Iou, engine: Engine) -> Any:
    builders: Mapping[str, Callable[[DetectionTruth, DetectionColumns, Iou], Any]] = {
        "hotcoco": _hotcoco,
        "pycocotools": _pycocotools,
    }
    if engine not in builders:
        raise UsageError(f"Unknown metric engine '{engine}'. {nearest(engine, builders)}")
    return builders[engine](truth, detections, iou)


def _hotcoco(truth: DetectionTruth, detections: DetectionColumns, iou: Iou) -> Any:
    from hotcoco import COCO, COCOeval

    rows = truth.columns
    coco_truth = COCO.from_arrays(
        _images(truth, iou),
        _categories(truth),
        rows.image + 1,
        rows.category + 1,
        rows.boxes,
        ids=np.arange(1, len(rows) + 1),
        area=rows.area,
        iscrowd=rows.crowd,
        segmentation=list(rows.segmentations) if iou == "segm" else None,
    )
    if detections.boxes is None:
        results = coco_truth.load_res(_results(detections))
    else:
        table = np.column_stack([detections.image + 1, detections.boxes, detections.score, detections.category + 1])
        masks: list[Any] | None = None if detections.rles is None else list(detections.rles)
        results = coco_truth.load_res(table.astype(np.float64), segmentation=masks)
    return COCOeval(coco_truth, results, iou)


def _pycocotools(truth: DetectionTruth, detections: DetectionColumns, iou: Iou) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    coco_truth = COCO()
    coco_truth.dataset = {
        "images": _images(truth, iou),
        "categories": _categories(truth),
        "annotations": _annotations(truth.columns, iou),
    }
    coco_truth.createIndex()
    if len(detections):
        return COCOeval(coco_truth, coco_truth.loadRes(_results(detections)), iou)
    nothing = COCO()  # loadRes looks at the first result
    nothing.dataset = {**coco_truth.dataset, "annotations": []}
    nothing.createIndex()
    return COCOeval(coco_truth, nothing, iou)


def _images(truth: DetectionTruth, iou: Iou) -> list[dict[str, int]]:
    images = [{"id": number + 1} for number in range(len(truth.image_ids))]
    if iou == "segm":
        for image, (height, width) in zip(images, truth.sizes.tolist(), strict=True):
            image.update(height=height, width=width)
    return images


def _categories(truth: DetectionTruth) -> list[dict[str, Any]]:
    return [{"id": number + 1, "name": str(c["name"])} for number, c in enumerate(truth.categories)]


def _annotations(rows: TruthColumns, iou: Iou) -> list[dict[str, Any]]:
    columns = zip(rows.image, rows.category, rows.boxes.tolist(), rows.area.tolist(), rows.crowd.tolist(), strict=True)
    annotations = [
        {"id": n + 1, "image_id": int(i) + 1, "category_id": int(k) + 1, "bbox": box, "area": area, "iscrowd": crowd}
        for n, (i, k, box, area, crowd) in enumerate(columns)
    ]
    if iou == "segm":
        for annotation, segmentation in zip(annotations, rows.segmentations, strict=True):
            annotation["segmentation"] = segmentation
    return annotations


def _results(detections: DetectionColumns) -> list[dict[str, Any]]:
    columns: Sequence[Any] = (detections.image.tolist(), detections.category.tolist(), detections.score.tolist())
    results: list[dict[str, Any]] = [
        {"image_id": i + 1, "category_id": k + 1, "score": score} for i, k, score in zip(*columns, strict=True)
    ]
    if detections.boxes is not None:
        for result, box in zip(results, detections.boxes.tolist(), strict=True):
            result["bbox"] = box
    if detections.rles is not None:
        for result, rle in zip(results, detections.rles, strict=True):
            result["segmentation"] = dict(rle)
    return results

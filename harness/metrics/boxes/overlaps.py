"""How far detections and objects of the same image and category overlap, where that may be enough for a match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.metrics.boxes.columns import DetectionColumns, Iou
from harness.metrics.boxes.engines import IOU_THRESHOLDS
from harness.metrics.boxes.masks import Rle, compressed_rles
from harness.metrics.boxes.truth import DetectionTruth
from harness.stats.resampling import FloatArray, IntArray


@dataclass(frozen=True)
class Overlaps:
    """Pairs of a detection and an annotation of its image and category that reach the lowest IoU, P of them."""

    detection: IntArray  # [P] places among those given, all pairs of a detection in a row
    annotation: IntArray  # [P] places among the annotations, ascending for each detection
    iou: FloatArray  # [P] with a crowd the share of the detection that lies in it


def overlaps(
    truth: DetectionTruth,
    detections: DetectionColumns,
    iou: Iou,
    places: IntArray,
    first: IntArray,
    end: IntArray,
    by_pair: IntArray,
) -> Overlaps:
    """Compare detections at `places` [D] with the annotations `by_pair[first:end]` of each, first and end being [D]."""
    objects = end - first
    owner = np.repeat(np.arange(len(places)), objects)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(objects) - objects, objects)
    detection, annotation = places[owner], by_pair[np.repeat(first, objects) + step]
    if iou == "segm":
        ious = _of_masks(truth, detections, detection, annotation)
    else:
        assert detections.boxes is not None
        rows = truth.columns
        ious = _of_boxes(detections.boxes[detection], rows.boxes[annotation], rows.crowd[annotation])
    enough = ious >= IOU_THRESHOLDS[0]
    return Overlaps(detection[enough], annotation[enough], ious[enough])


def _of_boxes(found: FloatArray, truth: FloatArray, crowd: IntArray) -> FloatArray:
    """[P] the IoU of boxes [P, 4], computed step by step as pycocotools' `bbIou` does, so that no bit differs."""
    start = np.maximum(found[:, :2], truth[:, :2])
    sides = np.minimum(found[:, 2:] + found[:, :2], truth[:, 2:] + truth[:, :2]) - start
    common = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0.0)
    own = found[:, 2] * found[:, 3]
    union = np.where(crowd > 0, own, own + truth[:, 2] * truth[:, 3] - common)
    return np.divide(common, union, out=np.zeros_like(common), where=common > 0)


def _of_masks(
    truth: DetectionTruth, detections: DetectionColumns, detection: IntArray, annotation: IntArray
) -> FloatArray:
    """[P] the IoU of masks; all pairs of a detection are in a row."""
    from hotcoco import mask

    rows = truth.columns
    assert detections.rles is not None
    needed, number = np.unique(annotation, return_inverse=True)
    codes: Sequence[Rle] = compressed_rles(
        [rows.segmentations[place] for place in needed.tolist()],
        truth.sizes[rows.image[needed]],
        lambda place: f"{truth.source}: annotation {rows.annotation_ids[needed[place]]}",
    )
    crowd = rows.crowd[needed]
    ious = np.empty(len(detection))
    starts = np.flatnonzero(np.diff(detection, prepend=-1))
    for start, end in zip(starts.tolist(), np.append(starts[1:], len(detection)).tolist(), strict=True):
        objects = number[start:end]
        given = [detections.rles[detection[start]]]
        ious[start:end] = mask.iou(given, [codes[place] for place in objects.tolist()], crowd[objects].tolist())[0]
    return ious

"""Each detection is right, wrong or ignored as pycocotools has it."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from harness.metrics.boxes.detection import DetectionTruth, evaluate_detections
from harness.metrics.boxes.engines import AREAS
from tests.harness.metrics.boxes.test_detection import wild, with_masks


@pytest.mark.parametrize("iou", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(3))
def test_every_detection_is_matched_as_pycocotools_does(seed: int, iou: Any) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    instances, detections = wild(seed)
    if iou == "segm":
        instances, detections = with_masks(instances, detections, with_boxes=True)
    scores = evaluate_detections(DetectionTruth.whole(instances), detections, iou)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = instances
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes([dict(detection) for detection in detections]), iou)
        evaluator.params.maxDets = [100]
        evaluator.evaluate()
    entries = [entry for entry in evaluator.evalImgs if entry is not None]
    for area, limits in AREAS.items():
        ignored = np.zeros((10, len(detections)), dtype=bool)
        found, seen = ignored.copy(), ignored[0].copy()
        for entry in entries:
            if entry["aRng"] == list(limits) and entry["dtIds"]:
                places = np.array(entry["dtIds"]) - 1
                found[:, places], ignored[:, places], seen[places] = entry["dtMatches"] > 0, entry["dtIgnore"], True
        true, counted = scores.matched._match(area)
        np.testing.assert_array_equal(true[:, seen], (found & ~ignored)[:, seen], err_msg=area)
        np.testing.assert_array_equal(counted[:, seen], ~ignored[:, seen], err_msg=area)
        assert found.any()
        assert ignored.any()

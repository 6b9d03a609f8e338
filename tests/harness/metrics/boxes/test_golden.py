"""The golden scores of detection are pycocotools' own; a score that drifts stops a run."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pytest

from harness.errors import UsageError
from harness.metrics.boxes import golden as detection_passport
from harness.metrics.boxes.detection import DETECTION_METRICS
from harness.metrics.metric import MetricDrift


def pycocotools_itself(iou: str) -> dict[str, float]:
    from pycocotools import mask
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    instances, results = detection_passport.golden_case(iou)
    side = detection_passport.BOX_IMAGE_PX
    for result in results if iou == "segm" else ():
        result["segmentation"] = mask.frPyObjects(result["segmentation"], side, side)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = instances
        truth.createIndex()
        evaluator: Any = COCOeval(truth, truth.loadRes(results), iou)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    precision = evaluator.eval["precision"][..., 0, -1]
    base, novel = precision[:, :, :2], precision[:, :, 2:]
    scores = dict(zip(DETECTION_METRICS, evaluator.stats.tolist(), strict=True))
    return scores | {"AP-base": base[base > -1].mean(), "AP-novel": novel[novel > -1].mean()}


@pytest.mark.parametrize("iou", ["bbox", "segm"])
def test_the_golden_scores_are_those_of_pycocotools(iou: str) -> None:
    assert pycocotools_itself(iou) == detection_passport.BOX_SCORES[iou]
    assert len(set(detection_passport.BOX_SCORES[iou].values())) > 8, "few scores are alike, so few can be mixed up"


@pytest.mark.parametrize("engine", ["hotcoco", "pycocotools"])
@pytest.mark.parametrize("iou", ["bbox", "segm"])
def test_both_engines_give_them_and_one_signature(engine: str, iou: str) -> None:
    assert detection_passport.check_detection_metrics(engine, iou) == f"detection:v1|coco:{iou},101-point,max=1/10/100"


def test_a_score_that_drifts_stops_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {**detection_passport.BOX_SCORES["bbox"], "AP-small": 0.25}
    monkeypatch.setattr(detection_passport, "BOX_SCORES", {"bbox": scores})
    with pytest.raises(MetricDrift, match=r"AP-small gives 0\.4.* instead of 0\.25 .*'bbox with hotcoco'"):
        detection_passport.check_detection_metrics("hotcoco", "bbox")


def test_what_is_unknown_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"Unknown kind of IoU 'box'. Did you mean 'bbox'"):
        detection_passport.check_detection_metrics("hotcoco", "box")
    with pytest.raises(UsageError, match=r"Unknown metric engine 'coco'"):
        detection_passport.check_detection_metrics("coco", "bbox")

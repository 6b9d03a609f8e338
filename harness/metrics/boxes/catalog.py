"""The metrics of boxes and masks that come with the harness, registered by the entry points of `bench.metrics`."""

from __future__ import annotations

from harness.metrics.boxes.golden import BOX_CASES, box_scores
from harness.metrics.metric import Metric, of_cases

_COCO = "Lin et al. 2014, arXiv 1405.0312"
_ZAREIAN = "Zareian et al. 2021, arXiv 2011.10678"
_TITLES = {
    "AP": "average precision, the mean over IoU .50:.05:.95 and classes",
    "AP50": "average precision at IoU .50",
    "AP75": "average precision at IoU .75",
    "AP-small": "AP of objects below 32 x 32 px",
    "AP-medium": "AP of objects between 32 x 32 and 96 x 96 px",
    "AP-large": "AP of objects above 96 x 96 px",
    "AR-1": "average recall with 1 detection an image and class",
    "AR-10": "average recall with 10 detections an image and class",
    "AR-100": "average recall with 100 detections an image and class",
    "AR-small": "AR-100 of objects below 32 x 32 px",
    "AR-medium": "AR-100 of objects between 32 x 32 and 96 x 96 px",
    "AR-large": "AR-100 of objects above 96 x 96 px",
    "AP-base": "AP of the classes that had boxes in training",
    "AP-novel": "AP of the classes that had no box in training",
}
METRICS = tuple(
    Metric(
        name, title, True, _ZAREIAN if name in ("AP-base", "AP-novel") else _COCO, box_scores, of_cases(name, BOX_CASES)
    )
    for name, title in _TITLES.items()
)  # fmt: skip

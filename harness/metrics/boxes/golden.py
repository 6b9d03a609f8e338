"""Golden inputs of detection metrics: a fixed case with known scores, checked before scoring, and the signature.

The known scores were computed by pycocotools 2.0.11; tests/harness/metrics/boxes/test_golden.py computes them
again. The case has a crowd, an empty image, equal scores, a detection too many and objects of all three sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError, nearest
from harness.metrics.metric import Golden, check_golden

if TYPE_CHECKING:
    from harness.protocols import Statistics

BOX_VERSION = 1
"""Of the implementation: raise it whenever a score may change."""
_TOLERANCE = 1e-12

BOX_IMAGE_PX = 128
GOLDEN_NOVEL = (3,)
GOLDEN_OBJECTS = (  # image, category, x, y, width, height, crowd
    (1, 1, 10, 10, 40, 40, 0), (1, 1, 60, 10, 20, 20, 0), (1, 2, 10, 20, 100, 100, 0), (2, 1, 30, 30, 50, 30, 0),
    (2, 2, 0, 0, 16, 16, 0), (2, 1, 64, 64, 60, 60, 1), (3, 3, 20, 20, 30, 60, 0), (3, 3, 70, 20, 30, 60, 0),
)  # fmt: skip
GOLDEN_DETECTIONS = (  # image, category, x, y, width, height, score
    (1, 1, 12, 10, 40, 40, 0.9), (1, 1, 58, 12, 20, 20, 0.6), (1, 1, 90, 90, 20, 20, 0.6),
    (1, 2, 10, 10, 100, 100, 0.8),
    (2, 1, 30, 32, 50, 30, 0.7), (2, 1, 31, 30, 50, 30, 0.7), (2, 1, 70, 70, 40, 40, 0.95), (2, 2, 2, 0, 16, 16, 0.3),
    (2, 3, 5, 5, 30, 60, 0.4), (3, 3, 22, 24, 30, 60, 0.5), (3, 3, 64, 20, 36, 60, 0.5), (4, 1, 0, 0, 50, 50, 0.2),
)  # fmt: skip
BOX_SCORES: Mapping[str, Mapping[str, float]] = {
    "bbox": {
        "AP": 0.658030803080308,
        "AP50": 0.971947194719472,
        "AP75": 0.8877887788778878,
        "AP-small": 0.49999999999999994,
        "AP-medium": 0.7627887788778878,
        "AP-large": 0.6999999999999998,
        "AR-1": 0.4166666666666667,
        "AR-10": 0.6888888888888888,
        "AR-100": 0.6888888888888888,
        "AR-small": 0.5,
        "AR-medium": 0.8,
        "AR-large": 0.7,
        "AP-base": 0.6744224422442244,
        "AP-novel": 0.6252475247524752,
    },
    "segm": {
        "AP": 0.425962596259626,
        "AP50": 0.8877887788778878,
        "AP75": 0.38943894389438943,
        "AP-small": 0.14999999999999997,
        "AP-medium": 0.6262376237623762,
        "AP-large": 0.39999999999999997,
        "AR-1": 0.2944444444444444,
        "AR-10": 0.4444444444444445,
        "AR-100": 0.4444444444444445,
        "AR-small": 0.15,
        "AR-medium": 0.625,
        "AR-large": 0.4,
        "AP-base": 0.41320132013201316,
        "AP-novel": 0.4514851485148515,
    },
}
"""By what is compared, boxes or masks; the masks are the boxes cut off along their diagonal."""


def golden_case(iou: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The case in COCO's formats: instances, and results with boxes or masks."""
    instances = {
        "images": [{"id": number, "width": BOX_IMAGE_PX, "height": BOX_IMAGE_PX} for number in (1, 2, 3, 4)],
        "categories": [{"id": number, "name": f"class {number}"} for number in (1, 2, 3)],
        "annotations": [
            {
                "id": number, "image_id": image, "category_id": category, "bbox": list(box), "iscrowd": crowd,
                "area": float(box[2] * box[3]), "segmentation": _triangle(box),
            }
            for number, (image, category, *box, crowd) in enumerate(GOLDEN_OBJECTS, start=1)
        ],
    }  # fmt: skip
    results = [
        {"image_id": image, "category_id": category, "score": score}
        | ({"bbox": box} if iou == "bbox" else {"segmentation": _triangle(box)})
        for image, category, *box, score in GOLDEN_DETECTIONS
    ]
    return instances, results


BOX_CASES = tuple(Golden((iou, "hotcoco"), scores, _TOLERANCE, iou) for iou, scores in BOX_SCORES.items())


def box_scores(inputs: tuple[str, str]) -> Mapping[str, Statistics | None]:
    """Score the case by what is compared (boxes or masks) and the engine that does so."""
    from harness.metrics.boxes.detection import DetectionTruth, evaluate_detections

    iou, engine = inputs
    instances, results = golden_case(iou)
    scores = evaluate_detections(DetectionTruth.whole(instances), results, iou, engine)  # type: ignore[arg-type]
    return scores.statistics(GOLDEN_NOVEL)


def check_detection_metrics(engine: str, iou: str) -> str:
    """Score the golden case and return the signature; raises MetricDrift at the first score that differs.

    The engine is no part of the signature: hotcoco and pycocotools agree bit for bit.
    """
    if iou not in BOX_SCORES:
        raise UsageError(f"Unknown kind of IoU '{iou}'. {nearest(iou, BOX_SCORES)}")
    case = Golden((iou, engine), BOX_SCORES[iou], _TOLERANCE, f"{iou} with {engine}")
    check_golden(box_scores(case.inputs), case)
    return f"detection:v{BOX_VERSION}|coco:{iou},101-point,max=1/10/100"


def _triangle(box: Any) -> dict[str, Any]:
    """Run lengths, column by column, of the pixels of a box on and under the diagonal from its left upper corner."""
    x, y, width, height = box
    runs, before = [], 0
    for column in range(width):
        top = y + column * height // width
        start = (x + column) * BOX_IMAGE_PX + top
        runs += [start - before, y + height - top]
        before = start + y + height - top
    return {"size": [BOX_IMAGE_PX, BOX_IMAGE_PX], "counts": [*runs, BOX_IMAGE_PX**2 - before]}

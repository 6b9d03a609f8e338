"""pycocotools as the second implementation, and detections to score by both."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.metrics.boxes.detection import DETECTION_METRICS
from harness.protocols import DataContext
from harness.sample import Dataset, Outcome, Sample
from tasks.detection.task import coco_detection
from tasks.scenes import layout

MakeContext = Callable[..., DataContext]


Answers = Sequence[Outcome]


def scored(data: Dataset, samples: Sequence[Sample], outcomes: Answers) -> dict[str, float | None]:
    with coco_detection.scorer(data, Path()) as scorer:
        scorer.prepare(samples)
        found = scorer.score(samples, outcomes)
    return {name: None if s is None else s.value for name, s in found.items()}


def pycocotools_itself(truth: Path, results: Sequence[dict[str, Any]], iou: str, images: Sequence[int] = ()) -> Any:
    """The evaluator as its users run it on files."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        evaluator = COCOeval(coco, coco.loadRes(json.loads(json.dumps(results))), iou)
        if images:
            evaluator.params.imgIds = list(images)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def expected_of(evaluator: Any) -> dict[str, float | None]:
    values = evaluator.stats.tolist()
    return {name: None if value == -1 else value for name, value in zip(DETECTION_METRICS, values, strict=True)}


def perfect(sample: Sample) -> Outcome:
    target = sample.target
    rows = zip(target.labels, target.boxes, target.crowd, strict=True)
    return Outcome(sample.sample_id, [[label, 0.9, *box] for label, box, crowd in rows if not crowd])


def shaky(samples: Sequence[Sample], classes: int, seed: int = 0) -> list[Outcome]:
    """Boxes near the true ones, some of another class, equal scores, and boxes at nothing."""
    source = np.random.default_rng(seed)
    outcomes = []
    for sample in samples:
        rows: list[list[float]] = []
        for label, box in zip(sample.target.labels, sample.target.boxes, strict=True):
            for _ in range(int(source.integers(0, 4))):
                moved = np.array(box) + source.normal(0, 0.03, 4)
                start = np.clip(moved[:2], 0, 0.95)
                extent = np.clip(moved[2:], 0.001, 1 - start)
                chosen = label if source.random() < 0.8 else int(source.integers(classes))
                rows.append([chosen, float(source.integers(0, 8) / 8), *start.tolist(), *extent.tolist()])
        for _ in range(int(source.integers(0, 5))):
            x, y = (source.random(2) * 0.5).tolist()
            rows.append([int(source.integers(classes)), float(source.random()), x, y, 0.3, 0.4])
        outcomes.append(Outcome(sample.sample_id, rows))
    return outcomes


def to_results(samples: Sequence[Sample], outcomes: Answers, ids: Sequence[int]) -> list[dict[str, Any]]:
    """What a user would make of a model's answers: COCO's results in px."""
    results = []
    for sample, outcome in zip(samples, outcomes, strict=True):
        width, height = sample.target.width_px, sample.target.height_px
        for label, score, x, y, w, h in outcome.prediction:
            box = [x * width, y * height, w * width, h * height]
            results.append({"image_id": int(sample.sample_id), "category_id": ids[label], "score": score, "bbox": box})
    return results


def merged(root: Path, parts: Sequence[str], path: Path) -> Path:
    contents = [json.loads(layout.annotation_file(root, "instances", part).read_text()) for part in parts]
    whole = {key: [row for content in contents for row in content[key]] for key in ("images", "annotations")}
    path.write_text(json.dumps({**whole, "categories": contents[0]["categories"]}))
    return path

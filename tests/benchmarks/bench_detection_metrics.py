"""Detection metrics on COCO-sized input against pycocotools, and what resamples of AP cost.

    uv run python tests/benchmarks/bench_detection_metrics.py

Both sides start from the same dicts in memory and end with the twelve numbers; they run in turn, and the ratio is that
of the medians. Ours is timed with all its checks, for a truth that it has not seen before. Wanted: at most 1/40.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.metrics.boxes.detection import DetectionTruth, evaluate_detections

REPEATS = 3
Input = tuple[dict[str, Any], list[dict[str, Any]]]


def main() -> None:
    big = make_input(images=5000, categories=80, objects=36_000, detections=500_000)
    print(f"5000 images, 80 classes, 36000 boxes, {len(big[1])} detections; medians of {REPEATS}")
    seconds: dict[str, list[float]] = {"pycocotools": [], "ours": [], "hotcoco alone": []}
    for _ in range(REPEATS):
        copies = [{**detection} for detection in big[1]]  # pycocotools writes into them
        theirs, peer = timed(lambda copies=copies: run_pycocotools(big[0], copies))
        mine, ours = timed(lambda: run_ours(*big))
        alone, _ = timed(lambda: run_hotcoco(*big))
        assert peer == ours, "the twelve numbers differ"
        for name, second in zip(seconds, (theirs, mine, alone), strict=True):
            seconds[name].append(second)
    for name, values in seconds.items():
        print(f"{name:16}{statistics.median(values):8.3f} s   ({', '.join(f'{v:.3f}' for v in values)})")
    print(f"ours / pycocotools: 1/{statistics.median(seconds['pycocotools']) / statistics.median(seconds['ours']):.1f}")
    resamples("1000 images, 40 classes", make_input(1000, 40, 7200, 20_000), 200)
    resamples("5000 images, 80 classes", big, 200)


def make_input(images: int, categories: int, objects: int, detections: int) -> Input:
    """Boxes of COCO's sizes; detections are near an object, or anywhere with a class of the image or any other."""
    source = np.random.default_rng(0)
    image = np.sort(source.integers(1, images + 1, objects))
    category = np.minimum(source.geometric(4 / categories, objects), categories)
    size = np.exp(source.normal(4, 1, (objects, 2))).clip(2, 600)
    boxes = np.column_stack([source.uniform(0, 1, (objects, 2)) * (640 - size.clip(max=639)), size])
    kind = source.choice(3, detections, p=[0.25, 0.5, 0.25])
    near = source.integers(0, objects, detections)
    spread = source.choice([0.03, 0.1, 0.3], detections)[:, None]
    found = boxes[near] + source.normal(0, 1, (detections, 4)) * spread * np.tile(boxes[near, 2:], 2)
    found[:, 2:] = np.abs(found[:, 2:])
    found[kind > 0, :2] = source.uniform(0, 600, (int((kind > 0).sum()), 2))
    of_image = np.where(kind == 2, source.integers(1, images + 1, detections), image[near])
    of_category = np.where(kind == 2, source.integers(1, categories + 1, detections), category[near])
    score = np.where(kind == 0, source.beta(2, 2, detections), source.beta(1, 6, detections)).round(3)
    instances = {
        "images": [{"id": i + 1} for i in range(images)],
        "categories": [{"id": k + 1, "name": f"class {k + 1}"} for k in range(categories)],
        "annotations": [
            {"id": n + 1, "image_id": i, "category_id": k, "bbox": box, "area": box[2] * box[3], "iscrowd": int(c)}
            for n, (i, k, box, c) in enumerate(
                zip(image.tolist(), category.tolist(), boxes.tolist(), source.random(objects) < 0.01, strict=True)
            )
        ],
    }
    rows = zip(of_image.tolist(), of_category.tolist(), found.tolist(), score.tolist(), strict=True)
    return instances, [{"image_id": i, "category_id": k, "bbox": box, "score": s} for i, k, box, s in rows]


def run_pycocotools(instances: dict[str, Any], detections: list[dict[str, Any]]) -> list[float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = instances
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(detections), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    values: list[float] = evaluator.stats.tolist()
    return values


def run_ours(instances: dict[str, Any], detections: list[dict[str, Any]]) -> list[float]:
    scores = evaluate_detections(DetectionTruth.whole(instances), detections).statistics()
    return [-1 if score is None else score.value for score in scores.values()]


def run_hotcoco(instances: dict[str, Any], detections: list[dict[str, Any]]) -> None:
    from hotcoco import COCO, COCOeval

    truth = COCO(instances)
    evaluator = COCOeval(truth, truth.load_res(detections), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()


def resamples(name: str, data: Input, number: int) -> None:
    truth = DetectionTruth.whole(data[0])
    scores = evaluate_detections(truth, data[1])
    images = len(data[0]["images"])
    counts = np.random.default_rng(1).multinomial(images, [1 / images] * images, size=number)
    print(f"\n{name}, {len(data[1])} detections, {number} resamples")
    for area in ("all", "small"):
        print(f"  matching, area {area}: {timed(lambda area=area: scores.matched.rankings(area))[0]:.2f} s")
    for metric in ("AP", "AP50", "AP75", "AP-small", "AR-100"):
        score = scores.statistics()[metric]
        assert score is not None
        seconds, drawn = timed(lambda score=score: score.resample(counts))
        alone, _ = timed(lambda score=score: score.per_sample)
        once = score.resample(np.ones((1, images), dtype=np.int64))[0] - score.value
        print(
            f"  {metric:8} {score.value:.4f}: {seconds:.2f} s, mean {drawn.mean():.4f}, sd {drawn.std():.4f}; "
            f"all images once {once:+.0e}; single images {alone:.2f} s"
        )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()

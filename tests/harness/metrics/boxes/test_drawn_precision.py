"""Metrics that share resamples and cells give what each gives alone, and which images inform them needs no matching."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from harness.metrics.boxes import interpolation
from harness.metrics.boxes import matching as detection_matching
from harness.metrics.boxes.detection import DetectionTruth, evaluate_detections, per_class_boxes
from harness.stats.estimates import NOT_ASKED_FOR, estimate, estimates
from harness.stats.resampling import informs

IMAGES, CATEGORIES = 14, 3


def crowded(seed: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Boxes on a grid, so that some IoUs are .5 exactly; crowds; 130 detections of a category in an image."""
    source = np.random.default_rng(seed)

    def box() -> list[float]:
        return [float(n) for n in (*(4 * source.integers(0, 3, 2)), *source.choice([8, 16, 40, 100], 2))]

    annotations = []
    for image in range(1, IMAGES):  # the last image has no object
        for _ in range(int(source.integers(1, 5))):
            found = box()
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image, "category_id": int(source.integers(1, CATEGORIES)),
                    "bbox": found, "area": found[2] * found[3], "iscrowd": int(source.random() < 0.2),
                }
            )  # fmt: skip
    instances = {
        "images": [{"id": image} for image in range(1, IMAGES + 1)],
        "categories": [{"id": number, "name": f"class {number}"} for number in range(1, CATEGORIES + 1)],
        "annotations": annotations,
    }
    detections = [
        {"image_id": image, "category_id": int(source.integers(1, CATEGORIES + 1)), "bbox": box(), "score": score}
        for image in range(1, IMAGES + 1)
        for score in source.random(130 if image == 1 else 9).round(1).tolist()
    ]
    detections += [{**detections[0], "category_id": 1, "bbox": box(), "score": 0.05} for _ in range(130)]
    return instances, detections


def scored(seed: int = 0) -> Mapping[str, Any]:
    instances, detections = crowded(seed)
    scores = evaluate_detections(DetectionTruth.whole(instances), detections)
    return scores.statistics(novel=[2]) | per_class_boxes(scores)


@pytest.mark.parametrize("seed", range(6))
def test_all_images_once_give_the_engines_value(seed: int) -> None:
    for name, one in scored(seed).items():
        if one is not None:
            assert one.resample(np.ones((1, IMAGES), dtype=np.int64))[0] == pytest.approx(one.value, abs=1e-12), name


def test_the_images_that_inform_a_metric_are_those_with_a_score_of_their_own() -> None:
    seen = set()
    for name, one in scored(1).items():
        if one is not None:
            expected = ~np.isnan(one.per_sample)
            seen.add(tuple(expected.tolist()))
            assert informs(one).tolist() == expected.tolist(), name
    assert len(seen) > 3, "sizes and categories differ in it"


def test_together_metrics_have_the_intervals_that_each_has_alone() -> None:
    together = estimates(scored(), 60)
    for name, one in scored().items():  # evaluated anew, so that nothing is shared
        assert together[name] == estimate(one, 12 if ":" in name else 60), name


def test_long_rankings_are_gone_through_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.random.default_rng(0).multinomial(IMAGES, np.full(IMAGES, 1 / IMAGES), 50)
    whole = {name: one.resample(counts) for name, one in scored().items() if one is not None}
    monkeypatch.setattr(interpolation, "_STRETCH_ELEMENTS", 1)
    for name, one in scored().items():
        if one is not None:
            assert one.resample(counts) == pytest.approx(whole[name], abs=1e-14, nan_ok=True), name


def test_no_resamples_are_no_interval_and_no_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection_matching, "overlaps", None)
    for name, one in estimates(scored(), 0).items():
        assert one is None or (one.interval, one.note) == (None, NOT_ASKED_FOR), name


@pytest.mark.parametrize("seed", range(3))
def test_a_category_without_the_image_left_out_is_that_of_the_whole(seed: int) -> None:
    for name, one in scored(seed).items():
        if one is not None:
            weighed = one.resample(1 - np.eye(IMAGES, dtype=np.int64))
            np.testing.assert_allclose(one.without_each(np.arange(IMAGES)), weighed, rtol=0, atol=1e-12, err_msg=name)
            some = one.without_each(np.array([5, 2]))
            np.testing.assert_allclose(some, weighed[[5, 2]], rtol=0, atol=1e-12, err_msg=name)

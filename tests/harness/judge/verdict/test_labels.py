"""Claim label-efficiency: the area over log2 n, by hand, and the runs that are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.judge.verdict.labels import area_weights, judge_all
from harness.judge.verdict.verdict import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict


def fill(world: Any, right: np.ndarray, gains: dict[int, float], skip: tuple[int, ...] = ()) -> None:
    for size, gain in gains.items():
        world.add("fused", None, right, train={"limit": size, "validation_limit": 0})
        if size not in skip:
            world.add("fused", "C0", right - gain, train={"limit": size, "validation_limit": 0})


def decide(world: Any) -> Verdict:
    evidence = world.evidence()
    (found,) = judge_all(evidence, evidence.heads())
    return found


def test_weights_by_hand() -> None:
    # log2 of 100, 200, 800 lies 1 and 2 apart: trapezoids (a + b) / 2 * 1/3 + (b + c) / 2 * 2/3.
    assert area_weights([100, 200, 800]) == pytest.approx([1 / 6, 1 / 2, 1 / 3])
    assert sum(area_weights([3, 7, 100, 1000])) == pytest.approx(1)


@pytest.mark.parametrize(
    ("gains", "outcome"),
    [
        ({100: 0.2, 200: 0.1, 800: 0.0}, SUPPORTED),
        ({100: 0.0, 200: 0.0, 800: 0.0}, NOT_SUPPORTED),
        ({100: -0.2, 200: -0.1, 800: 0.0}, NOT_SUPPORTED),
    ],
)
def test_area(gains: dict[int, float], outcome: str, world: Any, right: np.ndarray) -> None:
    fill(world, right, gains)
    found = decide(world)
    assert found.outcome == outcome
    expected = gains[100] / 6 + gains[200] / 2 + gains[800] / 3
    assert found.numbers[0].value == pytest.approx(expected, abs=1e-9)
    assert "n = 100, 200, 800" in found.numbers[0].note


def test_missing_sizes_are_named_with_their_command(world: Any, right: np.ndarray) -> None:
    fill(world, right, {100: 0.1, 200: 0.1, 400: 0.1}, skip=(200,))
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert found.reason == "2 numbers of training samples with C0 beside; wanted 3"
    assert "--model fused --seeds 5 --controls --set train.limit=200" in found.missing[0]


def test_no_sweep_of_sizes_says_so_once(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    found = decide(world)
    assert found.model is None
    assert [item.partition("train.limit=")[2].split()[0] for item in found.missing] == ["125", "250", "500"]


def test_few_seeds(world: Any, right: np.ndarray) -> None:
    fill(world, right[:2], {100: 0.1, 200: 0.1, 400: 0.1})
    assert decide(world).reason == "2 of 5 seeds"


def test_without_a_control_nothing(world: Any, right: np.ndarray) -> None:
    world.controls["fused"] = ("C2",)
    fill(world, right, {100: 0.1, 200: 0.1, 400: 0.1})
    assert "--stand-in" in decide(world).reason


def test_validation_labels_count(world: Any, right: np.ndarray) -> None:
    for size in (100, 200, 800):
        for control, gain in ((None, 0.0), ("C0", 0.1 if size == 100 else 0.0)):
            world.add("fused", control, right - gain, train={"limit": size, "validation_limit": 100})
    # n = 200, 300, 900
    assert decide(world).numbers[0].value == pytest.approx(0.1 * area_weights([200, 300, 900])[0])

"""Claim label-efficiency: the area over log2 n, by hand, and the runs that are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.judge.verdict.labels import area_weights, judge_all
from harness.judge.verdict.labels_saved import crossing
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


def draws(world: Any, right: np.ndarray, curves: dict[int | None, tuple[float, float]]) -> None:
    """Models of so many samples a class, of four classes; None: all 64 samples. Scores of F and C0 around a half."""
    for shots, levels in curves.items():
        for control, level in zip((None, "C0"), levels, strict=True):
            values = right - right.mean(axis=1, keepdims=True) + level
            made = world.add("fused", control, values, train={"shots": shots}, created=f"2026-01-{shots or 9:02}")
            for record in made:
                known = record.provenance["training"] | {"samples": {"trained": (shots or 16) * 4, "of": 64}}
                told = replace(record, provenance={"training": known}, fingerprint=f"{record.fingerprint}-{shots}")
                world.records[world.records.index(record)] = told
                world.scores[told.fingerprint, None] = world.scores[record.fingerprint, None]


def test_shots_are_counted_by_the_labels_that_were_seen_and_all_samples_are_one_size(
    world: Any, right: np.ndarray
) -> None:
    # log2 of 4, 16, 64 labels are equally far apart; F reaches C0's .7 half of the way from 4 to 16, at 8.
    draws(world, right, {1: (0.6, 0.4), 4: (0.8, 0.5), None: (0.8, 0.7)})
    found = decide(world)
    assert found.outcome == SUPPORTED
    area, saved = found.numbers
    assert area.value == pytest.approx(0.25 * 0.2 + 0.5 * 0.3 + 0.25 * 0.1)
    assert "k = 1, 4, all" in area.note and "drawn with each seed" in area.note
    assert saved.value == pytest.approx(8 / 64) and saved.note.startswith("56 of 64 labels saved")
    assert saved.low is not None and saved.high is not None and 4 / 64 <= saved.low <= saved.value <= saved.high < 1


def test_what_is_never_reached_saves_nothing(world: Any, right: np.ndarray) -> None:
    draws(world, right, {1: (0.3, 0.4), 4: (0.4, 0.5), None: (0.5, 0.7)})
    found = decide(world)
    assert found.outcome == NOT_SUPPORTED and len(found.numbers) == 1


def test_the_interval_of_saved_labels_agrees_with_a_bootstrap(world: Any) -> None:
    """A second way: seeds and samples are drawn again, and the crossing is found in each draw."""
    generator = np.random.default_rng(5)
    base = (generator.random((1, 400)) < 0.5) - 0.5
    noise = generator.standard_normal((6, 5, 400)) * 0.3 + generator.standard_normal((6, 5, 1)) * 0.01
    levels = np.array([0.5, 0.4, 0.8, 0.5, 0.9, 0.65])
    values = base + noise + levels[:, None, None]
    for n, (shots, control) in enumerate((s, c) for s in (1, 4, None) for c in (None, "C0")):
        made = world.add("fused", control, values[n], train={"shots": shots})
        for record in made:
            known = record.provenance["training"] | {"samples": {"trained": (shots or 16) * 4, "of": 64}}
            told = replace(record, provenance={"training": known}, fingerprint=f"{record.fingerprint}-{shots}")
            world.records[world.records.index(record)] = told
            world.scores[told.fingerprint, None] = world.scores.pop((record.fingerprint, None))
    saved = decide(world).numbers[1]
    found = []
    for _ in range(2000):
        seeds, samples = generator.integers(0, 5, 5), generator.integers(0, 400, 400)
        f1, _, f4, _, fall, call = values[:, seeds][:, :, samples].mean(axis=(1, 2))
        place = crossing([(2.0, f1 - call), (4.0, f4 - call), (6.0, fall - call)])
        found.append(np.inf if place is None else 2**place / 64)
    low, high = np.quantile(found, (0.025, 0.975))
    assert saved.low == pytest.approx(low, rel=0.35) and saved.high == pytest.approx(high, rel=0.35)

"""Claim zero-shot: by language above C4, by side information above C3 alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.judge.verdict.verdict import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict
from harness.judge.verdict.zero_shot import judge_all


def fill(world: Any, right: np.ndarray, c3: float | None, c4: float | None, area_c4: float | None = None) -> None:
    generator = np.random.default_rng(0)
    noise = 0.05 * generator.standard_normal(right.shape)
    noise -= noise.mean()
    world.add("fused", None, {"AUSUC": right, "unseen-top-1": right})
    for control, gain in (("C3", c3), ("C4", c4)):
        if gain is not None:
            area = area_c4 if control == "C4" and area_c4 is not None else gain
            world.add("fused", control, {"AUSUC": right - area + noise, "unseen-top-1": right - gain + noise})


def decide(world: Any) -> Verdict:
    evidence = world.evidence(margin=0.02)
    (found,) = judge_all(evidence, evidence.heads())
    return found


@pytest.mark.parametrize(
    ("c3", "c4", "outcome", "words"),
    [
        (0.2, 0.1, SUPPORTED, "by language: unseen-top-1, AUSUC above C4"),
        (0.2, 0.0, SUPPORTED, "by side information only: unseen-top-1, AUSUC above C3; attributes without language"),
        (0.2, None, SUPPORTED, "C4 was not compared"),
        (0.0, 0.0, NOT_SUPPORTED, "no better than with texts without content (C3)"),
        (None, None, INCONCLUSIVE, "C3 was not run"),
        (None, 0.0, INCONCLUSIVE, "not told apart: unseen-top-1: F − C4, AUSUC: F − C4"),
    ],
)  # fmt: skip
def test_the_text_says_by_what(
    c3: float | None, c4: float | None, outcome: str, words: str, world: Any, right: np.ndarray
) -> None:
    fill(world, right, c3, c4)
    found = decide(world)
    assert found.outcome == outcome
    assert words in found.reason


def test_every_metric_must_be_above(world: Any, right: np.ndarray) -> None:
    fill(world, right, 0.2, 0.1, area_c4=0.0)
    found = decide(world)
    assert (found.outcome, "side information only" in found.reason) == (SUPPORTED, True)
    assert "(C4) do as well by AUSUC" in found.reason


def test_four_seeds_are_no_verdict(world: Any, right: np.ndarray) -> None:
    fill(world, right[:4], 0.2, 0.1)
    found = decide(world)
    assert (found.outcome, found.reason) == (INCONCLUSIVE, "4 of 5 seeds")


def test_not_learnable_is_no_verdict(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, {"AUSUC": right}, learnable=False)
    world.add("fused", "C3", {"AUSUC": right - 0.2})
    assert decide(world).reason == "not learnable here"


def test_a_table_without_unseen_classes_says_so_once(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    found = decide(world)
    assert (found.model, found.outcome) == (None, INCONCLUSIVE)
    assert "no class of this table is unseen" in found.reason


def test_h_counts_only_where_the_area_cannot_be_known(world: Any, right: np.ndarray) -> None:
    """A raw H says what a constant on seen classes' scores says; of labels alone there is nothing else."""
    fill(world, right, 0.2, 0.1)
    for record in world.records:
        record.metrics["H"] = record.metrics["AUSUC"]  # type: ignore[index]
    assert not any("H:" in number.name for number in decide(world).numbers)
    for record in world.records:
        del record.metrics["AUSUC"]  # type: ignore[attr-defined]
    assert any(number.name.startswith("H:") for number in decide(world).numbers)

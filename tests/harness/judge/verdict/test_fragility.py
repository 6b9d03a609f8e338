"""Claim fragility: effective robustness where there is a fit, else the drop and MMI beside each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.judge.robustness.cells import STANDARD_CELLS
from harness.judge.verdict.fragility import judge_all, needs
from harness.judge.verdict.needs import ClaimSubject
from harness.judge.verdict.verdict import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict
from harness.stats.difference import weighted_difference

CELLS = STANDARD_CELLS[:4]


def decide(world: Any, **options: Any) -> Verdict:
    evidence = world.evidence(**options)
    return judge_all(evidence, evidence.heads())[0]


def pair(world: Any, right: np.ndarray, loss: float, plain_loss: float, seeds: int = 5) -> None:
    for control, lost in ((None, loss), ("C0", plain_loss)):
        records = world.add("fused", control, right[:seeds])
        world.sweep(records, dict.fromkeys(CELLS, right[:seeds] - lost), clean=right[:seeds])


@pytest.mark.parametrize(
    ("loss", "plain", "outcome"), [(0.4, 0.3, SUPPORTED), (0.3, 0.3, NOT_SUPPORTED), (0.2, 0.3, NOT_SUPPORTED)]
)
def test_paired_drop(loss: float, plain: float, outcome: str, world: Any, right: np.ndarray) -> None:
    pair(world, right, loss, plain)
    found = decide(world)
    assert found.outcome == outcome
    assert found.numbers[0].value == pytest.approx(plain - loss)  # (mPC - clean) of F minus that of C0
    clean = right.mean(axis=1)
    by_hand = np.mean([(loss - plain) / (c - 0.1) for c in clean])
    assert found.numbers[1].value == pytest.approx(by_hand)
    assert "unpaired" not in found.numbers[0].note
    if outcome == NOT_SUPPORTED:
        assert found.reason.startswith("the drop is explained by clean accuracy")


def test_mmi_is_linear_in_the_samples(world: Any) -> None:
    """Its interval agrees with a bootstrap over samples of the ratio itself."""
    from harness.judge.verdict.fragility import Bearing, _linear_loss

    generator = np.random.default_rng(0)
    clean = generator.random((1, 500)) + 0.3
    bearing = Bearing(clean, clean * 0.6 + 0.1 * generator.standard_normal((1, 500)))
    values = _linear_loss(bearing, 0.1)
    assert values.mean() == pytest.approx(1 - (bearing.perturbed.mean() - 0.1) / (clean.mean() - 0.1))
    draws = generator.integers(0, 500, (4000, 500))
    loss = 1 - (bearing.perturbed[0][draws].mean(axis=1) - 0.1) / (clean[0][draws].mean(axis=1) - 0.1)
    found = weighted_difference((1.0,), (values,), range(500))
    assert found.error == pytest.approx(loss.std(), rel=0.06)


def test_from_records_alone(world: Any, right: np.ndarray) -> None:
    for control, level in ((None, 0.2), ("C0", 0.5)):
        records = world.add("fused", control, right)
        world.sweep(records, dict.fromkeys(CELLS, level), clean=0.7, half=0.01)
    found = decide(world)
    assert found.outcome == SUPPORTED
    assert "unpaired" in found.numbers[0].note
    assert found.numbers[0].value == pytest.approx(-0.3)
    assert found.numbers[1].value == pytest.approx(0.5)


def test_the_sign_of_effective_robustness_decides_where_there_is_a_fit(world: Any, right: np.ndarray) -> None:
    world.unfused = tuple(f"plain{n}" for n in range(6))
    for n, name in enumerate(world.unfused):  # mPC = clean on the logit axes
        level = 0.3 + 0.1 * n
        world.sweep(world.add(name, None, right), dict.fromkeys(CELLS, level), clean=level, half=0.004)
    fused = world.add("fused", None, right)
    world.sweep(fused, dict.fromkeys(CELLS, 0.4), clean=0.6, half=0.004)
    found = decide(world)
    assert found.outcome == SUPPORTED
    assert found.numbers[0].name == "effective robustness (mPC)"
    assert found.numbers[0].value == pytest.approx(-0.2)
    world.sweeps = [s for s in world.sweeps if s.model != "fused"]
    world.sweep(fused, dict.fromkeys(CELLS, 0.61), clean=0.6, half=0.004)
    found = decide(world)
    assert found.outcome == NOT_SUPPORTED
    assert "explained by clean accuracy" in found.reason


def test_few_seeds(world: Any, right: np.ndarray) -> None:
    pair(world, right, 0.4, 0.3, seeds=3)
    found = decide(world)
    assert (found.outcome, found.reason) == (INCONCLUSIVE, "3 of 5 seeds")


def test_a_failed_corruption_leaves_no_verdict(world: Any, right: np.ndarray) -> None:
    for control in (None, "C0"):
        records = world.add("fused", control, right)
        cells: dict[Any, Any] = dict.fromkeys(CELLS, 0.4)
        world.sweep(records, {**cells, CELLS[0]: "failed: it broke"} if control else cells, clean=0.7)
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert "has no score in seed 0" in found.reason


def test_clean_at_chance_leaves_no_verdict(world: Any, right: np.ndarray) -> None:
    for control in (None, "C0"):
        world.sweep(world.add("fused", control, right), dict.fromkeys(CELLS, 0.1), clean=0.11, half=0.05)
    assert "not clearly above chance" in decide(world).reason


def test_no_sweep_says_so_once(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    found = decide(world)
    assert (found.model, found.reason) == (None, "no model was perturbed")
    assert "--perturb standard" in found.missing[0]


def test_a_control_that_was_not_perturbed(world: Any, right: np.ndarray) -> None:
    world.sweep(world.add("fused", None, right), dict.fromkeys(CELLS, 0.4))
    world.add("fused", "C0", right)
    found = decide(world)
    assert found.reason == "fused [C0] was not perturbed"
    assert {number.name for number in found.numbers} == {"MMI image", "mPC"}


def unseen(world: Any) -> Verdict:
    evidence = world.evidence()
    scope = replace(evidence.scope, metric="unseen-top-1")
    return judge_all(replace(evidence, scope=scope), evidence.heads())[0]


def test_of_unseen_classes_attributes_stand_for_vision_alone(world: Any, right: np.ndarray) -> None:
    """C0 is at chance there."""
    world.sweep(world.add("fused", "C0", right), dict.fromkeys(CELLS, 0.1), clean=0.1)
    world.sweep(world.add("fused", None, right), dict.fromkeys(CELLS, 0.2), clean=0.7, half=0.01)
    assert unseen(world).reason == "C4 was not run"
    world.sweep(world.add("fused", "C4", right), dict.fromkeys(CELLS, 0.5), clean=0.7, half=0.01)
    found = unseen(world)
    assert found.outcome == SUPPORTED
    assert [number.name for number in found.numbers[:2]] == ["drop F − C4", "MMI F − C4"]


def test_needs_of_unseen_classes_name_attributes() -> None:
    subject = ClaimSubject("fused", ("C0", "C1", "C4"), ("unseen-top-1", "top-1"))
    assert {run.control for run in needs(subject)} == {None, "C4"}
    assert {run.control for run in needs(replace(subject, metrics=("top-1",)))} == {None, "C0"}
    assert {run.control for run in needs(replace(subject, controls=("C0", "C1")))} == {None, "C0"}

"""Claim efficient-tuning: the retained gain, its Fieller interval, and when there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.judge.verdict.tuning import judge_all
from harness.judge.verdict.verdict import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict
from harness.record import Efficiency
from harness.report.tables.document import document_text
from harness.report.tuning_table import tuning_table

COST = Efficiency(parameters_total=1000, parameters_trainable=100, peak_memory_bytes=2**21, train_seconds=40.0)


def fill(world: Any, right: np.ndarray, lora: float, full: float, frozen: float, noise: float = 0.01) -> None:
    generator = np.random.default_rng(4)
    world.controls = {"net": (), "net-lora": (), "net-frozen": ()}
    for name, level, tune in (("net", full, "full"), ("net-lora", lora, "lora"), ("net-frozen", frozen, "frozen")):
        rest = noise * generator.standard_normal(right.shape)
        world.add(name, None, right - right.mean() + level + rest - rest.mean(), tune=tune, efficiency=COST)


def decide(world: Any) -> Verdict:
    (found,) = judge_all(world.evidence())
    return found


@pytest.mark.parametrize(
    ("lora", "outcome"), [(0.71, SUPPORTED), (0.60, NOT_SUPPORTED), (0.695, INCONCLUSIVE)]
)  # fmt: skip
def test_retained_gain(lora: float, outcome: str, world: Any, right: np.ndarray) -> None:
    fill(world, right, lora, 0.70, 0.60)
    found = decide(world)
    assert found.model == "net-lora"
    assert found.numbers[0].value == pytest.approx((lora - 0.6) / 0.1)
    assert found.outcome == outcome
    assert "of the gain is kept" in found.reason


def test_the_interval_is_fiellers(world: Any, right: np.ndarray) -> None:
    """Its ends are where the contrast tuned - frozen - r (full - frozen) is just told apart from 0."""
    from harness.judge.verdict.comparison import contrast_with_control

    fill(world, right, 0.68, 0.70, 0.60, noise=0.2)
    evidence = world.evidence()
    number = decide(world).numbers[0]
    groups = {group.model: group for group in evidence.groups}
    for end, side in ((number.low, "low"), (number.high, "high")):
        terms = [(1.0, groups["net-lora"]), (-end, groups["net"]), (end - 1, groups["net-frozen"])]
        assert getattr(contrast_with_control(evidence, "top-1", terms), side) == pytest.approx(0, abs=1e-9)


def test_fieller_agrees_with_a_bootstrap(world: Any, right: np.ndarray) -> None:
    fill(world, right, 0.68, 0.70, 0.60, noise=0.3)
    number = decide(world).numbers[0]
    rows = {r.model: [] for r in world.records}  # type: ignore[var-annotated]
    for record in world.records:
        rows[record.model].append(world.scores[record.fingerprint, None].metrics["top-1"])
    values = np.array([rows["net-lora"], rows["net"], rows["net-frozen"]])
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(2000):
        seeds, samples = generator.integers(0, 5, 5), generator.integers(0, values.shape[2], values.shape[2])
        lora, full, frozen = values[:, seeds][:, :, samples].mean(axis=(1, 2))
        drawn.append((lora - frozen) / (full - frozen))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert number.low < number.value < number.high  # type: ignore[operator]
    assert (number.high - number.low) == pytest.approx(high - low, rel=0.5)  # type: ignore[operator]


def test_no_gain_no_ratio(world: Any, right: np.ndarray) -> None:
    fill(world, right, 0.6, 0.6, 0.6)
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert found.reason.startswith("undefined: full − frozen")


def test_costs_stand_beside(world: Any, right: np.ndarray) -> None:
    fill(world, right, 0.71, 0.70, 0.60)
    shown = {number.name: number.value for number in decide(world).numbers}
    assert shown["trained share, tuned"] == pytest.approx(0.1)
    assert shown["peak memory MiB, full"] == pytest.approx(2)
    assert shown["training s/step, tuned"] == pytest.approx(0.1)


def test_policies_stand_in_one_table(world: Any, right: np.ndarray) -> None:
    fill(world, right, 0.71, 0.70, 0.60)
    table = tuning_table([decide(world)])
    assert table is not None
    told = document_text([table], "text", 100)
    lines = {line.split("  ")[0]: line for line in told.splitlines()}
    assert "110% [" in lines["net-lora"] and "0.1000" in lines["net-lora"]
    assert " 100% " in lines["net-lora: full"] and " 0% " in lines["net-lora: frozen"]
    assert tuning_table([]) is None and max(map(len, told.splitlines())) <= 100


def test_missing_siblings_and_seeds(world: Any, right: np.ndarray) -> None:
    world.controls = {"net": (), "net-lora": ()}
    world.add("net-lora", None, right[:3], tune="lora")
    found = decide(world)
    assert found.missing[:2] == ("no full tuning of it was run", "no frozen tuning of it was run")
    assert any("--model net --seeds 5 --tune full" in item for item in found.missing)
    world.records.clear()
    fill(world, right[:3], 0.7, 0.7, 0.6)
    assert decide(world).reason == "3 of 5 seeds"


def test_full_tuning_with_other_settings_is_not_matched(world: Any, right: np.ndarray) -> None:
    fill(world, right, 0.7, 0.7, 0.6)
    world.records = [r for r in world.records if r.model != "net"]
    world.add("net", None, right, tune="full", train={"steps": 100})
    assert "not matched: train.steps 100, not 400" in decide(world).reason


def test_siblings_by_option(world: Any, right: np.ndarray) -> None:
    world.controls = {"net": ()}
    for tune, level in (("full", 0.7), ("lora", 0.71), ("frozen", 0.6)):
        world.add("net", None, right - right.mean() + level, tune=tune)
    found = decide(world)
    assert (found.model, found.outcome) == ("net (--tune lora)", SUPPORTED)


def test_nothing_tuned_says_so_once(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    found = decide(world)
    assert (found.model, found.reason) == (None, "no model was tuned efficiently")
    assert [item.split("--tune ")[1].split()[0] for item in found.missing] == ["lora", "full", "frozen"]


def test_runs_for_other_claims_take_no_policys_place(world: Any, right: np.ndarray) -> None:
    """A study trains the model by its own policy on a sequence and on fewer samples, later than it is tuned."""
    fill(world, right, 0.71, 0.70, 0.60)
    own = decide(world)
    later = {"tune": "full", "created": "2026-01-02"}
    world.add("net", None, right, train={"sequence": "base,style"}, **later)
    world.add("net", None, right, train={"limit": 125}, **later)
    assert decide(world) == own

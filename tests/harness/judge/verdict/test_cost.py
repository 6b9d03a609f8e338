"""Claim cost: ratios on a log scale over seeds, at which quality, and what makes them worthless."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from harness.judge.verdict.cost import judge
from harness.judge.verdict.verdict import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict
from harness.record import Efficiency


def cost(p50: float | None, memory: int, noisy: bool = False) -> Efficiency:
    notes = {"noisy": ["timings spread"] if noisy else []}
    return Efficiency(100, 7, 1000, p50, peak_memory_bytes=memory, notes=notes)


def fill(world: Any, right: np.ndarray, slower: list[float], larger: float, **fields: Any) -> None:
    gain = fields.pop("gain", 0.0)
    count = len(slower)
    fused = [cost(1e-3 * s, int(1e6 * larger), fields.get("noisy", False)) for s in slower]
    world.add("fused", None, right[:count], efficiency=fused, measure=fields.get("measure", {"warmups": 10}),
              device=fields.get("device", "a machine"))  # fmt: skip
    world.add("fused", "C0", right[:count] - gain, efficiency=cost(1e-3, 1_000_000), measure={"warmups": 10})


def decide(world: Any) -> Verdict:
    evidence = world.evidence()
    return judge(evidence, evidence.heads()[0])


def test_slower_and_larger_by_hand(world: Any, right: np.ndarray) -> None:
    fill(world, right, [2.0, 2.2, 1.8, 2.1, 1.9], 1.5)
    found = decide(world)
    assert found.outcome == SUPPORTED
    logs = np.log([2.0, 2.2, 1.8, 2.1, 1.9])
    reach = 2.7764451 * logs.std(ddof=1) / math.sqrt(5)
    latency = found.numbers[0]
    assert latency.value == pytest.approx(math.exp(logs.mean()))
    assert latency.low == pytest.approx(math.exp(logs.mean() - reach))
    assert "slower and larger: × p50 latency 1.995" in found.reason
    assert "at equal quality (F − C0 +0.000" in found.reason


def test_not_slower_is_not_supported(world: Any, right: np.ndarray) -> None:
    fill(world, right, [1.0, 1.01, 0.99, 1.0, 1.0], 1.5)
    found = decide(world)
    assert found.outcome == NOT_SUPPORTED
    assert found.reason.startswith("not slower but larger")


def test_a_cost_that_is_sure_but_negligible_is_none(world: Any, right: np.ndarray) -> None:
    fill(world, right, [2.0, 2.2, 1.8, 2.1, 1.9], 1.02)
    found = decide(world)
    assert found.outcome == NOT_SUPPORTED
    assert found.reason.startswith("not larger but slower")


def test_wide_ratios_are_inconclusive(world: Any, right: np.ndarray) -> None:
    fill(world, right, [0.5, 3.0, 1.0, 2.0, 0.8], 1.5)
    found = decide(world)
    assert (found.outcome, found.reason.partition(":")[0]) == (INCONCLUSIVE, "larger only")


def test_at_lower_quality_says_so(world: Any, right: np.ndarray) -> None:
    fill(world, right, [2.0] * 5, 1.5, gain=-0.1)
    assert "at lower quality (F − C0 -0.100" in decide(world).reason


def test_noisy_rows_are_said_to_be(world: Any, right: np.ndarray) -> None:
    fill(world, right, [2.0] * 5, 1.5, noisy=True)
    found = decide(world)
    assert "5 of 10 measurements were disturbed" in found.reason
    assert "disturbed" in found.numbers[0].note


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"device": "another"}, "measured on other machines"),
        ({"measure": {"warmups": 2}}, "measured otherwise: measure.warmups 2, not 10"),
    ],
)
def test_what_cannot_be_compared(fields: dict[str, Any], words: str, world: Any, right: np.ndarray) -> None:
    fill(world, right, [2.0] * 5, 1.5, **fields)
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert words in found.reason


def test_few_seeds_and_one(world: Any, right: np.ndarray) -> None:
    fill(world, right, [2.0], 1.5)
    found = decide(world)
    assert found.reason == "1 of 5 seeds"
    assert found.numbers[0].low is None  # one seed has no interval


def test_a_latency_that_was_not_measured(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right, efficiency=cost(None, 100))
    world.add("fused", "C0", right, efficiency=cost(1e-3, 100))
    assert decide(world).reason == "p50 latency was not measured with every seed"


def test_no_control(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    assert decide(world).reason == "C0 was not run"


def timed(p50: float, ratio: float, foreign: float) -> Efficiency:
    notes = {
        "calibrated_latency": {"version": 1, "ratio": ratio},
        "machine": {"threads": 1, "logical_cores": 2},
        "foreign_cpu_share": foreign,
    }
    return Efficiency(100, 7, 1000, p50, peak_memory_bytes=1_000_000, notes=notes)


def test_latency_is_in_units_of_the_workload_where_both_have_it(world: Any, right: np.ndarray) -> None:
    # The control was timed while others slowed the machine to a half: its seconds doubled, its ratio did not.
    world.add("fused", None, right, efficiency=[timed(2e-3, 4.0, 0.5)] * 5, measure={"warmups": 10})
    world.add("fused", "C0", right, efficiency=timed(4e-3, 4.0, 0.5), measure={"warmups": 10})
    assert decide(world).numbers[0].value == pytest.approx(1.0)


def test_a_crowded_machine_decides_nothing(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right, efficiency=[timed(2e-3, 8.0, 0.5)] * 5, measure={"warmups": 10})
    world.add("fused", "C0", right, efficiency=timed(2e-3, 4.0, 0.7), measure={"warmups": 10})
    found = decide(world)
    assert (found.outcome, found.reason) == (INCONCLUSIVE, "p50 latency was measured on a crowded machine")


def test_ratios_of_compressed_variants_stand_beside_and_decide_nothing(world: Any, right: np.ndarray) -> None:
    fill(world, right, [2.0, 2.2, 1.8, 2.1, 1.9], 1.5)
    alone = decide(world)
    world.add("fused+int8", None, right[:5], efficiency=[cost(3e-3 * s, 600_000) for s in (1.0, 1.1, 0.9, 1.0, 1.0)],
              measure={"warmups": 10})  # fmt: skip
    world.add("fused+int8", "C0", right[:5], efficiency=cost(1e-3, 500_000), measure={"warmups": 10})
    world.add("fused+onnx", None, right[:5], efficiency=cost(9e-3, 500_000), measure={"warmups": 10})
    found = decide(world)
    assert (found.outcome, found.reason) == (alone.outcome, alone.reason)
    beside = found.numbers[len(alone.numbers) :]
    assert [number.name for number in beside] == ["× p50 latency, both +int8", "× peak memory, both +int8"]
    assert beside[0].value == pytest.approx(3 * (1.1 * 0.9) ** 0.2)
    assert beside[1].value == pytest.approx(1.2)
    assert "of C0+int8" in beside[0].note

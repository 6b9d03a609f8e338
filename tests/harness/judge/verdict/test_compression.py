"""Claim compression: what each variant loses of the gain over vision alone, paired."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.judge.verdict.compression import judge
from harness.judge.verdict.verdict import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict


def decide(world: Any, right: np.ndarray, gain: float, **variants: tuple[float, float]) -> Verdict:
    """F is `gain` above C0; a variant takes so much off F and off C0."""
    world.add("fused", None, right[:5])
    world.add("fused", "C0", right[:5] - gain)
    for name, (ours, theirs) in variants.items():
        world.add(f"fused+{name}", None, right[:5] - ours)
        world.add(f"fused+{name}", "C0", right[:5] - gain - theirs)
    evidence = world.evidence()
    head = next(head for head in evidence.heads() if head.model == "fused")
    return judge(evidence, head)


def test_a_gain_that_is_kept(world: Any, right: np.ndarray) -> None:
    """Both lose .2, so that nothing is lost of the gain of .1."""
    found = decide(world, right, 0.1, int8=(0.2, 0.2), onnx=(0.004, 0.0))
    assert found.outcome == SUPPORTED
    shown = {number.name: number.value for number in found.numbers}
    assert shown == pytest.approx({"F − C0": 0.1, "lost by +int8": 0.0, "lost by +onnx": 0.004})
    assert found.reason == "gain kept, but for less than the margin, by +int8, +onnx"


def test_a_gain_that_is_lost_by_one(world: Any, right: np.ndarray) -> None:
    found = decide(world, right, 0.1, int8=(0.08, 0.0), onnx=(0.0, 0.0))
    assert found.outcome == NOT_SUPPORTED
    assert found.reason == "gain lost by +int8 (+0.080)"


def test_no_gain_can_be_lost(world: Any, right: np.ndarray) -> None:
    found = decide(world, right, -0.1, int8=(0.0, 0.0))
    assert found.outcome == INCONCLUSIVE
    assert found.reason == "no gain is shown that could be lost: F − C0 -0.100"


def test_a_variant_without_its_control_is_named(world: Any, right: np.ndarray) -> None:
    world.add("fused+int4", None, right[:5])
    found = decide(world, right, 0.1)
    assert found.outcome == INCONCLUSIVE
    assert found.reason == "fused+int4 [C0] was not run"
    assert "--model fused+int8" in found.missing[1].replace("'", "")

"""A text-only model (C5) that is shown to be above what guessing scores is named beside the verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.judge.verdict.accuracy import LEAKS, judge
from harness.judge.verdict.verdict import LEVEL, Verdict

from .made_up_records import MODALITY, World


def answers(score: float, seed: int) -> np.ndarray:
    found: np.ndarray = (np.random.default_rng(seed).random((5, 400)) < score).astype(float)
    return found


def verdict(alone: float, *, chance: float = 0.1, battery: bool = True, text: float | None = None) -> Verdict:
    """Judge a fused model whose text alone scores so much; `text` is what the texts of the world tell."""
    world = World()
    world.controls = {"fused": ("C0", "C5")}
    ceilings = {} if text is None else {"top-1": {"text": text, "both": 1.0}}
    fused = world.add("fused", None, answers(0.8, 1), ceilings=ceilings)
    world.add("fused", "C0", answers(0.6, 2), ceilings=ceilings)
    world.add("fused", "C5", answers(alone, 3), ceilings=ceilings)
    if battery:
        world.sweep(fused, MODALITY)
        world.sweeps = [replace(sweep, chance=chance) for sweep in world.sweeps]
    evidence = world.evidence()
    (head,) = evidence.heads()
    return judge(evidence, head)


def test_a_text_that_tells_the_answer_is_named_with_its_score() -> None:
    found = verdict(0.3)
    assert LEAKS in found.reason and "guessing scores 0.100" in found.reason
    number = found.numbers[-1]
    assert number.kind == LEVEL and number.name == "C5 alone" and number.value == pytest.approx(0.3, abs=0.03)
    assert number.low is not None and number.low > 0.1


@pytest.mark.parametrize(
    "found",
    [
        lambda: verdict(0.1),
        lambda: verdict(0.3, chance=0.4),
        lambda: verdict(0.3, battery=False),
        lambda: verdict(0.3, text=0.35),
    ],
    ids=["at chance", "below chance", "chance is not known", "this world's texts may tell so much"],
)
def test_what_is_no_leak_is_not_named(found: object) -> None:
    assert LEAKS not in found().reason  # type: ignore[operator]


def test_above_what_the_texts_of_a_world_tell_is_a_leak_too() -> None:
    assert "the texts of this world tell 0.150" in verdict(0.3, text=0.15).reason

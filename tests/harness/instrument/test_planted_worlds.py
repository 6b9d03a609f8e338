"""Planted answers are as often right as their world says, overall and in a slice, the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.instrument.planted_worlds import CONTROL_ARMS, FUSED, PlantedWorld, planted_worlds, without_modality
from harness.sample import Outcome

CLASSES, COUNT = 6, 8000
SAMPLES: Any = [
    SimpleNamespace(sample_id=str(n), target=SimpleNamespace(label=n % CLASSES, slices=("odd",) if n % 4 == 0 else ()))
    for n in range(COUNT)
]
WORLDS = {world.name: world for world in planted_worlds("odd")}


def right(outcomes: Sequence[Outcome]) -> np.ndarray:
    assert [outcome.sample_id for outcome in outcomes] == [sample.sample_id for sample in SAMPLES]
    told = np.array([outcome.prediction for outcome in outcomes])
    assert told.shape == (COUNT, CLASSES) and np.allclose(told.sum(axis=1), 1)
    found: np.ndarray = told.argmax(axis=1) == [sample.target.label for sample in SAMPLES]
    return found


def answers(world: PlantedWorld, arm: str, seed: int = 0) -> np.ndarray:
    return right(world.answers(arm, seed, SAMPLES, CLASSES))


@pytest.mark.parametrize("world", WORLDS.values(), ids=list(WORLDS))
def test_each_arm_is_right_as_often_as_its_world_says(world: PlantedWorld) -> None:
    """Five standard errors, and the seeds' own spread."""
    for arm in (FUSED, *CONTROL_ARMS):
        inside = world.slices.get("odd", {}).get(arm, world.scores[arm])
        truth = 0.75 * world.scores[arm] + 0.25 * inside
        assert answers(world, arm).mean() == pytest.approx(truth, abs=0.025 + 0.02), arm


def test_a_slice_has_a_score_of_its_own() -> None:
    found = answers(WORLDS["reversal"], FUSED)
    odd = np.arange(COUNT) % 4 == 0
    assert found[odd].mean() == pytest.approx(0.4, abs=0.05) and found[~odd].mean() == pytest.approx(0.85, abs=0.05)


def test_a_twin_answers_as_the_fused_model_but_on_few_samples() -> None:
    world = WORLDS["capacity"]
    fused, twin, other = (answers(world, arm) for arm in (FUSED, "C1", "C2"))
    assert 0 < (fused != twin).mean() < 0.02 and (fused != other).mean() > 0.1
    assert fused.mean() == pytest.approx(twin.mean(), abs=0.005)


def test_answers_are_the_same_each_time_and_others_with_each_seed() -> None:
    world = WORLDS["gain"]
    assert world.answers(FUSED, 1, SAMPLES, CLASSES) == world.answers(FUSED, 1, SAMPLES, CLASSES)
    assert (answers(world, FUSED, 0) != answers(world, FUSED, 1)).any()


def test_without_its_image_or_text_the_fused_model_is_mostly_wrong() -> None:
    assert right(without_modality(SAMPLES, CLASSES, 0, "wrong-image-1")).mean() == pytest.approx(0.2, abs=0.04)

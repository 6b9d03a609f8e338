"""Worlds of which the truth is known: how often a planted model and each of its controls is right, and where.

A model answers rightly with its own chance, which may differ in a slice. Luck is drawn a sample and a seed; half of it
is the same for all models of a world, as some samples are harder than others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.sample import Outcome, Sample

FUSED = "F"
"""The fused model among the arms of a world."""
CONTROL_ARMS = ("C0", "C1", "C2", "C3", "C4", "C5")
GAIN, NOTHING, CAPACITY, LEAK, REVERSAL = "gain", "nothing", "capacity", "leak", "reversal"
_BLIND, _CLEAR, _LOW = 1 / 24, 0.8, 0.7
_SHARED, _SURE, _TWIN_DIFFERS = 0.5, 0.9, 0.02
_SEED_SD = 0.004


@dataclass(frozen=True)
class PlantedWorld:
    """The true score of each arm by its name, and where an arm has another score in a slice.

    `twins` are arms that answer as the fused model does but on a fiftieth of the samples: they share its gain.
    """

    name: str
    scores: Mapping[str, float]
    slices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    twins: tuple[str, ...] = ()

    def answers(self, arm: str, seed: int, samples: Sequence[Sample], classes: int) -> list[Outcome]:
        """Answer all samples as an arm of this world does: probabilities of the classes, the answered one highest."""
        right = self._right(arm, seed, samples)
        own = _source(self.name, arm, seed, "wrong")
        labels = np.array([_label(sample) for sample in samples])
        other = (labels + 1 + own.integers(classes - 1, size=len(labels))) % classes
        answered = np.where(right, labels, other)
        rest = (1 - _SURE) / (classes - 1)
        return [
            Outcome(sample.sample_id, [_SURE if place == answer else rest for place in range(classes)])
            for sample, answer in zip(samples, answered.tolist(), strict=True)
        ]

    def _right(self, arm: str, seed: int, samples: Sequence[Sample]) -> npt.NDArray[np.bool_]:
        if arm in self.twins:
            alike = _source(self.name, arm, seed, "alike").random(len(samples)) >= _TWIN_DIFFERS
            return np.asarray(np.where(alike, self._right(FUSED, seed, samples), self._drawn(arm, seed, samples)))
        return self._drawn(arm, seed, samples)

    def _drawn(self, arm: str, seed: int, samples: Sequence[Sample]) -> npt.NDArray[np.bool_]:
        shared, own = (_source(self.name, who, seed, "luck").random(len(samples)) for who in ("all", arm))
        harder = _source(self.name, "all", 0, "hard").random(len(samples)) < _SHARED
        better = _SEED_SD * float(_source(self.name, arm, seed, "seed").standard_normal())
        chance = np.array([self._score(arm, sample) for sample in samples]) + better
        return np.asarray(np.where(harder, shared, own) < chance)

    def _score(self, arm: str, sample: Sample) -> float:
        within = (self.slices[name] for name in sample.target.slices if name in self.slices)
        return next((scores[arm] for scores in within if arm in scores), self.scores[arm])


def planted_worlds(reversed_slice: str) -> tuple[PlantedWorld, ...]:
    """The worlds that every instrument must tell apart; one is reversed in the slice of this name."""
    low = {**dict.fromkeys(CONTROL_ARMS, _LOW), "C5": _BLIND}
    gain = {**low, FUSED: _CLEAR}
    return (
        PlantedWorld(GAIN, gain),
        PlantedWorld(NOTHING, {**low, FUSED: _LOW}),
        PlantedWorld(CAPACITY, {**gain, "C1": _CLEAR}, twins=("C1",)),
        PlantedWorld(LEAK, {**gain, "C5": 0.4}),
        PlantedWorld(REVERSAL, {**gain, FUSED: 0.85}, {reversed_slice: {FUSED: 0.4}}),
    )


def without_modality(samples: Sequence[Sample], classes: int, seed: int, exchange: str) -> list[Outcome]:
    """Answer as the fused model of any world does when its image or its text is another sample's: mostly wrongly."""
    return PlantedWorld(exchange, {FUSED: 0.2}).answers(FUSED, seed, samples, classes)


def _label(sample: Sample) -> int:
    target: Any = sample.target
    return int(target.label)


def _source(*names: object) -> np.random.Generator:
    """A generator of its own for each purpose, the same on every machine."""
    return np.random.default_rng([int.from_bytes(str(name).encode(), "big") for name in names])

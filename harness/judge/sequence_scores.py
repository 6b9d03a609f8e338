"""What a record says of a sequence of trainings: scores of every domain before and after each stage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.record import Estimate, RunRecord
from harness.stats.difference import Difference, weighted_difference
from harness.stats.fieller import fieller
from harness.stats.forgetting import SEQUENCE_FIGURES, Weights, figure_contributions, retention
from harness.stats.resampling import FloatArray


@dataclass(frozen=True, eq=False)
class SequenceScores:
    """Scores `[T + 1, T]` of T domains (see `harness.stats.forgetting`), and what each sample adds to them.

    `contributions` has an array `[T + 1, n]` a domain, `clusters` names the group of each of its n samples, `same` what
    must be equal for two models to have answered the same samples.
    """

    metric: str
    domains: tuple[str, ...]
    values: FloatArray
    chance: FloatArray
    contributions: tuple[FloatArray, ...]
    clusters: tuple[tuple[str, ...], ...]
    same: tuple[str, ...]
    language_loss: tuple[float, ...] = ()
    """The language model's loss on held-out captions before and after each stage; empty where it has none."""

    @property
    def retention(self) -> float | None:
        """Zero-shot retention; None where nothing was known before training."""
        return retention(self.values, self.chance, np.array([float(own.shape[1]) for own in self.contributions]))

    def figure(self, name: str) -> float:
        """One of the figures by name."""
        return float((SEQUENCE_FIGURES[name](self.values) * self.values).sum())

    def adds(self, weights: Weights) -> FloatArray:
        """What each sample of all domains adds to a figure `[N]`; its mean is the figure."""
        return np.concatenate(figure_contributions(weights(self.values), list(self.contributions)))

    @property
    def groups(self) -> tuple[str, ...]:
        """The cluster of each sample of all domains `[N]`."""
        return tuple(f"{place} {name}" for place, own in enumerate(self.clusters) for name in own)


def sequence_scores(record: RunRecord) -> SequenceScores | None:
    """Read a record's sequence; None where it was trained on one domain."""
    block: Mapping[str, Any] | None = record.provenance.get("training", {}).get("sequence")
    if not block:
        return None
    rows: Sequence[Sequence[Mapping[str, Any]]] = block["scores"]
    domains = block["domains"]
    own = [np.array([_numbers(row[place]["per_sample"]) for row in rows]) for place in range(len(domains))]
    named = [tuple(d["clusters"].split()) or tuple(map(str, range(d["samples"]))) for d in domains]
    return SequenceScores(
        block["metric"],
        tuple(domain["name"] for domain in domains),
        np.array([[cell["value"] for cell in row] for row in rows]),
        np.array([domain["chance"] for domain in domains]),
        tuple(own),
        tuple(named),
        (block["metric"], *(domain["samples_sha256"] for domain in domains)),
        tuple(block.get("language_loss", {}).get("by_stage", ())),
    )


def figure_difference(name: str, models: Sequence[Sequence[SequenceScores]]) -> Difference:
    """A figure of a model by seed, or of the first model minus that of the second, over seeds and samples.

    The best stage that forgetting looks at is taken as known. Raises ValueError where models have other seeds.
    """
    signs = (1.0, -1.0)[: len(models)]
    values = [np.array([seed.adds(SEQUENCE_FIGURES[name]) for seed in own]) for own in models]
    return weighted_difference(signs, values, models[0][0].groups)


def figure_estimate(name: str, seeds: Sequence[SequenceScores]) -> Estimate:
    """A figure of a model, mean over seeds, with its interval."""
    found = figure_difference(name, (seeds,))
    low, high = found.interval or (None, None)
    return Estimate(found.value, low, high, found.clusters, found.note)


def retention_estimate(seeds: Sequence[SequenceScores]) -> Estimate | None:
    """Zero-shot retention over seeds, with Fieller's interval over seeds and samples.

    The ratio of the means over seeds. None where a seed knew nothing before training. Without interval where what was
    known then is too little for a bound.
    """
    if any(seed.retention is None for seed in seeds):
        return None
    before, start = (np.array([_above_chance(seed, place) for seed in seeds]) for place in (True, False))

    def left(ratio: float) -> Difference:
        return weighted_difference((1.0, -ratio), (before, start), seeds[0].groups)

    value = float(before.mean() / start.mean())
    none = left(value)
    ends = (-math.inf, math.inf) if none.note else fieller(left, value)
    if not all(map(math.isfinite, ends)):
        return Estimate(value, None, None, none.clusters, none.note or "too little was known before training")
    return Estimate(value, *ends, none.clusters)


def _above_chance(seed: SequenceScores, before_own_stage: bool) -> FloatArray:
    """What each sample adds `[N]` to the mean over domains 2..T of what is above chance.

    Just before a domain's own stage, else before any training.
    """
    later, weights = np.arange(1, len(seed.domains)), np.zeros_like(seed.values)
    weights[later if before_own_stage else 0, later] = 1 / len(later)
    found = np.concatenate(figure_contributions(weights, list(seed.contributions)))
    return np.asarray(found - seed.chance[later].mean())


def sequences_json(seeds: Sequence[SequenceScores]) -> dict[str, Any] | None:
    """The figures, and the mean scores of each domain before and after each stage; None without a sequence."""
    if not seeds:
        return None
    return {
        "metric": seeds[0].metric,
        "domains": list(seeds[0].domains),
        "scores": np.mean([seed.values for seed in seeds], axis=0).tolist(),
        "figures": {name: figure_estimate(name, seeds).to_json() for name in SEQUENCE_FIGURES},
        "retention": [seed.retention for seed in seeds],
        "mean_retention": mean.to_json() if (mean := retention_estimate(seeds)) else None,
        "language_loss": [list(seed.language_loss) for seed in seeds],
    }


def _numbers(text: str) -> FloatArray:
    return np.array([float(word) for word in text.split()])

"""Weighted sums of models' scores (a difference is +1 and -1) with the interval over seeds and samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.judge.verdict.evidence import Evidence, Group, ReadScores, finite
from harness.judge.verdict.needs import LEAST_SEEDS
from harness.judge.verdict.verdict import Number
from harness.stats.difference import Difference, difference_of_estimates, weighted_difference
from harness.stats.resampling import FloatArray
from harness.stats.sample_scores import SampleScores
from harness.stats.seed_variance import without_interval
from harness.stats.significance import holm

Term = tuple[float, Group]
_LEAST_CLUSTERS = 20
_ALPHA = 0.05
UNPAIRED = "unpaired: no sample scores are stored"


@dataclass(frozen=True)
class Sampled:
    """Scores of samples `[terms, seeds, samples]` of the same samples, and which cluster each sample is in."""

    values: FloatArray
    clusters: tuple[str, ...]


def contrast_with_control(evidence: Evidence, metric: str, terms: Sequence[Term]) -> Difference | str:
    """Sum weight x score of groups of models over the seeds that all of them have; or say why that cannot be done.

    Paired where the contributions of all samples are stored and are about the same samples. Else from the records' own
    intervals, those with weights of one sign taken as fully correlated and the two signs as independent.
    """
    seeds = common_seeds([group for _, group in terms])
    if not seeds:
        return f"no seed in common between {' and '.join(group.name for _, group in terms)}"
    for _, group in terms:
        for seed in seeds:
            problem = finite(group.by_seed[seed], metric)
            if problem is not None:
                return problem
    weights = [weight for weight, _ in terms]
    sampled = sample_values(evidence.read, metric, terms, seeds)
    if sampled is None:
        return _unpaired(metric, terms, seeds)
    return decidable(weighted_difference(weights, list(sampled.values), sampled.clusters))


def decidable(found: Difference) -> Difference | str:
    """The difference, or why it has no interval that anything could be decided by."""
    return few_samples(found.clusters) or found.note or found


def common_seeds(groups: Sequence[Group]) -> list[int]:
    """List the seeds that all groups have, ascending."""
    shared = set.intersection(*(set(group.by_seed) for group in groups))
    return sorted(shared)


def sample_values(
    read: ReadScores, metric: str, terms: Sequence[Term], seeds: Sequence[int], condition: str | None = None
) -> Sampled | None:
    """Read contributions to a metric; None where any is not stored, not finite, or not about the same samples."""
    first: SampleScores | None = None
    rows = []
    for _, group in terms:
        for seed in seeds:
            record = group.by_seed[seed]
            scores = read(record.task, record.fingerprint, condition)
            values = None if scores is None else _of_metric(scores, metric)
            if scores is None or values is None or not np.isfinite(values).all():
                return None
            estimate = record.metrics.get(metric)
            if condition is None and estimate is not None and not _fits(float(values.mean()), estimate.value):
                return None
            first = first or scores
            aligned = _aligned(values, scores, first)
            if aligned is None:
                return None
            rows.append(aligned)
    if first is None:
        return None
    return Sampled(np.array(rows).reshape(len(terms), len(seeds), -1), first.clusters)


def holm_shown(comparisons: Mapping[str, Difference], margin: float) -> tuple[set[str], set[str]]:
    """Name those that are above 0, and those that are below the margin, each kept at 5 % by Holm over all of them."""
    names = list(comparisons)
    above = dict(zip(names, holm([comparisons[name].p for name in names]), strict=True))
    below = dict(zip(names, holm([2 * comparisons[name].p_at_least(margin) for name in names]), strict=True))
    return (
        {n for n in names if above[n] <= _ALPHA and comparisons[n].low > 0},
        {n for n in names if below[n] <= _ALPHA and comparisons[n].high < margin},
    )


def number(name: str, difference: Difference, note: str = "", unpaired: str = UNPAIRED) -> Number:
    """Show a difference with its interval and the smallest one that such an experiment would find.

    `unpaired` says why it is not paired, where it is not; "" where `note` does.
    """
    notes = [note] if note else []
    seeds = "1 seed, whose variance is not known" if difference.seeds == 1 else f"{difference.seeds} seeds"
    notes.append(f"{seeds}, detectable {difference.detectable:.3f}")
    if not difference.paired and unpaired:
        notes.append(unpaired)
    return Number(name, difference.value, difference.low, difference.high, "; ".join(notes))


def is_too_few(group: Group) -> str | None:
    """Say that a model has too few seeds for any verdict; None where it has enough."""
    return few_seeds(len(group.by_seed))


def few_seeds(count: int) -> str | None:
    """Say that there are too few seeds for any verdict."""
    return None if count >= LEAST_SEEDS else f"{count} of {LEAST_SEEDS} seeds"


def few_samples(count: int) -> str | None:
    """Say that there are too few independent test samples (clusters) for an interval."""
    return None if count >= _LEAST_CLUSTERS else f"{count} independent test samples; wanted {_LEAST_CLUSTERS}"


def _of_metric(scores: SampleScores, metric: str) -> FloatArray | None:
    values = scores.metrics.get(metric)
    return None if values is None else np.asarray(values, dtype=np.float64)


def _fits(mean: float, value: float) -> bool:
    """Tell whether stored contributions are those of the record: their mean is its score."""
    return abs(mean - value) <= 1e-6 * max(1.0, abs(value))


def _aligned(values: FloatArray, scores: SampleScores, first: SampleScores) -> FloatArray | None:
    if scores.sample_ids == first.sample_ids:
        return values
    place = {sample_id: n for n, sample_id in enumerate(scores.sample_ids)}
    if len(place) != len(first.sample_ids) or place.keys() != set(first.sample_ids):
        return None
    return values[[place[sample_id] for sample_id in first.sample_ids]]


def _unpaired(metric: str, terms: Sequence[Term], seeds: Sequence[int]) -> Difference | str:
    estimates = [[e for seed in seeds if (e := g.by_seed[seed].metrics[metric]) is not None] for _, g in terms]
    lost = next((g.name for (_, g), own in zip(terms, estimates, strict=True) if without_interval(own)), None)
    found = difference_of_estimates([weight for weight, _ in terms], estimates)
    return f"{metric} of {lost} has no interval ({found.note})" if lost else decidable(found)

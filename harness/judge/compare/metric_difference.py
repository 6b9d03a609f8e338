"""What separates two models by one metric: the difference of `harness.stats.difference`, seed by seed, and flips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.protocols import Statistics
from harness.record import Estimate
from harness.stats.contributions import contributions
from harness.stats.difference import Difference, difference_of_estimates, weighted_difference
from harness.stats.proportions import Proportion
from harness.stats.resampling import FloatArray, MeanStatistics
from harness.stats.significance import mcnemar_p
from harness.stats.slices import groups_of, ungrouped

_PAIR = (1.0, -1.0)


@dataclass(frozen=True)
class Flips:
    """Of samples that are right or wrong: how many only one model has right, and McNemar's exact p.

    `p` is None where samples share images: flips are not independent then.
    """

    only_a: int
    only_b: int
    p: float | None


@dataclass(frozen=True)
class MetricDifference:
    """A - B by one metric, in its unit; `found` has the interval and p over seeds and samples.

    `count` is of the samples that inform the metric, `by_seed` the difference of each pair of seeds. `flips` of one
    seed, where answers are right or wrong.
    """

    metric: str
    a: float
    b: float
    found: Difference
    count: int
    by_seed: tuple[float, ...] = ()
    flips: Flips | None = None

    @property
    def smallest_detectable_change(self) -> float | None:
        """What is found in 4 of 5 such experiments; None where nothing varied."""
        return self.found.detectable if 0 < self.found.detectable < math.inf else None

    @property
    def sampling_sd(self) -> float | None:
        """Standard error of the difference from the sampling of the test set; None where that is not known."""
        return None if self.found.note else self.found.sample_error

    @property
    def seed_sd(self) -> float | None:
        """Standard error of the difference from training; None of one seed."""
        return self.found.seed_error if self.found.seeds > 1 else None

    @property
    def p(self) -> float | None:
        """Two-sided p of no difference; None where there is no interval."""
        return None if self.found.note else self.found.p

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        low, high = self.found.interval or (None, None)
        return {
            "metric": self.metric,
            "a": self.a,
            "b": self.b,
            "difference": self.found.value,
            "low": low,
            "high": high,
            "p": self.p,
            "count": self.count,
            "smallest_detectable_change": self.smallest_detectable_change,
            "sampling_sd": self.sampling_sd,
            "seed_sd": self.seed_sd,
            "by_seed": list(self.by_seed),
            "flips": None if self.flips is None else asdict(self.flips),
            "note": self.found.note,
            "told_apart": self.found.told_apart,
        }


def of_statistics(
    metric: str, a: Sequence[Statistics], b: Sequence[Statistics], *, same_seeds: bool = True
) -> MetricDifference | None:
    """Compare the same metric of two models on the same samples, by seed; None where it is undefined for one.

    With `same_seeds` the seeds of equal places are one seed.
    """
    if not all(math.isfinite(own.value) for own in (*a, *b)):
        return None
    groups = groups_of(a[0])
    scores = [np.stack([contributions(ungrouped(own)) for own in side]) for side in (a, b)]
    clusters = range(scores[0].shape[1]) if groups is None else groups
    found = weighted_difference(_PAIR, scores, clusters, same_seeds=same_seeds)
    informs = ~np.isnan(a[0].per_sample - b[0].per_sample)
    return MetricDifference(
        metric=metric,
        a=float(np.mean([own.value for own in a])),
        b=float(np.mean([own.value for own in b])),
        found=found,
        count=int(informs.sum()) or len(informs),
        by_seed=tuple(one.value - other.value for one, other in zip(a, b, strict=True)),
        flips=_flips(a[0], b[0]) if len(a) == 1 else None,
    )


def of_estimates(
    metric: str, a: Sequence[Estimate], b: Sequence[Estimate], *, same_seeds: bool = True
) -> MetricDifference:
    """Compare estimates by seed, as of different samples."""
    found = difference_of_estimates(_PAIR, (a, b), same_seeds=same_seeds)
    means = [sum(estimate.value for estimate in side) / len(side) for side in (a, b)]
    return MetricDifference(metric, means[0], means[1], found, found.clusters)


def _flips(a: Statistics, b: Statistics) -> Flips | None:
    """Count where answers are right or wrong; None for any other metric."""
    if (right := _right_or_wrong(a)) is None or (other := _right_or_wrong(b)) is None:
        return None
    only_a, only_b = int((right > other).sum()), int((other > right).sum())
    return Flips(only_a, only_b, mcnemar_p(only_a, only_b) if groups_of(a) is None else None)


def _right_or_wrong(statistics: Statistics) -> FloatArray | None:
    """[N] 1 or 0, NaN where a sample does not count, of a metric that is a share of right answers."""
    own = ungrouped(statistics)
    known = own.per_sample[~np.isnan(own.per_sample)]
    shares = isinstance(own, Proportion | MeanStatistics) and len(known) > 0 and np.isin(known, (0.0, 1.0)).all()
    return own.per_sample if shares else None

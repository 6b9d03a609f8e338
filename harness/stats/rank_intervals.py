"""Which ranks a model may have: models whose difference chance can explain share them.

A rank interval holds the true rank of all models of a table at once with 95 % confidence (Mogstad, Romano, Shaikh &
Wilhelm 2024, Review of Economic Studies 91, "Inference for Ranks"): a model's best rank counts those that are better
beyond doubt, its worst rank leaves out those that are worse beyond doubt. A pair is told apart by the p of its
difference, as `bench compare` and `bench verdict` have it (`stats.difference`), at one alpha for all pairs of the table
(the least p of all: Westfall & Young 1993, Resampling-Based Multiple Testing): one table makes one error in twenty.

That alpha is found from draws without any difference: clusters of samples with random signs (a multiplier bootstrap,
which keeps how pairs depend), seeds normal and independent between models, and the variances of both estimated anew in
each draw, since of five seeds a variance is known badly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from harness.record import Estimate
from harness.stats.difference import ALPHA, Difference, difference_of_estimates, weighted_difference
from harness.stats.sample_scores import SampleScores
from harness.stats.significance import cluster_sums
from harness.stats.t_distribution import t_quantile

if TYPE_CHECKING:
    from harness.stats.resampling import FloatArray

_DRAWS = 2000
_PAIR = (1.0, -1.0)
_NEAR = 1.02  # so near is the alpha of all pairs found
_ROUNDING = 1e-9  # models whose difference varies less over samples, of what they vary, differ alike on all of them


@dataclass(frozen=True)
class RankInterval:
    """Best and worst rank that a model may have, 1 being the highest score; paired where the samples were."""

    best: int
    worst: int
    paired: bool

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}-{self.worst}"


@dataclass(frozen=True)
class Contender:
    """A model's score with each of its seeds, what samples contribute to these (None where lost), the seeds' numbers.

    Seeds of two models with the same numbers, in the same order, are paired.
    """

    seeds: tuple[Estimate, ...]
    scores: tuple[SampleScores | None, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class _Scores:
    """What N samples contribute to the score of each of M models with each of its seeds; which cluster each is in."""

    values: tuple[FloatArray, ...]  # [S, N] a model
    clusters: tuple[str, ...]  # [N]


def rank_intervals(contenders: Sequence[Contender], metric: str, seed: int = 0) -> list[RankInterval]:
    """Rank by `metric`, where higher is better, in the given order.

    Differences are paired where all have contributions of the same samples; else intervals are compared as if of
    independent samples, with Bonferroni's correction, which shares more ranks than it must.
    """
    if len(contenders) < 2:
        return [RankInterval(1, 1, False) for _ in contenders]
    pairs = list(combinations(range(len(contenders)), 2))
    scores, found = _aligned(contenders, metric), pair_differences(contenders, metric)
    limit = ALPHA / len(pairs) if scores is None else _limit(contenders, scores, pairs, found, seed)
    better = [[False] * len(contenders) for _ in contenders]
    for (a, b), difference in zip(pairs, found, strict=True):
        if difference.p <= limit:
            winner, loser = (a, b) if difference.value > 0 else (b, a)
            better[winner][loser] = True
    return [
        RankInterval(1 + sum(row[own] for row in better), len(contenders) - sum(better[own]), scores is not None)
        for own in range(len(contenders))
    ]


def pair_differences(contenders: Sequence[Contender], metric: str) -> list[Difference]:
    """The difference of each pair, first with second, first with third, and so on; unpaired where samples are lost."""
    scores = _aligned(contenders, metric)
    pairs = combinations(range(len(contenders)), 2)
    if scores is None:
        return [_of_estimates(contenders[a], contenders[b]) for a, b in pairs]
    return [_of_samples(contenders, scores, pair) for pair in pairs]


def _aligned(contenders: Sequence[Contender], metric: str) -> _Scores | None:
    """Contributions of the same samples to all models; None where not paired."""
    import numpy as np

    found = [scores for contender in contenders for scores in contender.scores]
    first = found[0] if found else None
    if first is None or any(s is None or s.sample_ids != first.sample_ids or metric not in s.metrics for s in found):
        return None
    values = [np.stack([s.metrics[metric] for s in own.scores if s is not None]) for own in contenders]
    return _Scores(tuple(values), first.clusters) if all(np.isfinite(own).all() for own in values) else None


def _of_samples(contenders: Sequence[Contender], scores: _Scores, pair: tuple[int, int]) -> Difference:
    a, b = pair
    same = contenders[a].numbers == contenders[b].numbers
    return weighted_difference(_PAIR, (scores.values[a], scores.values[b]), scores.clusters, same_seeds=same)


def _of_estimates(a: Contender, b: Contender) -> Difference:
    return difference_of_estimates(_PAIR, (a.seeds, b.seeds), same_seeds=a.numbers == b.numbers)


def _limit(
    contenders: Sequence[Contender],
    scores: _Scores,
    pairs: Sequence[tuple[int, int]],
    found: Sequence[Difference],
    seed: int,
) -> float:
    """The largest alpha at which in 95 % of draws without any difference no pair's interval leaves out 0.

    Never below Bonferroni's, which holds however pairs depend. Where so few clusters could not show any pair's
    difference by their signs alone, nothing is told apart.
    """
    clusters = len(set(scores.clusters))
    if len(pairs) * 2.0 ** (1 - clusters) > ALPHA:
        return 0.0
    drawn = _draw(contenders, scores, seed)
    tests = [_drawn_test(drawn, pair, difference) for pair, difference in zip(pairs, found, strict=True)]
    low, high = ALPHA / len(pairs), ALPHA
    while high / low > _NEAR:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _any_beyond(tests, middle) <= ALPHA else (low, middle)
    return low


@dataclass(frozen=True)
class _Drawn:
    """Draws in which no model is better: what samples add to each mean, and the deviations of its seeds."""

    of_clusters: FloatArray  # [D, M]
    spread: FloatArray  # [M, M] standard deviation of what samples add to a difference
    seeds: tuple[FloatArray, ...]  # [D, S] a model, of variance 1
    seed_sd: tuple[float, ...]  # of one seed of a model
    numbers: tuple[tuple[int, ...], ...]
    sample_variance: FloatArray  # [D] an estimate of a variance of 1 from the clusters


@dataclass(frozen=True)
class _Test:
    """A pair in each draw: how far apart it is, and the variances that are estimated, with degrees of freedom."""

    apart: FloatArray  # [D] squared
    parts: tuple[tuple[FloatArray, float], ...]  # [D] each


def _any_beyond(tests: Sequence[_Test], alpha: float) -> float:
    """In which share of draws any pair's interval at 1 - alpha leaves out 0."""
    import numpy as np

    beyond = np.zeros(_DRAWS, dtype=bool)
    for test in tests:
        beyond |= test.apart > sum(t_quantile(freedom, alpha / 2) ** 2 * part for part, freedom in test.parts)
    return float(beyond.mean())


def _draw(contenders: Sequence[Contender], scores: _Scores, seed: int) -> _Drawn:
    import numpy as np

    generator = np.random.Generator(np.random.PCG64(seed))
    means = np.stack([own.mean(axis=0) for own in scores.values], axis=1)
    sums = cluster_sums(means - means.mean(axis=0), scores.clusters)
    signs = 2.0 * generator.integers(0, 2, size=(_DRAWS, len(sums)), dtype=np.int8) - 1.0
    products = sums.T @ sums
    own = np.diag(products)
    spread = np.sqrt(np.maximum(0.0, own[:, None] + own - 2 * products))
    spread[spread <= _ROUNDING * np.sqrt(own.max())] = 0.0
    return _Drawn(
        signs @ sums,
        spread,
        tuple(generator.standard_normal((_DRAWS, len(each))) for each in scores.values),
        tuple(float(each.mean(axis=1).std(ddof=1)) if len(each) > 1 else 0.0 for each in scores.values),
        tuple(contender.numbers for contender in contenders),
        generator.chisquare(len(sums) - 1, _DRAWS) / (len(sums) - 1),
    )


def _drawn_test(drawn: _Drawn, pair: tuple[int, int], found: Difference) -> _Test:
    """A pair in each draw, its variances estimated anew as `weighted_difference` estimates them."""
    import numpy as np

    a, b = pair
    apart = np.zeros(_DRAWS)
    if drawn.spread[pair] > 0:
        apart += found.sample_error / drawn.spread[pair] * (drawn.of_clusters[:, a] - drawn.of_clusters[:, b])
    parts = [(found.sample_error**2 * drawn.sample_variance, found.parts[-1][1])]
    for deviations, error in _seed_parts(drawn, pair, found.seed_error):
        count = deviations.shape[1]
        apart += error * math.sqrt(count) * deviations.mean(axis=1)
        parts.append((error**2 * deviations.var(axis=1, ddof=1), count - 1))
    return _Test(np.square(apart), tuple(parts))


def _seed_parts(drawn: _Drawn, pair: tuple[int, int], error: float) -> list[tuple[FloatArray, float]]:
    """Deviations [D, S] of variance 1, and the standard error that their mean has: of the pairs, or of each model."""
    a, b = pair
    if drawn.numbers[a] == drawn.numbers[b]:
        return [((drawn.seeds[a] - drawn.seeds[b]) / math.sqrt(2.0), error)] if error > 0 else []
    known = [(drawn.seeds[own], drawn.seed_sd[own]) for own in pair if drawn.seeds[own].shape[1] > 1]
    return [(seeds, sd / math.sqrt(seeds.shape[1])) for seeds, sd in known]

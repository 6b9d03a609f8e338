"""Which ranks a model may have: models whose difference chance can explain share them.

A rank interval holds the true rank of all models of a table at once with 95 % confidence (Mogstad, Romano, Shaikh &
Wilhelm 2024, Review of Economic Studies 91, "Inference for Ranks"): a model's best rank counts those that are better
beyond doubt, its worst rank leaves out those that are worse beyond doubt. All pairs are tested together, by the largest
studentised difference in a multiplier bootstrap over clusters of samples, so that one table makes one error in twenty.

The variance of a difference of means over seeds is that of samples and seeds, what they do together counted once
(`harness.stats.seed_variance`). Draws take the variance of seeds anew as well, since of five seeds it is known badly:
far out, where the largest of many differences lies, that matters much more than at the 95 % point of one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist, fmean, variance
from typing import TYPE_CHECKING

from harness.record import Estimate
from harness.stats.sample_scores import SampleScores
from harness.stats.seed_variance import seed_covariance, standard_error
from harness.stats.t_distribution import t_quantile

if TYPE_CHECKING:
    import numpy as np

    from harness.stats.intervals import FloatArray, IntArray

_DRAWS = 2000
_CONFIDENCE = 0.95
_ROUNDING = 1e-18  # models whose difference varies less over samples, of what they vary, differ alike on all of them
_NORMAL = NormalDist()


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
    """A model's score in a table, that of each of its seeds, and what samples contribute to these; None where lost."""

    estimate: Estimate
    seeds: tuple[Estimate, ...]
    scores: tuple[SampleScores | None, ...]

    @property
    def seed_variance(self) -> float:
        """What the seeds add to the variance of the score; 0 where one seed cannot tell."""
        values = [seed.value for seed in self.seeds]
        return variance(values) / len(values) if len(values) > 1 else 0.0


@dataclass(frozen=True)
class Table:
    """What samples contribute to the mean over seeds of each of M models, and how that may err."""

    values: FloatArray  # [N, M]
    clusters: tuple[str, ...]  # [N]
    both: tuple[float, ...]  # [M] the variance of what seeds and samples do together: the seeds' variance has it too
    scale: float  # by how much errors are larger than contributions show


def rank_intervals(contenders: Sequence[Contender], metric: str, seed: int = 0) -> list[RankInterval]:
    """Rank by `metric`, where higher is better, in the given order.

    Differences are paired where all have contributions of the same samples; else intervals are compared as if of
    independent samples, with Bonferroni's correction, which shares more ranks than it must.
    """
    if len(contenders) < 2:
        return [RankInterval(1, 1, False) for _ in contenders]
    table = _aligned(contenders, metric)
    better = _unpaired(contenders) if table is None else _paired(contenders, table, seed)
    return [
        RankInterval(
            1 + sum(better[other][own] for other in range(len(contenders))),
            len(contenders) - sum(better[own]),
            table is not None,
        )
        for own in range(len(contenders))
    ]


def _aligned(contenders: Sequence[Contender], metric: str) -> Table | None:
    """Contributions of the same samples to all models, averaged over each one's seeds; None where not paired."""
    import numpy as np

    found = [scores for contender in contenders for scores in contender.scores]
    first = found[0] if found else None
    if first is None or any(s is None or s.sample_ids != first.sample_ids or metric not in s.metrics for s in found):
        return None
    columns, both, shown, claimed = [], [], 0.0, 0.0
    for contender in contenders:
        values = np.stack([s.metrics[metric] for s in contender.scores if s is not None], axis=1)
        own, between = seed_covariance(values, first.clusters)
        columns.append(values.mean(axis=1))
        both.append(max(0.0, own - between) / values.shape[1])
        shown, claimed = shown + own, claimed + _claimed_variance(contender, own)
    scale = math.sqrt(max(1.0, claimed / shown)) if shown > 0 else 1.0
    return Table(np.stack(columns, axis=1), first.clusters, tuple(both), scale)


def _claimed_variance(contender: Contender, shown: float) -> float:
    """The sampling variance that the intervals of the seeds claim; the one that contributions show without any."""
    errors = [error for seed in contender.seeds if (error := standard_error(seed)) is not None]
    return fmean(error**2 for error in errors) if errors else shown


def _paired(contenders: Sequence[Contender], table: Table, seed: int) -> list[list[bool]]:
    """[M][M] whether one is better than another beyond doubt, from contributions of the same samples."""
    import numpy as np

    means = table.values.mean(axis=0)
    better = [[False] * len(means) for _ in means]
    pairs, clusters = len(means) * (len(means) - 1) / 2, len(set(table.clusters))
    if pairs * 2.0 ** (1 - clusters) > 1 - _CONFIDENCE:  # the least p of any test that flips signs, for all pairs
        return better
    errors = _errors(contenders, table)
    gaps = means[errors.first] - means[errors.second]
    beyond = np.abs(gaps) > _critical(errors, seed) * np.sqrt(errors.variance)
    for a, b, gap, certain in zip(errors.first, errors.second, gaps, beyond, strict=True):
        if certain:
            winner, loser = (a, b) if gap > 0 else (b, a)
            better[winner][loser] = True
    return better


@dataclass(frozen=True)
class Errors:
    """How the differences of P pairs of M models may err."""

    of_clusters: FloatArray  # [C, M] a cluster's share in the error of each mean
    first: IntArray  # [P]
    second: IntArray  # [P]
    shared: FloatArray  # [P] variance of a difference that is of the samples alone
    of_seeds: FloatArray  # [M] variance of a mean that is of its seeds
    freedom: IntArray  # [M] seeds less one
    least: FloatArray  # [P] variance of a difference were these the only seeds

    @property
    def variance(self) -> FloatArray:
        """[P] of each difference."""
        import numpy as np

        of_seeds = self.of_seeds[self.first] + self.of_seeds[self.second]
        return np.asarray(np.maximum(self.shared + of_seeds, self.least))


def _errors(contenders: Sequence[Contender], table: Table) -> Errors:
    import numpy as np

    from harness.stats.significance import cluster_sums

    first, second = np.array(list(combinations(range(len(contenders)), 2))).T
    means, samples = table.values.mean(axis=0), len(table.values)
    sums = cluster_sums(table.values, table.clusters) / samples
    of_clusters = table.scale * cluster_sums(table.values - means, table.clusters) / samples
    least = np.square(of_clusters[:, first] - of_clusters[:, second]).sum(axis=0) * len(sums) / max(1, len(sums) - 1)
    least += _grain(sums[:, first] - sums[:, second])
    both = table.scale**2 * np.array(table.both)
    return Errors(
        of_clusters,
        first,
        second,
        np.maximum(0.0, least - both[first] - both[second]),
        np.array([contender.seed_variance for contender in contenders]),
        np.array([len(contender.seeds) - 1 for contender in contenders]),
        least,
    )


def _grain(differences: FloatArray) -> FloatArray:
    """[C, P] clusters' shares in differences -> [P] variance added for scores that are discrete.

    As if one more cluster had gone fully each way (after Agresti & Min 2005, Statistics in Medicine 24), a cluster
    going as far as the furthest, or four times the usual if that is less: few samples that agree prove little.
    """
    import numpy as np

    usual = np.sqrt(np.square(differences).mean(axis=0))
    return np.asarray(2 * np.minimum(np.abs(differences).max(axis=0), 4 * usual) ** 2)


def _critical(errors: Errors, seed: int) -> float:
    """What the largest of all studentised differences stays below in 95 % of draws in which there are none."""
    import numpy as np

    generator = np.random.Generator(np.random.PCG64(seed))
    clusters, models = errors.of_clusters.shape
    first, second = errors.first, errors.second
    signs = generator.integers(0, 2, size=(_DRAWS, clusters), dtype=np.int8)
    drawn = (2.0 * signs - 1.0) @ errors.of_clusters
    spread = np.square(errors.of_clusters[:, first] - errors.of_clusters[:, second]).sum(axis=0)
    varies = spread > _ROUNDING * np.square(errors.of_clusters).sum(axis=0).max()
    reach = np.sqrt(np.divide(errors.shared, spread, where=varies, out=np.zeros_like(spread)))
    luck = generator.standard_normal((_DRAWS, models)) * np.sqrt(errors.of_seeds)
    apart = np.abs((drawn[:, first] - drawn[:, second]) * reach + luck[:, first] - luck[:, second])
    estimated = errors.of_seeds * _variances(generator, errors.freedom, (_DRAWS, models))
    variance = errors.shared * _variances(generator, np.array(clusters - 1), (_DRAWS, 1))
    variance += estimated[:, first] + estimated[:, second]
    largest = np.divide(apart, np.sqrt(variance), where=variance > 0, out=np.zeros_like(apart)).max(axis=1)
    return max(_NORMAL.inv_cdf(0.5 + _CONFIDENCE / 2), float(np.quantile(largest, _CONFIDENCE)))


def _variances(generator: np.random.Generator, freedom: IntArray, size: tuple[int, int]) -> FloatArray:
    """Estimates of a variance of 1 with so many degrees of freedom; 1 itself without any."""
    import numpy as np

    return np.asarray(
        np.where(freedom > 0, generator.chisquare(np.maximum(freedom, 1), size) / np.maximum(freedom, 1), 1.0)
    )


def _unpaired(contenders: Sequence[Contender]) -> list[list[bool]]:
    """Compare intervals as if of independent samples; an interval holds its seeds' variance already."""
    count = len(contenders)
    critical = _NORMAL.inv_cdf(1 - (1 - _CONFIDENCE) / 2 / max(1, count * (count - 1) // 2))
    usual = _NORMAL.inv_cdf(0.5 + _CONFIDENCE / 2)
    better = [[False] * count for _ in range(count)]
    for a in range(count):
        for b in range(count):
            high, low = contenders[a].estimate, contenders[b].estimate
            if high.low is None or low.high is None:
                continue
            error = math.hypot(high.value - high.low, low.high - low.value) / usual
            parts = [(contenders[place].seed_variance, len(contenders[place].seeds) - 1) for place in (a, b)]
            better[a][b] = high.value - low.value > _t_draws(critical, error**2, parts) * error
    return better


def _t_draws(normal: float, whole: float, parts: Sequence[tuple[float, int]]) -> float:
    """What is as far out in Student's distribution as `normal` is in the normal one.

    `parts` are variances within `whole` that were estimated, with their degrees of freedom (Satterthwaite 1946); the
    rest counts as known.
    """
    doubt = sum(part**2 / freedom for part, freedom in parts if freedom > 0)
    return normal if doubt == 0 else -t_quantile(whole**2 / doubt, _NORMAL.cdf(-normal))

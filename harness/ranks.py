"""Which ranks a model may have: models whose difference chance can explain share them.

A rank interval holds the true rank of all models of a table at once with 95 % confidence (Mogstad, Romano, Shaikh &
Wilhelm 2024, Review of Economic Studies 91, "Inference for Ranks"): a model's best rank counts those that are better
beyond doubt, its worst rank leaves out those that are worse beyond doubt. All pairs are tested together, by the largest
studentised difference in a multiplier bootstrap over clusters of samples, so that one table makes one error in twenty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING

from harness.record import Estimate
from harness.sample_scores import SampleScores

if TYPE_CHECKING:
    from harness.uncertainty import FloatArray, IntArray

_DRAWS = 2000
_CONFIDENCE = 0.95


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
    """A model's score in a table and, of each of its seeds, what the samples contribute to it; None where lost."""

    estimate: Estimate
    seed_values: tuple[float, ...]
    scores: tuple[SampleScores | None, ...]


def rank_intervals(contenders: Sequence[Contender], metric: str, seed: int = 0) -> list[RankInterval]:
    """Rank by `metric`, where higher is better, in the given order.

    Differences are paired where all have contributions of the same samples; else intervals are compared as if of
    independent samples, with Bonferroni's correction, which shares more ranks than it must.
    """
    if not contenders:
        return []
    table = _aligned(contenders, metric)
    better = _unpaired(contenders) if table is None else _paired(contenders, *table, seed)
    return [
        RankInterval(
            1 + sum(better[other][own] for other in range(len(contenders))),
            len(contenders) - sum(better[own]),
            table is not None,
        )
        for own in range(len(contenders))
    ]


def _aligned(contenders: Sequence[Contender], metric: str) -> tuple[FloatArray, tuple[str, ...]] | None:
    """[N, M] contributions, averaged over a model's seeds, and the cluster of each sample; None where not paired."""
    import numpy as np

    found = [scores for contender in contenders for scores in contender.scores]
    first = found[0] if found else None
    if first is None or any(s is None or s.sample_ids != first.sample_ids or metric not in s.metrics for s in found):
        return None
    columns = [np.mean([s.metrics[metric] for s in c.scores if s is not None], axis=0) for c in contenders]
    return np.stack(columns, axis=1), first.clusters


def _paired(
    contenders: Sequence[Contender], values: FloatArray, clusters: tuple[str, ...], seed: int
) -> list[list[bool]]:
    """[M][M] whether one is better than another beyond doubt, from contributions [N, M] of the same samples."""
    import numpy as np

    from harness.significance import cluster_sums

    means = values.mean(axis=0)
    better = [[False] * len(means) for _ in means]
    pairs = list(combinations(range(len(means)), 2))
    if not pairs:
        return better
    errors = cluster_sums(values - means, clusters) / len(values)  # [C, M] a cluster's share in the error of each mean
    first, second = np.array(pairs).T
    sampling = np.square(errors[:, first] - errors[:, second]).sum(axis=0)
    critical = _critical(errors, first, second, np.sqrt(sampling), seed)
    for (a, b), variance in zip(pairs, sampling, strict=True):
        error, stretch = _with_seeds(float(variance), contenders[a], contenders[b])
        gap = float(means[a] - means[b])
        if abs(gap) > critical * stretch * error:
            winner, loser = (a, b) if gap > 0 else (b, a)
            better[winner][loser] = True
    return better


def _critical(errors: FloatArray, first: IntArray, second: IntArray, spread: FloatArray, seed: int) -> float:
    """What the largest of all studentised differences stays below in 95 % of draws in which there are none."""
    import numpy as np

    generator = np.random.Generator(np.random.PCG64(seed))
    signs = generator.integers(0, 2, size=(_DRAWS, len(errors)), dtype=np.int8)
    drawn = (2.0 * signs - 1.0) @ errors
    apart = np.abs(drawn[:, first] - drawn[:, second])
    largest = np.divide(apart, spread, where=spread > 0, out=np.zeros_like(apart)).max(axis=1)
    return float(np.quantile(largest, _CONFIDENCE))


def _unpaired(contenders: Sequence[Contender]) -> list[list[bool]]:
    """Compare intervals as if of independent samples; an interval holds its seeds' variance already."""
    count = len(contenders)
    normal = NormalDist()
    usual = normal.inv_cdf(0.5 + _CONFIDENCE / 2)
    critical = normal.inv_cdf(1 - (1 - _CONFIDENCE) / 2 / max(1, count * (count - 1) // 2))
    better = [[False] * count for _ in range(count)]
    for a in range(count):
        for b in range(count):
            high, low = contenders[a].estimate, contenders[b].estimate
            error = math.hypot(high.value - high.low, low.high - low.value) / usual
            better[a][b] = high.value - low.value > critical * error
    return better


def _with_seeds(sampling: float, a: Contender, b: Contender) -> tuple[float, float]:
    """Standard error with the seeds' own variance, and how much wider few seeds make a 95 % interval."""
    from scipy.special import stdtrit

    parts = [(_variance(c.seed_values) / len(c.seed_values), len(c.seed_values) - 1) for c in (a, b)]
    of_seeds = sum(part for part, _ in parts)
    whole = sampling + of_seeds
    doubt = sum(part**2 / freedom for part, freedom in parts if freedom > 0)
    if doubt == 0:
        return math.sqrt(whole), 1.0
    freedom = whole**2 / doubt  # Satterthwaite 1946; the sampling variance counts as known
    usual = NormalDist().inv_cdf(0.5 + _CONFIDENCE / 2)
    return math.sqrt(whole), float(stdtrit(freedom, 0.5 + _CONFIDENCE / 2)) / usual


def _variance(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)

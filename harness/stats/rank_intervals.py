"""Which ranks a model may have: models whose difference chance can explain share them.

A rank interval holds the true rank of all models of a table at once with 95 % confidence (Mogstad, Romano, Shaikh &
Wilhelm 2024, Review of Economic Studies 91, "Inference for Ranks"): a model's best rank counts those that are better
beyond doubt, its worst rank leaves out those that are worse beyond doubt. A pair is told apart by the p of its
difference, as `bench compare` and `bench verdict` have it (`stats.difference`), at one alpha for all pairs of the table
(the least p of all): one table makes one error in twenty.

That alpha is found from draws without any difference (`stats.rank_limit`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.record import Estimate
from harness.stats.difference import ALPHA
from harness.stats.pairwise import EstimatedModels, PairRow, SampledModels
from harness.stats.rank_limit import alpha_of_all_pairs
from harness.stats.resampling import IntArray
from harness.stats.sample_scores import SampleScores


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


def rank_intervals(contenders: Sequence[Contender], metric: str, seed: int = 0) -> list[RankInterval]:
    """Rank by `metric`, where higher is better, in the given order.

    Differences are paired where all have contributions of the same samples; else intervals are compared as if of
    independent samples, with Bonferroni's correction, which shares more ranks than it must.
    """
    count = len(contenders)
    if count < 2:
        return [RankInterval(1, 1, False) for _ in contenders]
    models = compared(contenders, metric)
    if isinstance(models, SampledModels):
        rows = list(models.rows())
        better, worse = _counted(rows, count, alpha_of_all_pairs(models, rows, seed))
    else:
        better, worse = _counted(models.rows(), count, ALPHA / math.comb(count, 2))
    paired = isinstance(models, SampledModels)
    return [
        RankInterval(1 + int(above), count - int(below), paired) for above, below in zip(better, worse, strict=True)
    ]


def compared(contenders: Sequence[Contender], metric: str) -> SampledModels | EstimatedModels:
    """What their differences are made of: contributions of the same samples; estimates where any of these is lost."""
    numbers = [contender.numbers for contender in contenders]
    found = [scores for contender in contenders for scores in contender.scores]
    first = found[0] if found else None
    if first is None or any(s is None or s.sample_ids != first.sample_ids or metric not in s.metrics for s in found):
        return EstimatedModels([contender.seeds for contender in contenders], numbers)
    values = [np.stack([s.metrics[metric] for s in own.scores if s is not None]) for own in contenders]
    if not all(np.isfinite(own).all() for own in values):
        return EstimatedModels([contender.seeds for contender in contenders], numbers)
    return SampledModels(values, numbers, first.clusters)


def _counted(rows: Iterable[PairRow], count: int, alpha: float) -> tuple[IntArray, IntArray]:
    """How many are better than each model, and how many are worse, beyond doubt."""
    better, worse = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for own, row in enumerate(rows):
        told = row.told_apart(alpha)
        better[own] += (told < 0).sum()
        worse[own] += (told > 0).sum()
        better[own + 1 :] += told > 0
        worse[own + 1 :] += told < 0
    return better, worse

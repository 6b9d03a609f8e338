"""Differences of each model of a table with each later one, a row of that triangle at a time.

The numbers are those of `harness.stats.difference`: of `weighted_difference` where contributions of samples are known,
of `difference_of_estimates` where they are not. A table of 200 models has 19,900 pairs: one by one they took 20 s.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from harness.record import Estimate
from harness.stats.difference import ROUNDING
from harness.stats.resampling import FloatArray
from harness.stats.seed_variance import mean_standard_error
from harness.stats.significance import cluster_sums
from harness.stats.t_distribution import t_quantile

BoolArray = npt.NDArray[np.bool_]
SeedNumbers = tuple[int, ...]
"""The numbers of a model's seeds; rows of two models with the same numbers are of the same seeds."""


@dataclass(frozen=True)
class PairRow:
    """The differences of one model with each of B later ones: arrays [B], in the metric's unit.

    `seeds` are two standard errors with their degrees of freedom: where a pair has the same seeds what these differ by,
    and 0; else what the seeds of each model add. Of one seed they are 0. `decidable` is False without an interval.
    """

    value: FloatArray
    seeds: tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
    sample_error: FloatArray
    sample_freedom: FloatArray
    decidable: BoolArray

    @cached_property
    def seed_error(self) -> FloatArray:
        """What seeds add to the standard error."""
        return np.hypot(self.seeds[0][0], self.seeds[1][0])

    def told_apart(self, alpha: float) -> FloatArray:
        """1 where the model is above by an interval of 1 - alpha, -1 where it is below, 0 where that holds 0."""
        if alpha <= 0:
            return np.zeros(len(self.value))
        parts = (*self.seeds, (self.sample_error, self.sample_freedom))
        reach = np.sqrt(np.sum([np.square(quantiles(freedom, alpha) * error) for error, freedom in parts], axis=0))
        return np.where(self.decidable & (np.abs(self.value) >= reach), np.sign(self.value), 0.0)


def quantiles(freedom: FloatArray, alpha: float) -> FloatArray:
    """How many standard errors an interval of 1 - alpha reaches; 0 with no degree of freedom, where the error is 0."""
    from scipy.special import stdtrit

    if freedom.size and (freedom == freedom[0]).all():
        return np.full(freedom.shape, -t_quantile(float(freedom[0]), alpha / 2) if freedom[0] > 0 else 0.0)
    known, places = np.unique(freedom, return_inverse=True)
    found: FloatArray = np.where(known > 0, -stdtrit(np.maximum(known, 1), alpha / 2), 0.0)[places]
    return found


@dataclass(frozen=True)
class SampledModels:
    """Contributions [S, N] to a metric of each of M models, the numbers of its seeds, and the clusters [N]."""

    values: Sequence[FloatArray]
    numbers: Sequence[SeedNumbers]
    clusters: Sequence[Hashable]

    def rows(self) -> Iterator[PairRow]:
        """The differences of each model but the last with those after it."""
        for place in range(len(self.values) - 1):
            yield self._row(place)

    def _row(self, a: int) -> PairRow:
        value, informing = self._seeds.differences(a), self._informing(a)
        factor = informing / len(self.clusters)
        moves = self._moves[a] - self._moves[a + 1 :]  # [B, C]
        squares = np.einsum("bc,bc->b", moves, moves) * factor**2
        moves *= factor[:, None]
        moves += value[:, None]
        sizes = np.abs(moves, out=moves).sum(axis=1) - (moves.shape[1] - informing) * np.abs(value)
        seeds = self._seeds.parts(a)
        spread = squares / np.maximum(1, informing - 1) / informing
        grain = (informing * value**2 + squares) / np.where(sizes > 0, sizes, 1.0)
        for b in np.flatnonzero(sizes <= moves.shape[1] * self._scale(a)):
            if moves[b].max() <= self._scale(a)[b]:  # in no cluster they differ: by as much as scores do at all
                grain[b] = max(self._range(a, factor[b]), self._range(a + 1 + int(b), factor[b]))
        of_samples = np.maximum(0.0, spread - self._rest(a, factor, informing)) + 2 * (grain / informing) ** 2
        varies = of_samples + np.square(seeds[0][0]) + np.square(seeds[1][0]) > 0
        return PairRow(value, seeds, np.sqrt(of_samples), informing - 1.0, varies & (informing > 1))

    def _rest(self, a: int, factor: FloatArray, informing: FloatArray) -> FloatArray:
        """The variance [B] of each pair that seeds and clusters add together, which its seeds show already."""
        squares = self._seeds.shares(self._squares_of_rest, a).sum(axis=0)
        later, place = self._seeds.with_same(a)
        if len(later) and self._seeds.counts[a] > 1:
            products = self._products_of_rest[self.numbers[a]]
            own = np.diag(products)
            of_pairs = np.maximum(0.0, own[place] + own[place + 1 :] - 2 * products[place, place + 1 :])
            squares[later - a - 1] = of_pairs * self._seeds.share(a)
        return np.asarray(squares * factor**2 / np.maximum(1, informing - 1) / informing)

    def _scale(self, a: int) -> FloatArray:
        """Below what a deviation of each pair is rounding."""
        return np.asarray(ROUNDING * np.maximum(self._largest[a], self._largest[a + 1 :]))

    def _informing(self, a: int) -> FloatArray:
        """How many clusters move a model of each pair at all; all of them where none does."""
        clusters = self._reach.shape[1]
        if self._all_inform[a]:
            return np.full(len(self.values) - a - 1, float(clusters))
        scale = self._scale(a)[:, None]
        found = ((self._reach[a] > scale) | (self._reach[a + 1 :] > scale)).sum(axis=1)
        return np.asarray(np.where(found > 0, found, clusters), float)

    def _range(self, model: int, factor: float) -> float:
        """How far the values of a model's clusters lie apart, those of all seeds together."""
        means, (least, most) = self._seeds.values[model][:, None], self._ends[model]
        return float((means + factor * most).max() - (means + factor * least).min())

    @cached_property
    def _seeds(self) -> _Seeds:
        return _Seeds([own.mean(axis=1) for own in self.values], self.numbers)

    @cached_property
    def _largest(self) -> FloatArray:
        return np.array([np.abs(own).max() for own in self.values])

    @cached_property
    def _moves_of_seeds(self) -> list[FloatArray]:
        """What each cluster adds to the mean of each seed: [S, C] a model."""
        centred = [own - mean[:, None] for own, mean in zip(self.values, self._seeds.values, strict=True)]
        ends = np.cumsum([len(own) for own in centred])[:-1]
        return list(np.split(cluster_sums(np.concatenate(centred).T, self.clusters).T, ends))

    @cached_property
    def _moves(self) -> FloatArray:
        return np.stack([own.mean(axis=0) for own in self._moves_of_seeds])

    @cached_property
    def _reach(self) -> FloatArray:
        return np.stack([np.abs(own).max(axis=0) for own in self._moves_of_seeds])

    @cached_property
    def _all_inform(self) -> BoolArray:
        found: BoolArray = (self._reach > ROUNDING * self._largest.max()).all(axis=1)
        return found

    @cached_property
    def _ends(self) -> list[tuple[FloatArray, FloatArray]]:
        return [(own.min(axis=1, keepdims=True), own.max(axis=1, keepdims=True)) for own in self._moves_of_seeds]

    @cached_property
    def _of_rest(self) -> list[FloatArray]:
        """What seeds and clusters add together: [S * C] a model, over the root of the degrees of freedom of seeds."""
        moves = self._moves_of_seeds
        return [(own - own.mean(axis=0)).ravel() / math.sqrt(max(1, len(own) - 1)) for own in moves]

    @cached_property
    def _squares_of_rest(self) -> FloatArray:
        return np.array([float(own @ own) for own in self._of_rest])

    @cached_property
    def _products_of_rest(self) -> dict[SeedNumbers, FloatArray]:
        stacked = {n: np.stack([self._of_rest[p] for p in places]) for n, places in self._seeds.groups.items()}
        return {numbers: rest @ rest.T for numbers, rest in stacked.items()}


@dataclass(frozen=True)
class EstimatedModels:
    """The estimates of each of M models, one a seed, and the numbers of its seeds."""

    seeds: Sequence[Sequence[Estimate]]
    numbers: Sequence[SeedNumbers]

    def rows(self) -> Iterator[PairRow]:
        """The differences of each model but the last with those after it."""
        for place in range(len(self.seeds) - 1):
            yield self._row(place)

    def _row(self, a: int) -> PairRow:
        errors = self._errors
        decidable = np.isfinite(errors[a]) & np.isfinite(errors[a + 1 :])
        of_samples = np.where(decidable, np.hypot(errors[a], errors[a + 1 :]), 0.0)
        freedom = np.full(len(of_samples), np.inf)
        return PairRow(self._seeds.differences(a), self._seeds.parts(a), of_samples, freedom, decidable)

    @cached_property
    def _seeds(self) -> _Seeds:
        return _Seeds([np.array([estimate.value for estimate in own]) for own in self.seeds], self.numbers)

    @cached_property
    def _errors(self) -> FloatArray:
        """Sampling errors [M]; nan where a score has no interval."""
        found = [mean_standard_error(own) for own in self.seeds]
        return np.array([np.nan if error is None else error for error in found])


@dataclass(frozen=True)
class _Seeds:
    """The scores [S] of each of M models by seed, and the numbers of the seeds."""

    values: Sequence[FloatArray]
    numbers: Sequence[SeedNumbers]

    def differences(self, a: int) -> FloatArray:
        """How far a model is above each later one, on average."""
        found: FloatArray = self._means[a] - self._means[a + 1 :]
        return found

    def parts(self, a: int) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """Standard errors and degrees of freedom of a model's pairs with later ones, as `PairRow.seeds`."""
        first, second = self.shares(self._variances, a)
        later, _ = self.with_same(a)
        if len(later):
            differ = self.values[a] - np.stack([self.values[b] for b in later])
            first[later - a - 1], second[later - a - 1] = _variances(differ) * self.share(a), 0.0
        freedom = np.full(len(first), self.counts[a] - 1.0), self.counts[a + 1 :] - 1.0
        return (np.sqrt(first), freedom[0]), (np.sqrt(second), freedom[1])

    def shares(self, of_models: FloatArray, a: int) -> FloatArray:
        """[2, B] what a model and each later one add to the variance of a pair, divided by their seeds."""
        later = of_models[a + 1 :] * self._shares[a + 1 :]
        return np.stack([np.full(len(later), of_models[a] * self._shares[a]), later])

    def share(self, a: int) -> float:
        """One over the number of a model's seeds."""
        return float(self._shares[a])

    def with_same(self, a: int) -> tuple[npt.NDArray[np.int64], int]:
        """The later models with the same seeds, and the place of this one among all of those."""
        members = self.groups[self.numbers[a]]
        place = int(np.searchsorted(members, a))
        return members[place + 1 :], place

    @cached_property
    def groups(self) -> dict[SeedNumbers, npt.NDArray[np.int64]]:
        """The models with the same seeds, ascending."""
        members: dict[SeedNumbers, list[int]] = {}
        for place, numbers in enumerate(self.numbers):
            members.setdefault(numbers, []).append(place)
        return {numbers: np.array(places) for numbers, places in members.items()}

    @cached_property
    def counts(self) -> FloatArray:
        """How many seeds each model has."""
        return np.array([float(len(own)) for own in self.values])

    @cached_property
    def _shares(self) -> FloatArray:
        return 1 / self.counts

    @cached_property
    def _means(self) -> FloatArray:
        return np.array([own.mean() for own in self.values])

    @cached_property
    def _variances(self) -> FloatArray:
        return np.array([_variances(own[None])[0] for own in self.values])


def _variances(values: FloatArray) -> FloatArray:
    """Scores [B, S] of seeds -> their variances [B]; 0 of one seed."""
    return values.var(axis=1, ddof=1) if values.shape[1] > 1 else np.zeros(len(values))

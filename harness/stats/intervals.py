"""Intervals of scores.

Proportions: Wilson's score interval (Wilson 1927), with an effective number of trials where several share a group.
Corpus metrics: the percentile bootstrap over samples (Efron 1979; Koehn 2004, ACL W04-3250, for corpus metrics), each
resample scored anew from per-sample statistics, its percentiles expanded for few samples. The resamples depend on the
number of samples, the seed and the groups alone, so all metrics and models of the same samples share them.
`tests/benchmarks/bench_intervals.py` measures how often the truth is held.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from harness.protocols import Statistics
from harness.stats.resampling import BLOCK_ELEMENTS, BoolArray, FloatArray, IntArray, informs, without_each
from harness.stats.t_distribution import t_quantile

NO_WIDTH = 1e-8
"""Values that differ by less are alike: BLEU of right answers is below 1 by 1e-9 over the number of words."""
FEWEST_FOR_PERCENTILES = 6  # the range of five misses the middle of what they were drawn from once in 16 times
_FEWEST_OTHERS = 50  # groups on which a metric is undefined that a jackknife leaves out in turn


@dataclass(frozen=True)
class DifferenceOf:
    """What a metric of one model is above that of another, on the same samples."""

    a: Statistics
    b: Statistics

    @property
    def value(self) -> float:
        """a - b."""
        return self.a.value - self.b.value

    @property
    def per_sample(self) -> FloatArray:
        """[N] a - b of each sample alone; NaN where one of them has no score."""
        return np.asarray(self.a.per_sample - self.b.per_sample)

    @property
    def informs(self) -> BoolArray:
        """[N] which samples have a score in both."""
        return informs(self.a) & informs(self.b)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] differences."""
        return np.asarray(self.a.resample(counts) - self.b.resample(counts))

    def without_each(self, samples: IntArray) -> FloatArray:
        """[G] differences without each of these samples [G] in turn."""
        size = len(informs(self.a))
        return np.asarray(without_each(self.a, samples, size) - without_each(self.b, samples, size))


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion, within 0..1; 0..1 itself when nothing was tried.

    Counts of dependent trials may be effective ones, which are no whole numbers (`clustered_wilson`).

    >>> low, high = wilson(20, 20)
    >>> round(low, 3), high
    (0.839, 1.0)
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} trials")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def clustered_wilson(
    successes: FloatArray, groups: Sequence[Hashable], confidence: float = 0.95
) -> tuple[float, float]:
    """Wilson's interval of a proportion whose trials come in groups: `successes` [T] of 0 and 1, `groups` [T].

    The trials count as so many independent ones as would give the variance that the groups show (the design effect;
    Korn & Graubard 1998, Survey Methodology 24, with Wilson's interval: Dean & Pagano 2015, Journal of Survey
    Statistics and Methodology 3), at most as many as there are, and fewer for few groups (Student's quantile). Where
    all trials ended alike nothing shows how they depend, and each group is one trial. Of a single group the interval
    is 0..1. Raises ValueError for lengths that differ.
    """
    if len(groups) != len(successes):
        raise ValueError(f"{len(groups)} groups for {len(successes)} trials")
    if not len(successes):
        return 0.0, 1.0
    member, trials, share = _number(groups), len(successes), float(np.mean(successes))
    count = int(member.max()) + 1
    if count == 1:
        return 0.0, 1.0
    if share in (0.0, 1.0):
        return wilson(share * count, count, confidence)
    sums = np.bincount(member, weights=successes - share)
    variance = float((sums**2).sum()) / trials**2 * count / (count - 1)
    independent = trials if variance == 0 else min(trials, share * (1 - share) / variance)
    few = NormalDist().inv_cdf(0.5 + confidence / 2) / t_quantile(count - 1, 0.5 + confidence / 2)
    return wilson(share * independent * few**2, independent * few**2, confidence)


class Bootstrapped(NamedTuple):
    """An interval, how many resamples it is from, and how many had no value."""

    low: float  # NaN where no resample had a value
    high: float
    defined: int
    undefined: int


def percentile_interval(
    statistics: Statistics,
    drawn: FloatArray,
    *,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    error: float = 0.0,
) -> Bootstrapped:
    """Percentile interval of a corpus metric from its values on resamples, `drawn` [R], NaN where it is undefined.

    Metrics such as average precision or the calibration error are higher on resamples, which repeat samples, than on
    what was sampled; so the interval is moved by the difference between the metric and the mean of its resamples (on
    1,000 images AP's covers 95 % then and 90 % otherwise), but not out of 0..1 where the metric and its resamples are
    (a difference may be below 0), and the metric is always within. Resamples vary as if they knew the variance, so for
    few groups the percentiles are further out (`_expanded`), by the number of groups on which the metric is defined.
    `error` is a standard error that the interval must allow for: a mean over classes varies less on resamples than it
    should where classes have few samples (`jackknife_together`). Of fewer than six groups percentiles never reach far
    enough, and Student's interval with this error is joined. Resamples on which the metric is undefined are left out.
    """
    values, value = drawn[~np.isnan(drawn)], statistics.value
    if not len(values):
        return Bootstrapped(math.nan, math.nan, 0, len(drawn))
    count = len(informing_groups(statistics, groups))
    low, high = expanded_percentiles(values + (value - values.mean()), count, confidence)
    varied = float(np.ptp(values)) > NO_WIDTH
    scale = max(1.0, error / _spread(values, count)) if varied else 1.0
    low, high = value - scale * (value - low), value + scale * (high - value)
    if error and count > 1 and (count < FEWEST_FOR_PERCENTILES or not varied):
        reach = t_quantile(count - 1, 0.5 + confidence / 2) * error
        low, high = min(low, value - reach), max(high, value + reach)
    if not isinstance(statistics, DifferenceOf):  # a difference that no resample found below 0 may be below it
        least, most = min(value, float(values.min())), max(value, float(values.max()))
        low, high = (max(low, 0.0) if least >= 0 else low), (min(high, 1.0) if most <= 1 else high)
    return Bootstrapped(min(low, value), max(high, value), len(values), len(drawn) - len(values))


def informing_groups(statistics: Statistics, groups: Sequence[Hashable] | None) -> IntArray:
    """Numbers of the groups with a sample on which the metric is defined, ascending; each sample is one without any.

    A metric that has no score of any single sample is informed by all of them.
    """
    defined = informs(statistics)
    member = np.arange(len(defined)) if groups is None else _number(groups)
    return np.unique(member[defined] if defined.any() else member)


def jackknife_together(
    statistics: Sequence[Statistics], groups: Sequence[Hashable] | None = None, most: int = 1000, seed: int = 0
) -> list[float]:
    """Standard errors of metrics from what they are without each group in turn (Tukey 1958); 0 of a single group.

    The same groups must inform all of `statistics`; all are scored without one group before the next, so what they have
    in common needs to be worked out once. A class of one sample never varies on resamples that hold it, and of two
    samples half as much as it should; without one of them the mean over classes moves in full. Of more than `most`
    groups a part is left out in turn: those on which the metrics are defined first, the others counting for as many as
    they stand for. Where a metric is undefined without a group, that group is counted twice instead, as in
    `harness.stats.contributions`.
    """
    member = np.arange(len(informs(statistics[0]))) if groups is None else _number(groups)
    count = int(member.max()) + 1
    if count < 2:
        return [0.0] * len(statistics)
    generator = np.random.Generator(np.random.PCG64(seed))
    own = informing_groups(statistics[0], groups)
    others = np.setdiff1d(np.arange(count), own)
    first = generator.permutation(own)[:most]
    rest = generator.permutation(others)[: max(most - len(first), min(len(others), _FEWEST_OTHERS))]
    influences = np.concatenate([_influence(statistics, part, member) for part in (first, rest)], axis=1)
    weights = [len(own) / max(1, len(first))] * len(first) + [len(others) / max(1, len(rest))] * len(rest)
    centred = [influence - np.average(influence, weights=weights) for influence in influences]
    return [math.sqrt(float(np.sum(weights * each**2)) / (count - 1) / count) for each in centred]


def _influence(statistics: Sequence[Statistics], chosen: IntArray, member: IntArray) -> FloatArray:
    """[S, G] how far each of some groups moves each metric, times the groups less one; 0 where that is undefined."""
    count = int(member.max()) + 1

    def counted(some: Sequence[Statistics], groups: IntArray, times: int) -> FloatArray:
        rows = max(1, BLOCK_ELEMENTS // len(member))
        parts = [groups[start : start + rows] for start in range(0, len(groups), rows)]
        weighed = (np.where(member == part[:, None], times, 1) for part in parts)
        if not some:
            return np.empty((0, len(groups)))
        scores = [np.stack([one.resample(w) for one in some]) for w in weighed if w.sum(axis=1).all()]
        return np.concatenate([np.empty((len(some), 0)), *scores], axis=1)

    values = np.array([one.value for one in statistics])
    # What metrics know of themselves takes a thousandth of the time of scoring all samples without each in turn.
    alone = [getattr(one, "without_each", None) if len(member) == count else None for one in statistics]
    together = counted([one for one, known in zip(statistics, alone, strict=True) if known is None], chosen, 0)
    without = [next(rest) if known is None else known(chosen) for rest in [iter(together)] for known in alone]
    influences = (count - 1) * (values[:, None] - np.array(without).reshape(len(statistics), len(chosen)))
    for one, influence in zip(statistics, influences, strict=True):
        lost = np.flatnonzero(np.isnan(influence))
        if len(lost):
            influence[lost] = (count + 1) * (counted([one], chosen[lost], 2)[0] - one.value)
    return np.asarray(np.nan_to_num(influences))


def _spread(values: FloatArray, count: int) -> float:
    """Standard error that resamples of so many groups show, in which the groups' own mean counts as known."""
    return float(values.std()) * math.sqrt(count / max(1, count - 1))


def scored_blocks(
    statistics: Sequence[Statistics],
    resamples: Sequence[int],
    seed: int = 0,
    groups: Sequence[Hashable] | None = None,
) -> list[Callable[[], list[FloatArray]]]:
    """For each block of resamples what scores some metrics of the same samples on it, each on its first resamples.

    Each gives a metric's values, NaN where it is undefined. All are scored on one block before the next is drawn: it is
    drawn once, and what metrics have in common they need to work out once. They are to be called in order; some may be
    left out.
    """
    n, most = len(informs(statistics[0])), max(resamples)
    size = _block_size(n, most)
    blocks = enumerate(draw_resamples(n, most, seed, groups))

    def score(number: int) -> list[FloatArray]:
        block = next(block for place, block in blocks if place == number)
        # One array for all that want as many: what metrics have in common is kept by the array that it is of.
        parts = {wanted: block[: max(0, wanted - number * size)] for wanted in resamples}
        return [
            one.resample(parts[wanted]) if len(parts[wanted]) else np.empty(0)
            for one, wanted in zip(statistics, resamples, strict=True)
        ]

    return [partial(score, number) for number in range(math.ceil(most / size))]


def _block_size(n: int, resamples: int) -> int:
    """How many resamples of n samples are drawn at once: blocks are of about the same size."""
    rows = max(1, BLOCK_ELEMENTS // n)
    return math.ceil(resamples / math.ceil(resamples / rows))


def draw_resamples(
    n: int, resamples: int, seed: int = 0, groups: Sequence[Hashable] | None = None
) -> Iterator[IntArray]:
    """Yield blocks [r, n] of multiplicities: how often each sample is drawn in each resample.

    As many samples are drawn as there are, or with `groups` [n] as many groups as there are.
    """
    if n == 0 or resamples < 1:
        raise ValueError(f"cannot draw {resamples} resamples of {n} samples")
    if groups is not None and len(groups) != n:
        raise ValueError(f"{len(groups)} groups for {n} samples")
    member = np.arange(n) if groups is None else _number(groups)
    drawn = int(member.max()) + 1
    generator = np.random.Generator(np.random.PCG64(seed))
    rows = _block_size(n, resamples)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        counts = np.empty((size, drawn), dtype=np.int64)
        for row in counts:
            row[:] = np.bincount(generator.integers(0, drawn, size=drawn), minlength=drawn)
        yield counts if groups is None else counts[:, member]


def _number(groups: Sequence[Hashable]) -> IntArray:
    numbering: dict[Hashable, int] = {}
    return np.array([numbering.setdefault(group, len(numbering)) for group in groups], dtype=np.int64)


def _expanded(confidence: float, n: int) -> float:
    """How much of the resamples of n samples must lie within so that the truth does in `confidence` of experiments.

    The expanded percentile interval (Hesterberg 2015, The American Statistician 69, section 4.3): as far out as
    Student's interval of a mean is beyond the normal one with the resamples' own, too small, deviation. Of 200
    samples .953 for .95, of 20 .968. One sample says nothing of its spread.
    """
    if n < 2:
        return confidence
    reach = t_quantile(n - 1, 0.5 + confidence / 2) * math.sqrt(n / (n - 1))
    return 2 * NormalDist().cdf(reach) - 1


def expanded_percentiles(values: FloatArray, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Both ends of an interval from the resamples of n independent samples or groups (`_expanded`)."""
    return _percentiles(values, _expanded(confidence, n))


def _percentiles(values: FloatArray, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)

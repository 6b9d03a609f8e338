"""Intervals and paired differences.

Proportions: Wilson's score interval (Wilson 1927), with an effective number of trials where several share a group.
Corpus metrics: the percentile bootstrap over samples (Efron 1979; Koehn 2004, ACL W04-3250, for corpus metrics), each
resample scored anew from per-sample statistics, its percentiles expanded for few samples. The resamples depend on the
number of samples, the seed and the groups alone, so all metrics and models of the same samples share them, and
differences between models are paired. `tests/benchmarks/bench_intervals.py` measures how often the truth is held.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from harness.student import student_quantile

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_BLOCK_ELEMENTS = 4_000_000  # multiplicities held at once: 32 MB
_POWER = 0.8  # of the test that the smallest detectable change is for


class Resampled(Protocol):
    """What the bootstrap needs of a metric: its value, its number of samples, its score on resamples."""

    @property
    def value(self) -> float:
        """The corpus score on the full set."""
        ...

    @property
    def per_sample(self) -> FloatArray:
        """[N] the score of each sample alone."""
        ...

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] corpus scores."""
        ...


class PairedDifference(NamedTuple):
    """What separates two models on the same samples, in the metric's own unit."""

    difference: float  # a - b
    low: float
    high: float
    p: float  # two-sided, of no difference
    smallest_detectable_change: float  # a true difference this large is found in 4 of 5 such experiments


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
    few = NormalDist().inv_cdf(0.5 + confidence / 2) / student_quantile(count - 1, 0.5 + confidence / 2)
    return wilson(share * independent * few**2, independent * few**2, confidence)


def bootstrap_interval(
    statistics: Resampled,
    resamples: int = 1000,
    seed: int = 0,
    *,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a corpus metric; samples of one group (such as an image) are drawn together.

    Not for proportions: where all samples agree it has no width. Use `wilson` there. Metrics such as average
    precision or the calibration error are higher on resamples, which repeat samples, than on what was sampled; so
    the interval is moved by the difference between the metric and the mean of its resamples (on 1,000 images AP's
    covers 95 % then and 90 % otherwise), but not out of 0..1 where the metric and its resamples are. Resamples vary
    as if they knew the variance, so for few groups the percentiles are further out (`_expanded`). Resamples on which
    the metric is undefined are left out; NaN if all are.
    """
    values = resampled_values(statistics, resamples, seed, groups)
    values = values[~np.isnan(values)]
    if not len(values):
        return math.nan, math.nan
    drawn = len(statistics.per_sample) if groups is None else len(set(groups))
    low, high = _percentiles(values + (statistics.value - values.mean()), _expanded(confidence, drawn))
    least, most = min(statistics.value, float(values.min())), max(statistics.value, float(values.max()))
    return (max(low, 0.0) if least >= 0 else low), (min(high, 1.0) if most <= 1 else high)


def resampled_values(
    statistics: Resampled, resamples: int, seed: int = 0, groups: Sequence[Hashable] | None = None
) -> FloatArray:
    """[resamples] the metric on each resample, NaN where it is undefined."""
    counts = draw_resamples(len(statistics.per_sample), resamples, seed, groups)
    return np.concatenate([statistics.resample(block) for block in counts])


def paired_difference(
    a: Resampled,
    b: Resampled,
    resamples: int = 1000,
    seed: int = 0,
    *,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> PairedDifference:
    """Paired bootstrap of the difference of one corpus metric between two models on the same samples.

    p is the share of resamples whose difference strays from the observed one by at least the observed one's size,
    which is what chance would do were there no difference (Efron & Tibshirani 1993, chapter 16). Resamples on which
    the metric is undefined are left out; NaN if all are.
    """
    n = len(a.per_sample)
    if len(b.per_sample) != n:
        raise ValueError(f"paired statistics need the same samples, not {n} and {len(b.per_sample)}")
    counts = draw_resamples(n, resamples, seed, groups)
    differences = np.concatenate([a.resample(block) - b.resample(block) for block in counts])
    differences = differences[~np.isnan(differences)]
    observed = a.value - b.value
    if not len(differences):
        return PairedDifference(observed, math.nan, math.nan, math.nan, math.nan)
    extreme = int((np.abs(differences - observed) >= abs(observed)).sum())
    quantiles = NormalDist().inv_cdf(0.5 + confidence / 2) + NormalDist().inv_cdf(_POWER)
    low, high = _percentiles(differences, _expanded(confidence, n if groups is None else len(set(groups))))
    return PairedDifference(
        difference=observed,
        low=low,
        high=high,
        p=(extreme + 1) / (len(differences) + 1),
        smallest_detectable_change=quantiles * float(np.std(differences)),
    )


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
    rows = max(1, _BLOCK_ELEMENTS // n)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        cells = generator.integers(0, drawn, size=(size, drawn)) + drawn * np.arange(size)[:, None]
        counts = np.bincount(cells.ravel(), minlength=size * drawn).reshape(size, drawn)
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
    reach = student_quantile(n - 1, 0.5 + confidence / 2) * math.sqrt(n / (n - 1))
    return 2 * NormalDist().cdf(reach) - 1


def _percentiles(values: FloatArray, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)

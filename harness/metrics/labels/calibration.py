"""Expected calibration error, in bins of equal width or of equal mass, and what chance alone makes of it.

ECE = sum over bins of |sum of (correct - confidence)| / n (Naeini et al. 2015; Guo et al. 2017, arXiv 1706.04599),
with 15 bins.

Equal width, as in torchmetrics: bin b holds b/15 <= confidence < (b+1)/15, and a confidence of exactly 1 has a
sixteenth bin of its own.

Equal mass (adaptive, after Nixon et al. 2019, arXiv 1904.01685): the samples in ascending order of confidence are
cut into 15 bins that each hold exactly n/15 of them. A sample on an edge is divided between its bins, and samples of
equal confidence are taken as one, so that neither their order nor repeating the whole data set moves the score.
Where 15 divides n and no two confidences are equal this is the plain rule.

Even a perfectly calibrated model shows an ECE above 0. The null is its mean over simulations that draw each sample's
correctness with its confidence as the chance (fixed seed; 1,000 draws up to 400 samples, falling to 200 from 2,000 on).
A bootstrap adds to ECE as it repeats samples: its interval lies too high, and the null's with it, so compare the two
and not an interval with 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import scipy.sparse

from harness.errors import DataError
from harness.metrics.labels.class_means import ones
from harness.stats.proportions import BoolArray
from harness.stats.resampling import FloatArray, IntArray

BINS = 15
_NULL_SEED = 0
_NULL_DRAWS = 200, 1000  # fewest and most
_NULL_OUTCOMES = 400_000  # of all samples in all draws, as far as the fewest draws allow
_BLOCK_ELEMENTS = 1_000_000  # numbers held at once: 8 MB


@dataclass(frozen=True)
class Gaps:
    """Correct minus confidence of N samples in ascending order of confidence, for one or many sets of outcomes."""

    order: IntArray  # [N] which sample is where
    confidence: FloatArray  # [N] ascending, 0..1
    gap: FloatArray  # [N, D] -1..1

    @property
    def per_sample(self) -> FloatArray:
        """[N] the mean size of each sample's gap, in the order of the samples."""
        size = np.empty(len(self.order))
        size[self.order] = np.abs(self.gap).mean(axis=1)
        return size

    @property
    def run_ends(self) -> IntArray:
        """[G] where each run of equal confidences ends, exclusive."""
        return np.flatnonzero(np.append(np.diff(self.confidence) > 0, True)) + 1

    def blocks(self, counts: IntArray, width: int) -> Iterator[IntArray]:
        """[R, N] multiplicities -> blocks [r, N] in this order, when `width` numbers are needed for each resample."""
        rows = max(1, _BLOCK_ELEMENTS // max(counts.shape[1], width))
        for start in range(0, len(counts), rows):
            yield counts[start : start + rows, self.order]


@dataclass(frozen=True)
class EqualWidthError:
    """ECE in bins of equal width, the mean over D sets of outcomes."""

    gaps: Gaps
    smooth: ClassVar[bool] = False
    """A sum of absolute values: no jackknife holds for it."""

    @property
    def value(self) -> float:
        """The calibration error, 0..1."""
        return float(self.resample(ones(len(self.gaps.order)))[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] the error of each sample alone."""
        return self.gaps.per_sample

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] calibration errors."""
        return np.concatenate(
            [self._resample_block(block) for block in self.gaps.blocks(counts, self.gaps.gap.shape[1])]
        )

    def _resample_block(self, counts: IntArray) -> FloatArray:
        """[r, N] in order of confidence, in which each bin is a run, -> [r]."""
        cuts = np.searchsorted(self.gaps.confidence, np.linspace(0.0, 1.0, BINS + 1)[1:])
        error = np.zeros(len(counts))
        for start, stop in pairwise([0, *cuts.tolist(), len(self.gaps.order)]):
            if start < stop:
                sums = counts[:, start:stop].astype(np.float64) @ self.gaps.gap[start:stop]
                error += np.abs(sums).mean(axis=1)
        return np.asarray(error / counts.sum(axis=1))


@dataclass(frozen=True)
class EqualMassError:
    """Adaptive ECE, in bins of equal mass: the mean over D sets of outcomes."""

    gaps: Gaps
    smooth: ClassVar[bool] = False
    """A sum of absolute values: no jackknife holds for it."""

    @property
    def value(self) -> float:
        """The calibration error, 0..1."""
        return float(self.resample(ones(len(self.gaps.order)))[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] the error of each sample alone."""
        return self.gaps.per_sample

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] calibration errors."""
        blocks = self.gaps.blocks(counts, 2 * BINS * self.gaps.gap.shape[1])
        return np.concatenate([self._resample_block(block) for block in blocks])

    def _resample_block(self, counts: IntArray) -> FloatArray:
        """[r, N] in order of confidence -> [r].

        The sum of gaps up to an edge is that of the runs before it and a share of the run that it cuts, so sums
        are only needed up to where the cut runs start and end.
        """
        ends = self.gaps.run_ends
        run, share = _cut_runs(counts, ends)
        places = np.concatenate([np.append(0, ends)[run], ends[run]], axis=1)
        starts, stops, total = np.split(self._sums_upto(counts, places), [BINS - 1, 2 * (BINS - 1)], axis=1)
        at_edges = starts + share[:, :, None] * (stops - starts)
        in_bins = np.diff(np.concatenate([np.zeros_like(total), at_edges, total], axis=1), axis=1)
        return np.asarray(np.abs(in_bins).sum(axis=1).mean(axis=1) / counts.sum(axis=1), dtype=np.float64)

    def _sums_upto(self, counts: IntArray, places: IntArray) -> FloatArray:
        """[r, N] multiplicities and [r, K] places -> [r, K + 1, D] sums of gaps before each place, then of all."""
        rows, samples = counts.shape
        order = np.argsort(places, axis=1, kind="stable")
        row_starts = samples * np.arange(rows)[:, None]
        cuts = np.concatenate([row_starts, row_starts + np.take_along_axis(places, order, axis=1)], axis=1)
        # Each part of each resample is one row of a sparse matrix: the multiplicities of a run of samples.
        parts = scipy.sparse.csr_array(
            (
                counts.astype(np.float64).ravel(),
                np.tile(np.arange(samples), rows),
                np.append(cuts.ravel(), rows * samples),
            ),
            shape=(cuts.size, samples),
        )
        sums = np.cumsum((parts @ self.gaps.gap).reshape(*cuts.shape, -1), axis=1)
        back = np.append(np.argsort(order, axis=1), np.full((rows, 1), places.shape[1]), axis=1)
        return np.take_along_axis(sums, back[:, :, None], axis=1)


def _cut_runs(counts: IntArray, ends: IntArray) -> tuple[IntArray, FloatArray]:
    """[r, N] multiplicities -> [r, 14] the run that holds each inner edge; what share of it lies below, > 0, <= 1."""
    mass = BINS * np.cumsum(counts, axis=1)[:, ends - 1]  # times the bins, so that edges are whole numbers
    edges = mass[:, -1:] // BINS * np.arange(1, BINS)
    rows = np.arange(len(counts))[:, None]
    apart = rows * mass[:, -1].max()  # makes one ascending sequence of all rows, to search at once
    run = np.searchsorted((mass + apart).ravel(), edges + apart) - rows * len(ends)
    before = np.where(run > 0, mass[rows, np.maximum(run - 1, 0)], 0)
    return run, (edges - before) / (mass[rows, run] - before)


def calibration_statistics(confidence: FloatArray, correct: BoolArray) -> dict[str, EqualWidthError | EqualMassError]:
    """`ECE`, `adaptive-ECE` and the null of each, `ECE-null` and `adaptive-ECE-null`; all are 0..1.

    `confidence` [N] float64 in 0..1 is the probability given to the answer, `correct` [N] whether it was right.
    The nulls hold 1.6 to 8 KB a sample. In a resample the copies of a sample share its simulated outcomes, as they
    share the real one. Raises DataError for no samples, shapes that differ and confidences that are no probability.
    """
    if confidence.ndim != 1 or confidence.shape != correct.shape or len(confidence) == 0:
        raise DataError(
            f"Calibration needs at least one sample, not confidences of shape {confidence.shape} "
            f"and outcomes of shape {correct.shape}. Give one confidence and one outcome for each sample."
        )
    wrong = np.flatnonzero(~((confidence >= 0) & (confidence <= 1)))
    if wrong.size:
        raise DataError(
            f"Row {wrong[0]} has the confidence {confidence[wrong[0]]}. Give the probability of the answer, in 0..1."
        )
    order = np.argsort(confidence, kind="stable")
    ascending = confidence[order].astype(np.float64)
    real = correct[order].astype(np.float64)[:, None]
    # Drawn in order of confidence: the null then depends on the confidences alone, not on the order of samples.
    size = len(order), int(np.clip(_NULL_OUTCOMES // len(order), *_NULL_DRAWS))
    draws = np.random.Generator(np.random.PCG64(_NULL_SEED)).random(size) < ascending[:, None]
    observed, null = (Gaps(order, ascending, outcome - ascending[:, None]) for outcome in (real, draws))
    return {
        "ECE": EqualWidthError(observed),
        "adaptive-ECE": EqualMassError(observed),
        "ECE-null": EqualWidthError(null),
        "adaptive-ECE-null": EqualMassError(null),
    }

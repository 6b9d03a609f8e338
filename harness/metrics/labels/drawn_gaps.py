"""Sums of gaps over bins of resamples, worked out once for all calibration errors of the same answers.

A gap is correct minus confidence. Whether an answer is right is 0 or 1, so that sums of it over a resample are whole
numbers, which float32 holds exactly up to 2^24 in half the memory and time; sums of confidences are in float64 and the
same for all sets of outcomes. Both are taken between fixed places in the order of confidence. Edges of bins of equal
mass move from one resample to the next, by some tens of samples of thousands in a bin: what lies between an edge and
the fixed place next to it is added or taken away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse

from harness.stats.resampling import FloatArray, IntArray

BINS = 15
_EXACT = 2**24  # whole numbers up to here are exact in float32
_STRIDE = 64
_FEW = 64  # runs all of which begin at a fixed place: where few confidences differ


@dataclass(frozen=True)
class Gaps:
    """Confidences of N answers in ascending order, and one or many sets of outcomes."""

    order: IntArray  # [N] which sample is where
    confidence: FloatArray  # [N] ascending, 0..1
    outcomes: Any  # [N, D] 1 where right, else 0; float32, or float64

    @cached_property
    def per_sample(self) -> FloatArray:
        """[N] the mean size of each sample's gap, in the order of the samples."""
        size = np.empty(len(self.order))
        right = self.outcomes.mean(axis=1, dtype=np.float64)
        size[self.order] = right * (1 - self.confidence) + (1 - right) * self.confidence
        return size

    @cached_property
    def run_ends(self) -> IntArray:
        """[G] where each run of equal confidences ends, exclusive."""
        return np.flatnonzero(np.append(np.diff(self.confidence) > 0, True)) + 1


@dataclass
class LatestGaps:
    """The resamples that were asked for last: metrics are scored on one block of them after another."""

    _counts: IntArray | None = None
    _drawn: DrawnGaps | None = None

    def of(self, gaps: Gaps, counts: IntArray) -> DrawnGaps:
        """These multiplicities [R, N] in the order of confidence."""
        if self._drawn is None or self._counts is not counts:
            self._counts, self._drawn = counts, DrawnGaps(gaps.order, gaps.confidence, gaps.run_ends, counts)
        return self._drawn


@dataclass
class DrawnGaps:
    """Resamples of answers, and where their bins are."""

    order: IntArray
    confidence: FloatArray
    run_ends: IntArray
    counts: IntArray
    _errors: dict[int, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    """Of sets of outcomes, by what is theirs alone: these are the parts of one answer, and stay while it does."""

    def errors(self, outcomes: Any) -> tuple[FloatArray, FloatArray]:
        """[N, D] outcomes -> [R] errors in bins of equal width and [R] in bins of equal mass, means over D."""
        key = id(outcomes)
        if key not in self._errors:
            upto = self._outcomes_upto(outcomes) - self._fixed_confidence[:, :, None]
            width = np.abs(np.diff(upto[:, self._width_places], axis=1))
            self._errors[key] = self._mean_error(width), self._mean_error(self._in_equal_masses(outcomes, upto))
        return self._errors[key]

    def _mean_error(self, sums: FloatArray) -> FloatArray:
        """[R, B, D] sizes of sums in bins -> [R] errors."""
        return np.asarray(sums.sum(axis=1).mean(axis=1) / self._total)

    def _in_equal_masses(self, outcomes: Any, upto: FloatArray) -> FloatArray:
        """[R, 15, D] sizes of the sums of gaps in bins of equal mass; `upto` [R, F, D] are those before fixed places.

        The sum up to an edge is that of the runs before it and a share of the run that it cuts.
        """
        starts, _, share = self._edges
        rows = np.arange(len(starts))[:, None]
        before, within = self._moved(outcomes)
        at_starts = upto[rows, self._nearest] + before
        at_edges = at_starts + share[:, :, None] * within
        ends = np.zeros_like(upto[:, :1]), upto[:, -1:]
        return np.abs(np.diff(np.concatenate([ends[0], at_edges, ends[1]], axis=1), axis=1))

    @cached_property
    def _total(self) -> IntArray:
        """[R] how many were drawn."""
        return np.asarray(self.counts.sum(axis=1))

    @cached_property
    def _weights(self) -> Any:
        """[R, N] multiplicities in the order of confidence, as floats that hold sums of them exactly."""
        kind = np.float32 if self._total.max(initial=0) < _EXACT else np.float64
        return self.counts.astype(kind).take(self.order, axis=1, mode="clip")  # in half the time of [:, order]

    @cached_property
    def _edges(self) -> tuple[IntArray, IntArray, FloatArray]:
        """[R, 14] where the run begins that an inner edge cuts, where it ends, and what share of it is below, > 0."""
        edges = self._total[:, None] * np.arange(1, BINS)  # times the bins, so that they are whole numbers
        run = np.searchsorted(self.run_ends, self._reached(-(-edges // BINS)), side="right")
        starts, stops = np.append(0, self.run_ends)[run], self.run_ends[run]
        before, upto = BINS * self._drawn_before(starts), BINS * self._drawn_before(stops)
        return starts, stops, (edges - before) / (upto - before)

    def _reached(self, wanted: IntArray) -> IntArray:
        """[R, E] numbers of draws -> [R, E] the sample in the order of confidence with which so many are drawn."""
        stride = np.stack([np.searchsorted(row[1:], own) for row, own in zip(self._strides, wanted, strict=True)])
        drawn = np.take_along_axis(self._strides, stride, axis=1)[:, :, None] + np.cumsum(
            self._in_stride(stride), axis=2
        )
        return np.asarray(stride * _STRIDE + (drawn < wanted[:, :, None]).sum(axis=2))

    def _drawn_before(self, places: IntArray) -> FloatArray:
        """[R, E] places in the order of confidence -> [R, E] how many draws come before."""
        stride = places // _STRIDE
        own = self._in_stride(stride) * (np.arange(_STRIDE) < (places % _STRIDE)[:, :, None])
        return np.asarray(np.take_along_axis(self._strides, stride, axis=1) + own.sum(axis=2))

    @cached_property
    def _strides(self) -> FloatArray:
        """[R, S + 1] how many draws come before every 64th sample, and in all: to count at each sample is slow."""
        whole = self._weights.shape[1] // _STRIDE * _STRIDE
        parts = self._weights[:, :whole].reshape(len(self._weights), -1, _STRIDE).sum(axis=2).astype(np.float64)
        rest = self._weights[:, whole:].sum(axis=1, keepdims=True, dtype=np.float64)
        return _upto(np.concatenate([parts, rest], axis=1))

    def _in_stride(self, stride: IntArray) -> Any:
        """[R, E] numbers of strides -> [R, E, 64] how often their samples are drawn; 0 beyond the last sample."""
        places = stride[:, :, None] * _STRIDE + np.arange(_STRIDE)
        rows, last = np.arange(len(stride))[:, None, None], self._weights.shape[1] - 1
        return np.where(places <= last, self._weights[rows, np.minimum(places, last)], 0)

    @cached_property
    def _fixed(self) -> IntArray:
        """[F] places between which sums are taken: edges of bins of equal width, and about where the others are."""
        near = np.append(0, self.run_ends)
        if len(near) > _FEW:
            near = np.median(self._edges[0], axis=0).astype(np.int64)
        return np.unique(np.concatenate([self._width_cuts, near]))

    @cached_property
    def _width_cuts(self) -> IntArray:
        """[17] the edges of bins of equal width: where each begins, and the end."""
        cuts = np.searchsorted(self.confidence, np.linspace(0.0, 1.0, BINS + 1)[1:])
        return np.concatenate([[0], cuts, [len(self.order)]])

    @cached_property
    def _width_places(self) -> IntArray:
        """[17] where they are among the fixed places."""
        return np.searchsorted(self._fixed, self._width_cuts)

    @cached_property
    def _nearest(self) -> IntArray:
        """[R, 14] the number of the fixed place next to where the run of each edge begins."""
        starts, fixed = self._edges[0], self._fixed
        after = np.minimum(np.searchsorted(fixed, starts), len(fixed) - 1)
        before = np.maximum(after - 1, 0)
        return np.where(starts - fixed[before] < fixed[after] - starts, before, after)

    @cached_property
    def _fixed_confidence(self) -> FloatArray:
        """[R, F] sums of confidences before each fixed place."""
        parts = [self._weights[:, i:j] @ self.confidence[i:j] for i, j in pairwise(self._fixed.tolist())]
        return _upto(np.stack(parts, axis=1))

    def _outcomes_upto(self, outcomes: Any) -> FloatArray:
        """[R, F, D] sums of outcomes before each fixed place."""
        parts = [self._weights[:, i:j] @ outcomes[i:j] for i, j in pairwise(self._fixed.tolist())]
        return _upto(np.stack(parts, axis=1).astype(np.float64))

    @cached_property
    def _pieces(self) -> tuple[scipy.sparse.csr_array, FloatArray]:
        """[2 R 14, N] multiplicities between fixed places and runs, negative where these come before, then in the runs.

        Beside them [2 R 14] their sums of confidences.
        """
        starts, stops, _ = self._edges
        near = self._fixed[self._nearest]
        low = np.concatenate([np.minimum(near, starts).ravel(), starts.ravel()])
        high = np.concatenate([np.maximum(near, starts).ravel(), stops.ravel()])
        sign = np.concatenate([np.where(starts < near, -1, 1).ravel(), np.ones(starts.size, dtype=np.int64)])
        length = high - low
        piece = np.repeat(np.arange(len(low)), length)
        ends = np.append(0, np.cumsum(length))
        sample = np.arange(ends[-1]) - ends[piece] + low[piece]
        resample = piece % starts.size // starts.shape[1]
        weights = self._weights[resample, sample] * sign[piece].astype(self._weights.dtype)
        shape = len(low), len(self.order)
        of_confidence: FloatArray = np.zeros(len(low))
        of_confidence += np.bincount(piece, weights=weights * self.confidence[sample], minlength=len(low))
        return scipy.sparse.csr_array((weights, sample, ends), shape=shape), of_confidence

    def _moved(self, outcomes: Any) -> tuple[FloatArray, FloatArray]:
        """[R, 14, D] the sums of gaps between fixed places and runs, and those in the runs."""
        pieces, of_confidence = self._pieces
        sums = (pieces @ outcomes).astype(np.float64) - of_confidence[:, None]
        before, within = sums.reshape(2, *self._edges[0].shape, -1)
        return before, within


def _upto(parts: FloatArray) -> FloatArray:
    """[R, F - 1, ...] sums of parts -> [R, F, ...] sums of all parts before each place."""
    return np.concatenate([np.zeros_like(parts[:, :1]), np.cumsum(parts, axis=1)], axis=1)

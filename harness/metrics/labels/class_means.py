"""Means over classes of recall and of F1, recomputed for resamples from sparse counts.

A class without a label is left out of the mean of recalls; a class without a label that is not predicted either is left
out of the mean of F1. So it is within a resample, for what was drawn: the resample then scores as the data set that it
stands for. Where no class is left the mean is not a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse

from harness.stats.proportions import BoolArray
from harness.stats.resampling import FloatArray, IntArray

_BLOCK_ELEMENTS = 1_000_000  # multiplicities held at once as floats: 8 MB at most
_EXACT = 2**24  # whole numbers up to here are exact in float32


@dataclass(frozen=True)
class MeanRecall:
    """The mean over classes of the share of their samples that were recognised (balanced accuracy)."""

    members: scipy.sparse.csr_array  # [K, N] 1 where a sample is of a class
    hits: scipy.sparse.csr_array  # [K, N] 1 where it is also recognised
    per_sample: FloatArray  # [N] 1 or 0 for recognised or not; NaN where a sample belongs to no class of these

    @cached_property
    def value(self) -> float:
        """The mean recall, 0..1."""
        return float(self.resample(ones(len(self.per_sample)))[0])

    def without_each(self, samples: IntArray) -> FloatArray:
        """[S] samples -> [S] the mean recall without each of them in turn, NaN where no class is left."""
        return _means_without(self.hits, self.members, samples)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] mean recalls; NaN for a resample without a sample of these classes."""
        return np.concatenate([self._resample_block(block) for block in columns(counts, _kind(counts))])

    def _resample_block(self, block: Any) -> FloatArray:
        members = _sums_of_rows(self.members, block)
        return mean_of_ratios(_sums_of_rows(self.hits, block), members, members > 0)


@dataclass(frozen=True)
class MeanF1:
    """The mean over classes of 2 TP / (2 TP + FP + FN), for one or for many labels a sample.

    Over the classes that are right or predicted somewhere, as scikit-learn's `f1_score(average="macro")` takes them
    (`zero_division=nan` where there are many labels a sample) and torchmetrics': a class that is only ever predicted
    wrongly counts as 0.
    """

    members: scipy.sparse.csr_array  # [K, N] 1 where a sample has a label
    hits: scipy.sparse.csr_array  # [K, N] 1 where it is also predicted
    predicted: scipy.sparse.csr_array  # [K, N] 1 where it is predicted
    per_sample: FloatArray  # [N] F1 of each sample alone, over its labels

    @cached_property
    def value(self) -> float:
        """The mean F1, 0..1."""
        return float(self.resample(ones(len(self.per_sample)))[0])

    def without_each(self, samples: IntArray) -> FloatArray:
        """[S] samples -> [S] the mean F1 without each of them in turn, NaN where no class is left."""
        return _means_without(2 * self.hits, self._either, samples)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] mean F1 over the classes drawn or predicted; NaN for a resample without any."""
        return np.concatenate([self._resample_block(block) for block in columns(counts, _kind(counts))])

    def _resample_block(self, block: Any) -> FloatArray:
        either = _sums_of_rows(self._either, block)
        return mean_of_ratios(2 * _sums_of_rows(self.hits, block), either, either > 0)

    @cached_property
    def _either(self) -> scipy.sparse.csr_array:
        """[K, N] 1 where a sample has a label or it is predicted, 2 where both."""
        return self.members + self.predicted


def mean_of_ratios(numerators: FloatArray, denominators: FloatArray, drawn: BoolArray) -> FloatArray:
    """[K, R] each -> [R] the mean of the ratios over those classes that were drawn, NaN where none was."""
    ratios = np.divide(numerators, denominators, out=np.zeros_like(numerators), where=drawn)
    classes = drawn.sum(axis=0).astype(np.float64)
    means = np.divide(ratios.sum(axis=0), classes, out=np.full_like(classes, np.nan), where=classes > 0)
    return np.asarray(means)


def _means_without(
    numerators: scipy.sparse.csr_array, denominators: scipy.sparse.csr_array, samples: IntArray
) -> FloatArray:
    """[K, N] what each sample adds to ratios, and [S] samples -> [S] the mean ratio without each of them in turn.

    A sample moves the ratios of its own classes alone. Where it adds to a numerator it adds to the denominator too.
    """
    above, below = numerators.sum(axis=1), denominators.sum(axis=1)
    own, hit = (part.tocsc()[:, samples].tocoo() for part in (denominators, numerators))
    row, place = own.row, own.col
    key, wanted = (part.col.astype(np.int64) * len(below) + part.row for part in (own, hit))
    order, less = np.argsort(key), np.zeros(len(key))
    less[order[np.searchsorted(key, wanted, sorter=order)]] = hit.data

    def ratios(above: FloatArray, below: FloatArray) -> FloatArray:
        return np.divide(above, below, out=np.zeros_like(below), where=below > 0)

    moved = ratios(above[row] - less, below[row] - own.data) - ratios(above, below)[row]
    lost = (below[row] > 0) & (below[row] - own.data <= 0)
    sums = ratios(above, below).sum() + np.bincount(place, weights=moved, minlength=len(samples))
    classes = (below > 0).sum() - np.bincount(place, weights=lost, minlength=len(samples))
    return np.asarray(np.divide(sums, classes, out=np.full(len(samples), np.nan), where=classes > 0))


def columns(counts: IntArray, kind: Any = np.float64) -> Iterator[Any]:
    """[R, N] multiplicities -> blocks [N, r] of floats in which the resamples of a sample are neighbours."""
    rows = max(1, _BLOCK_ELEMENTS // max(1, counts.shape[1]))
    for start in range(0, len(counts), rows):
        yield counts[start : start + rows].T.astype(kind, order="C")


def _kind(counts: IntArray) -> Any:
    """Floats of 32 bits where sums of each sample counted twice are whole numbers that these hold: half the memory."""
    return np.float32 if 2 * int(counts.sum(axis=1).max(initial=0)) <= _EXACT else np.float64


def _sums_of_rows(rows: scipy.sparse.csr_array, block: Any) -> FloatArray:
    """[K, N] small whole numbers, and a block [N, r] of multiplicities -> [K, r] exact sums."""
    return np.asarray(rows.astype(block.dtype, copy=False) @ block, dtype=np.float64)


def ones(samples: int) -> IntArray:
    """[1, N] the resample that draws each sample once."""
    return np.ones((1, samples), dtype=np.int64)


def mean_recall(labels: IntArray, correct: BoolArray, considered: BoolArray) -> MeanRecall:
    """Mean recall over the classes that occur among `considered`; all arrays [N], at least one considered."""
    members = class_rows(labels, considered, of=np.unique(labels[considered]))
    hits = class_rows(labels, considered & correct, of=np.unique(labels[considered]))
    return MeanRecall(members, hits, np.where(considered, correct.astype(np.float64), np.nan))


def class_rows(classes: IntArray, where: BoolArray, of: IntArray) -> scipy.sparse.csr_array:
    """[K, N] 1 where sample n is of class `of[k]` (ascending) and counts; `classes` and `where` [N]."""
    row = np.searchsorted(of, classes)
    sample = np.flatnonzero(where & (of[np.minimum(row, len(of) - 1)] == classes))
    return scipy.sparse.csr_array((np.ones(len(sample)), (row[sample], sample)), shape=(len(of), len(classes)))

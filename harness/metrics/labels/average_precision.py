"""Average precision of rankings, and its mean over classes, exact in resamples with ties.

AP = sum over distinct scores, from the highest, of (recall gained there) * (precision down to there), as
scikit-learn's average_precision_score has it (no interpolation; samples of equal score enter together).

Between two scores that some positive sample has, only the number of samples matters. So per class there are two
sparse matrices with a row for each such score, and a resample needs no sorting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse

from harness.answers import UNKNOWN
from harness.metrics.labels.class_means import columns, mean_of_ratios, ones
from harness.stats.resampling import FloatArray, IntArray


@dataclass(frozen=True)
class LabelRanking:
    """One class: its samples by falling score, cut below each of the G distinct scores that a positive has."""

    passed: scipy.sparse.csr_array  # [G, N] 1 where a sample lies between one cut and the next
    positives: scipy.sparse.csr_array  # [G, N] 1 where it is positive as well

    def precision_sums(self, block: FloatArray) -> tuple[FloatArray, FloatArray]:
        """[N, r] multiplicities -> [r] the sum over drawn positives of the precision at each; [r] how many those are.

        The ratio of the two is the average precision.
        """
        found = self.positives @ block
        passed = np.cumsum(self.passed @ block, axis=0)
        found_so_far = np.cumsum(found, axis=0)
        total = found_so_far[-1].copy()
        precision = np.divide(found_so_far, passed, out=found_so_far, where=passed > 0)  # 0 where nothing was drawn
        return np.einsum("gr,gr->r", found, precision), total


@dataclass(frozen=True)
class MeanAveragePrecision:
    """The mean over classes of average precision; classes without a (drawn) positive are left out."""

    rankings: tuple[LabelRanking, ...]
    per_sample: FloatArray  # [N]

    @property
    def value(self) -> float:
        """The mean average precision, 0..1."""
        return float(self.resample(ones(len(self.per_sample)))[0])

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] mean average precisions; NaN for a resample without a positive."""
        return np.concatenate([self._resample_block(block) for block in columns(counts)])

    def _resample_block(self, block: FloatArray) -> FloatArray:
        sums, totals = zip(*(ranking.precision_sums(block) for ranking in self.rankings), strict=True)
        return mean_of_ratios(np.stack(sums), np.stack(totals), np.stack(totals) > 0)


def ranking(scores: FloatArray, labels: npt.NDArray[np.int8]) -> LabelRanking:
    """Rank the samples of one class; `scores` [N] any finite, `labels` [N] 0, 1 or UNKNOWN, at least one 1.

    Samples of which nobody knows whether they are of the class stand nowhere in the ranking.
    """
    known = np.flatnonzero(labels != UNKNOWN)
    order = known[np.argsort(-scores[known], kind="stable")]
    starts = np.flatnonzero(np.append(True, np.diff(scores[order]) != 0))
    positives = np.add.reduceat(labels[order], starts, dtype=np.int64)
    cuts = np.append(starts[1:], len(order))[positives > 0]
    positive = order[labels[order] == 1]
    return LabelRanking(
        _runs(order[: cuts[-1]], cuts, len(scores)),
        _runs(positive, np.cumsum(positives[positives > 0]), len(scores)),
    )


def precisions_within(scores: FloatArray, labels: npt.NDArray[np.int8]) -> tuple[FloatArray, FloatArray]:
    """Rank each row of `scores` [M, K] by itself, `labels` [M, K] being 0 or 1.

    Returns [M, K] the share of positives among all that score at least as high, and [M] the mean of that over
    the positives of a row: its average precision, NaN without a positive.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    last = np.append(np.diff(ranked, axis=1) != 0, np.ones((len(scores), 1), dtype=np.bool_), axis=1)
    place = np.where(last, np.arange(scores.shape[1]), scores.shape[1] - 1)
    end = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]  # of the run of equal scores
    found = np.cumsum(np.take_along_axis(labels, order, axis=1), axis=1, dtype=np.int64)
    precision = np.empty(scores.shape)
    np.put_along_axis(precision, order, np.take_along_axis(found, end, axis=1) / (end + 1), axis=1)
    positives = labels.sum(axis=1, dtype=np.int64)
    sums = (precision * labels).sum(axis=1)
    return precision, np.divide(sums, positives, out=np.full(len(scores), np.nan), where=positives > 0)


def _runs(samples: IntArray, ends: IntArray, width: int) -> scipy.sparse.csr_array:
    """[G, width] rows of ones at runs of `samples`, each run given by its exclusive end."""
    return scipy.sparse.csr_array(
        (np.ones(len(samples)), samples.astype(np.int32), np.append(0, ends).astype(np.int32)), shape=(len(ends), width)
    )

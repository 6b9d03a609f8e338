"""Directional bias amplification, BiasAmp→ (Wang & Russakovsky 2021, arXiv 2102.12594), with resamples.

Of groups A (a column that the user gives) and labels T (what is predicted). A pair (a, t) is correlated where
P(a, t) > P(a) P(t) in the truth. Amplification from A to T is the mean over all pairs of
    P(predicted t | a) - P(t | a)        where the pair is correlated,
    P(t | a) - P(predicted t | a)        where it is not.
0: predictions keep the correlation; above 0: they make it stronger. From T to A it is the same with both exchanged, and
needs predictions of A. All probabilities are of the samples that are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.stats.resampling import FloatArray, IntArray

OF_ATTRIBUTES = "BiasAmp:attribute"
"""The name under which a scorer tells amplification from an attribute that training data ties to labels."""
_ROWS = 64  # resamples at once


@dataclass(frozen=True)
class BiasAmplification:
    """Amplification from `given` [N] (0..G-1) to `label` [N] by `predicted` [N] (0..L-1; other values: no label)."""

    given: IntArray
    label: IntArray
    predicted: IntArray
    group_count: int
    label_count: int

    @property
    def value(self) -> float:
        """The amplification, -1 to 1; NaN without a group."""
        return float(self.resample(np.ones((1, len(self.given)), dtype=np.int64))[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] NaN: no sample has a score of its own."""
        return np.full(len(self.given), np.nan)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R]."""
        blocks = [self._of(counts[start : start + _ROWS]) for start in range(0, len(counts), _ROWS)]
        return np.concatenate([np.nanmean(pairs.reshape(len(pairs), -1), axis=1) for pairs in blocks])

    def _of(self, counts: IntArray) -> FloatArray:
        """[R, G, L] signed changes of each pair."""
        true, said = (self._joint(counts, labels) for labels in (self.label, self.predicted))
        total = true.sum(axis=(1, 2))
        of_group, of_label = true.sum(axis=2), true.sum(axis=1)
        correlated = true * total[:, None, None] > of_group[:, :, None] * of_label[:, None, :]
        with np.errstate(invalid="ignore", divide="ignore"):
            change = (said - true) / of_group[:, :, None]
        signed: FloatArray = np.asarray(np.where(correlated, change, -change), dtype=np.float64)
        return signed

    def _joint(self, counts: IntArray, labels: IntArray) -> FloatArray:
        """[R, G, L] how often a group meets a label."""
        known = (labels >= 0) & (labels < self.label_count)
        cells = self.given[known] * self.label_count + labels[known]
        size = self.group_count * self.label_count
        drawn = counts[:, known].astype(np.float64)
        rows = [np.bincount(cells, weights=row, minlength=size) for row in drawn]
        joint: FloatArray = np.array(rows, dtype=np.float64)
        return joint.reshape(len(counts), self.group_count, self.label_count)


def numbered(values: Sequence[str]) -> tuple[IntArray, tuple[str, ...]]:
    """Number the names of groups in their order; returns the number of each sample's group, and the names.

    >>> numbered(["b", "a", "b"])[0].tolist(), numbered(["b", "a", "b"])[1]
    ([1, 0, 1], ('a', 'b'))
    """
    names = tuple(sorted(set(values)))
    place = {name: at for at, name in enumerate(names)}
    return np.array([place[value] for value in values], dtype=np.int64), names

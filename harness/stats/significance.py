"""What many tests at once may claim, and the exact test of flips.

McNemar's exact test: McNemar 1947. Holm 1979 keeps the chance of any false claim, Benjamini & Hochberg 1995 the share
of false ones.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np

from harness.stats.resampling import FloatArray, IntArray


def cluster_sums(values: FloatArray, clusters: Sequence[Hashable]) -> FloatArray:
    """[N, ...] per-sample values -> [C, ...] sums over the samples of each cluster, in order of first sight."""
    member, count = _members(clusters if isinstance(clusters, tuple) else tuple(clusters))
    if count == len(member):
        return values
    sums = np.zeros((count, *values.shape[1:]))
    np.add.at(sums, member, values)
    return sums


@lru_cache(maxsize=16)
def _members(clusters: tuple[Hashable, ...]) -> tuple[IntArray, int]:
    """Number the cluster of each sample, and count the clusters."""
    numbering: dict[Hashable, int] = {}
    member = np.array([numbering.setdefault(cluster, len(numbering)) for cluster in clusters], dtype=np.int64)
    return member, len(numbering)


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Exact two-sided p that flips in both directions are as likely; 1 where nothing flipped.

    >>> round(mcnemar_p(1, 9), 4)
    0.0215
    """
    flips = only_first + only_second
    fewer = min(only_first, only_second)
    tail = sum(math.comb(flips, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**flips))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p in the given order: reject where <= alpha, and the chance of any false rejection is <= alpha.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda place: p[place])
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = highest
    return adjusted


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted p in the given order: of those <= alpha at most a share alpha is false, on average.

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    order = sorted(range(len(p)), key=lambda place: -p[place])
    adjusted, lowest = [0.0] * len(p), 1.0
    for passed, place in enumerate(order):
        lowest = min(lowest, p[place] * len(p) / (len(p) - passed))
        adjusted[place] = lowest
    return adjusted

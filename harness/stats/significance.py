"""Tests of no difference, and what many of them at once may claim.

Approximate randomisation: Noreen 1989; Riezler & Maxwell 2005 (ACL W05-0908). McNemar's exact test: McNemar 1947.
Holm 1979 keeps the chance of any false claim, Benjamini & Hochberg 1995 the share of false ones.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist

import numpy as np

from harness.stats.intervals import FloatArray

_BLOCK_ELEMENTS = 4_000_000  # signs held at once
_ENUMERABLE = 12  # differences of which all signings are looked at
_NORMAL = NormalDist()


def cluster_sums(values: FloatArray, clusters: Sequence[Hashable]) -> FloatArray:
    """[N, ...] per-sample values -> [C, ...] sums over the samples of each cluster, in order of first sight."""
    numbering: dict[Hashable, int] = {}
    member = np.array([numbering.setdefault(cluster, len(numbering)) for cluster in clusters])
    sums = np.zeros((len(numbering), *values.shape[1:]))
    np.add.at(sums, member, values)
    return sums


def randomisation_p(differences: FloatArray, rounds: int = 10_000, seed: int = 0) -> FloatArray:
    """Two-sided p of no paired difference: [C, K] differences of C independent clusters in K comparisons -> [K].

    Under no difference a cluster's difference is as likely with the other sign. All comparisons share the signs. The
    smallest p is 1 / (rounds + 1).
    """
    observed = np.abs(differences.sum(axis=0))
    generator = np.random.Generator(np.random.PCG64(seed))
    extreme = np.zeros(differences.shape[1], dtype=np.int64)
    rows = max(1, _BLOCK_ELEMENTS // max(1, len(differences)))
    for start in range(0, rounds, rows):
        flips = generator.integers(0, 2, size=(min(rows, rounds - start), len(differences)), dtype=np.int8)
        sums = np.abs((2.0 * flips - 1.0) @ differences)
        extreme += (sums >= observed * (1 - 1e-12) - 1e-15).sum(axis=0)
    return np.asarray((extreme + 1) / (rounds + 1))


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


def sign_flip_p(differences: FloatArray) -> float:
    """Two-sided p of no difference: `differences` [C], each as likely with the other sign; exact or nearly so.

    Exact where all sizes are equal (McNemar's test) or at most 12 are not 0; else by Lugannani & Rice's saddlepoint
    (1980; of randomisation: Robinson 1982), which holds in the far tail where drawing signs would take millions.
    """
    sizes = np.abs(differences[differences != 0])
    if not len(sizes):
        return 1.0
    observed, most = abs(float(differences.sum())), float(sizes.sum())
    if np.allclose(sizes, sizes[0], rtol=1e-9):
        ups = int((differences > 0).sum())
        return mcnemar_p(ups, len(sizes) - ups)
    if observed >= most * (1 - 1e-9):
        return 2.0 ** (1 - len(sizes))
    if len(sizes) <= _ENUMERABLE:
        signs = 1.0 - 2.0 * ((np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes))) & 1)
        return float((np.abs(signs @ sizes) >= observed * (1 - 1e-12)).mean())
    unit = float(sizes.min())
    if np.allclose(sizes / unit, np.round(sizes / unit), rtol=0, atol=1e-6):
        observed -= unit  # sums lie 2 units apart: half a step, or p is too small by up to a quarter
    return _saddlepoint_p(sizes / most, observed / most)


def _saddlepoint_p(sizes: FloatArray, observed: float) -> float:
    """Two-sided tail of the sum of `sizes` with random signs, both scaled so that the sizes sum to 1."""
    from scipy.optimize import brentq

    def slope(t: float) -> float:
        return float((sizes * np.tanh(t * sizes)).sum()) - observed

    if observed < 1e-9:
        return 1.0
    high = 1.0
    while slope(high) < 0:
        high *= 2.0
    t = float(brentq(slope, 0.0, high))
    generating = float((np.logaddexp(t * sizes, -t * sizes) - math.log(2.0)).sum())
    w = math.sqrt(max(2.0 * (t * observed - generating), 0.0))
    u = t * math.sqrt(float((sizes**2 / np.cosh(np.minimum(t * sizes, 300.0)) ** 2).sum()))
    if w < 1e-3 or u < 1e-3:
        return 1.0
    tail = _NORMAL.cdf(-w) + _NORMAL.pdf(w) * (1.0 / u - 1.0 / w)
    return min(1.0, max(2.0 * tail, 0.0))

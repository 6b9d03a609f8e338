"""Whether two samples come from one distribution: tests with a stated rate of false alarms.

Rabanser, Günnemann & Lipton 2019 (arXiv 1810.11953) compare such tests on images: the marginals of a classifier's
outputs are the most sensitive to what moves its answers, a kernel test on its features to the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.stats.significance import holm

FloatRows = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ShiftTest:
    """One test: its statistic, its p-value and p adjusted for all tests that were made together (Holm 1979)."""

    name: str
    statistic: float
    p: float
    adjusted: float
    columns: int


def kernel_shift(
    one: FloatRows, other: FloatRows, permutations: int, random: np.random.Generator
) -> tuple[float, float]:
    """Test two samples `[n, d]`, `[m, d]` by the squared maximum mean discrepancy; returns it and p.

    Gaussian kernel whose width is the median distance (Gretton et al. 2012, JMLR 13); p by permutations, which makes
    it exact for any sizes: (1 + permutations at least as large) / (1 + permutations).
    """
    pooled, first = np.concatenate([one, other]), len(one)
    squared = _squared_distances(pooled)
    width = float(np.median(squared[np.triu_indices(len(pooled), 1)])) or 1.0
    kernel = np.exp(-squared / width)
    signs = np.tile(np.r_[np.full(first, 1 / first), np.full(len(other), -1 / len(other))], (permutations + 1, 1))
    signs[1:] = random.permuted(signs[1:], axis=1)
    found = np.einsum("ij,ij->i", signs @ kernel, signs)
    larger = int((found[1:] >= found[0] - 1e-12).sum())
    return float(found[0]), (1 + larger) / (1 + permutations)


def marginal_shift(one: FloatRows, other: FloatRows) -> tuple[float, float]:
    """Test each column of two samples by Kolmogorov and Smirnov; returns the largest distance and p for all columns.

    p is the least one times the number of columns (Bonferroni); with ties, as of counts, it is too large if anything.
    """
    from scipy.stats import ks_2samp

    columns = [column for column in range(one.shape[1]) if np.ptp(np.r_[one[:, column], other[:, column]]) > 0]
    if not columns:
        return 0.0, 1.0
    tests = [ks_2samp(one[:, column], other[:, column], method="asymp") for column in columns]
    least = min(float(test.pvalue) for test in tests)
    return max(float(test.statistic) for test in tests), min(1.0, len(columns) * least)


def together(tests: dict[str, tuple[float, float, int]]) -> tuple[ShiftTest, ...]:
    """Adjust tests (statistic, p, columns) that were made together: a false alarm of any is as rare as of one."""
    adjusted = holm([p for _, p, _ in tests.values()])
    return tuple(
        ShiftTest(name, statistic, p, each, columns)
        for (name, (statistic, p, columns)), each in zip(tests.items(), adjusted, strict=True)
    )


def _squared_distances(rows: FloatRows) -> FloatRows:
    norms = (rows**2).sum(axis=1)
    squared: FloatRows = np.maximum(norms[:, None] + norms[None, :] - 2 * rows @ rows.T, 0.0)
    return squared

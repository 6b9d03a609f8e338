"""A difference with an interval that holds the variance of training seeds and that of test samples.

All seeds answer the same samples, so a sample's difference d[s, c] (seed s, cluster c of samples) is crossed:

    d[s, c] = delta + seed[s] + cluster[c] + rest[s, c]
    Var(mean) = Var(seed) / S + Var(cluster) / C + Var(rest) / (S C)

With the variances v_rows of the S seeds' means over S, v_columns of the C clusters' means over C and v_rest of the
rest over S C, the variance of the mean is v_rows + max(0, v_columns - v_rest): v_rows holds Var(rest) already, which
must not count twice. Quantile: Student's t with Satterthwaite's degrees of freedom. It is the method of Obuchowski &
Rockette (1995) for readers x cases, with the degrees of freedom of Hillis (2007, Statistics in Medicine 26:596).

A difference of discrete scores may have no variance at all (20 right of 20 on both sides), which is no proof: the
clusters' variance is enlarged as if one more cluster had gone fully each way (after Agresti & Min 2005).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from harness.stats.intervals import FloatArray
from harness.stats.t_distribution import t_cdf, t_quantile

_TAIL, _POWER = 0.975, 0.8


@dataclass(frozen=True)
class Difference:
    """A difference in the metric's unit, its standard error, and the two parts of it.

    `seed_error` is what the seeds' own spread (the rest included) adds to the standard error, `sample_error` what the
    samples add; `freedom` the degrees of freedom. `paired` is False where only intervals of scores were at hand.
    """

    value: float
    seed_error: float
    sample_error: float
    freedom: float
    seeds: int
    clusters: int
    paired: bool

    @property
    def error(self) -> float:
        """The standard error."""
        return math.hypot(self.seed_error, self.sample_error)

    @property
    def reach(self) -> float:
        """Half the width of the 95 % interval."""
        return t_quantile(self.freedom, _TAIL) * self.error

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""
        return self.value - self.reach

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval."""
        return self.value + self.reach

    @property
    def p(self) -> float:
        """Two-sided p of no difference."""
        return 2 * min(self.p_at_least(0.0), 1 - self.p_at_least(0.0))

    @property
    def detectable(self) -> float:
        """The true difference that four of five such experiments would find."""
        return (t_quantile(self.freedom, _TAIL) + NormalDist().inv_cdf(_POWER)) * self.error

    @property
    def needs(self) -> str:
        """What would narrow the interval most."""
        return "seeds" if self.seed_error >= self.sample_error else "test samples"

    def p_at_least(self, bound: float) -> float:
        """One-sided p of the true difference being `bound` or more: small where it is shown to be below."""
        if self.error == 0:
            return float(self.value >= bound) if self.value != bound else 0.5
        return t_cdf((self.value - bound) / self.error, self.freedom)


def crossed_difference(values: FloatArray, grain: float = 0.0) -> Difference:
    """Put an interval around the mean of `values` [S, C], by seed and cluster of samples, S >= 1, C >= 2.

    `grain` is the most by which one cluster's difference can plausibly change. With one seed the seeds' variance is
    not known and not in the interval. Raises ValueError for other shapes and values that are not finite.
    """
    if values.ndim != 2 or values.shape[0] < 1 or values.shape[1] < 2:
        raise ValueError(f"wanted values [seeds, clusters] of two clusters or more, not {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("values hold NaN or infinity")
    seeds, clusters = values.shape
    rows, columns, mean = values.mean(axis=1), values.mean(axis=0), float(values.mean())
    v_columns = float(columns.var(ddof=1)) / clusters
    v_rows = v_rest = 0.0
    if seeds > 1:
        v_rows = float(rows.var(ddof=1)) / seeds
        rest = values - rows[:, None] - columns[None] + mean
        v_rest = float((rest**2).sum()) / ((seeds - 1) * (clusters - 1)) / (seeds * clusters)
    v_samples = max(0.0, v_columns - v_rest) + 2 * (grain / clusters) ** 2
    return Difference(
        value=mean,
        seed_error=math.sqrt(v_rows),
        sample_error=math.sqrt(v_samples),
        freedom=_freedom(((v_rows, seeds - 1), (v_samples, clusters - 1))),
        seeds=seeds,
        clusters=clusters,
        paired=True,
    )


def unpaired_difference(by_seed: FloatArray, sample_variance: float, samples: int) -> Difference:
    """Put an interval around the mean of differences `by_seed` [S] whose samples' variance is known from elsewhere."""
    v_rows = float(by_seed.var(ddof=1)) / len(by_seed) if len(by_seed) > 1 else 0.0
    return Difference(
        value=float(by_seed.mean()),
        seed_error=math.sqrt(v_rows),
        sample_error=math.sqrt(sample_variance),
        freedom=_freedom(((v_rows, len(by_seed) - 1), (sample_variance, max(1, samples - 1)))),
        seeds=len(by_seed),
        clusters=samples,
        paired=False,
    )


def _freedom(parts: Sequence[tuple[float, int]]) -> float:
    """Satterthwaite's degrees of freedom of a sum of variances, each with its own."""
    total = sum(variance for variance, _ in parts)
    below = sum(variance**2 / freedom for variance, freedom in parts if variance > 0)
    return total**2 / below if below > 0 else float(max(1, parts[0][1]))

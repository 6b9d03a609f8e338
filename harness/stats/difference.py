"""The one difference of models' scores: its interval over training seeds and test samples, and its p.

`bench verdict`, `compare`, `check` and the ranks of leaderboards all call `weighted_difference`; a difference of two
models has the weights 1 and -1. Scores are contributions of samples, whose mean is the metric (`stats.contributions`).

**Model.** All S seeds answer the same samples, and samples come in C independent clusters (a cluster is a sample by
itself, or all samples of one image). So the difference d[s, c] of seed s on cluster c is crossed:

    d[s, c] = delta + seed[s] + cluster[c] + rest[s, c]
    Var(mean) = Var(seed) / S + Var(cluster) / C + Var(rest) / (S C)

With v_seeds the variance of the S seeds' means over S, v_clusters that of the C clusters' means over C, and v_rest the
residual mean square over S C, Var(mean) is estimated without bias by v_seeds + v_clusters - v_rest: the rest is in both
of the first two and must count once. v_clusters - v_rest is taken as 0 where it is negative. This is the analysis of
readers x cases of Obuchowski & Rockette (1995, Communications in Statistics 24:285) in the form of Hillis (2007,
Statistics in Medicine 26:596).

**Interval.** Both variances are estimated, that of the seeds badly. Half widths by Student's t of each part are joined
by their squares (Howe 1974, JASA 69:789; Zou & Donner 2008, Statistics in Medicine 27:1693):

    reach^2 = (t[S - 1] sqrt(v_seeds))^2 + (t[C - 1] sqrt(v_clusters - v_rest))^2

One t with Satterthwaite's degrees of freedom is shorter, but fails in the tails, which the corrections for many tests
ask for: where there is no difference it finds p <= 0.001 in 5 of 1,000 experiments of 5 seeds and in 14 of 3 seeds. p
is where the interval just reaches 0, so p <= 0.05 exactly where the 95 % interval leaves out 0.

Models whose seeds are not the same have seed effects of their own: their variances add (Welch 1947).

**Discrete scores.** Of few samples that all agree no variance is seen, which is no proof. As Agresti & Min (2005,
Statistics in Medicine 24:729) add pseudo-observations to a matched table, the clusters' variance is enlarged as if one
more cluster each way had differed by as much as those do that differ; where none differs, by the range of the scores.

`docs/statistics.md` has the measured coverage.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from harness.record import Estimate
from harness.stats.estimates import too_few
from harness.stats.resampling import FloatArray
from harness.stats.root import root_between
from harness.stats.seed_variance import mean_standard_error, without_interval
from harness.stats.significance import cluster_sums
from harness.stats.t_distribution import t_cdf, t_quantile

ErrorPart = tuple[float, float]
"""A standard error and its degrees of freedom, infinite where it is known."""

ALPHA = 0.05
_POWER = 0.8
ROUNDING = 1e-12
"""A deviation below this, of the largest score, is the rounding of equal numbers."""
NOTHING_VARIES = "no sample's score differs from another's"


@dataclass(frozen=True)
class Difference:
    """A difference in the metric's unit, its standard error in two parts, and what follows from them.

    `parts` are independent standard errors with their degrees of freedom: the last is of the samples, the others are of
    seeds (the rest included), 0 of one seed, whose variance is not known. `clusters` counts the independent groups of
    samples that inform the metric. `paired` is False where only intervals of scores were at hand. `alike` where no
    sample differs. `note` says why there is no interval; its ends are then infinite and p is 1.
    """

    value: float
    parts: tuple[ErrorPart, ...]
    seeds: int
    clusters: int
    paired: bool
    alike: bool = False
    note: str | None = None

    @property
    def seed_error(self) -> float:
        """What seeds add to the standard error."""
        return math.hypot(*(error for error, _ in self.parts[:-1]))

    @property
    def sample_error(self) -> float:
        """What test samples add to the standard error."""
        return self.parts[-1][0]

    @property
    def error(self) -> float:
        """The standard error."""
        return math.hypot(*(error for error, _ in self.parts))

    @property
    def reach(self) -> float:
        """Half the width of the 95 % interval."""
        return math.inf if self.note else _reach(self.parts, ALPHA)

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""
        return self.value - self.reach

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval."""
        return self.value + self.reach

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, or None where there is no interval."""
        return None if self.note else (self.low, self.high)

    @property
    def p(self) -> float:
        """Two-sided p of no difference."""
        return self._p_of(self.value)

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves out that there is no difference."""
        return self.low > 0 or self.high < 0

    @property
    def detectable(self) -> float:
        """The true difference that four of five such experiments would find."""
        return self.reach + NormalDist().inv_cdf(_POWER) * self.error

    @property
    def needs(self) -> str:
        """What would narrow the interval most."""
        return "seeds" if self.seed_error >= self.sample_error else "test samples"

    def p_at_least(self, bound: float) -> float:
        """One-sided p of the true difference being `bound` or more: small where it is shown to be below."""
        tail = self._p_of(self.value - bound) / 2
        return tail if self.value < bound else 1 - tail

    def _p_of(self, shift: float) -> float:
        """The alpha whose interval around a difference of `shift` just reaches 0."""
        known = [(error, freedom) for error, freedom in self.parts if error > 0]
        if self.note or shift == 0:
            return 1.0
        least = max((2 * t_cdf(-abs(shift) / error, freedom) for error, freedom in known), default=0.0)
        if len(known) < 2 or least == 0:
            return least

        def beyond(log_alpha: float) -> float:
            return _reach(known, math.exp(log_alpha)) - abs(shift)

        return math.exp(root_between(beyond, math.log(least) - 1e-9, 0.0, 1e-12))


def _reach(parts: Sequence[ErrorPart], alpha: float) -> float:
    """Half the width of the interval that misses the truth in a share `alpha`."""
    return math.hypot(*(-t_quantile(freedom, alpha / 2) * error for error, freedom in parts if error > 0))


def paired_difference(a: FloatArray, b: FloatArray, clusters: Sequence[Hashable]) -> Difference:
    """Difference of two models, a - b, from contributions [S, N] of the same seeds on the same samples."""
    return weighted_difference((1.0, -1.0), (a, b), clusters)


def weighted_difference(
    weights: Sequence[float], scores: Sequence[FloatArray], clusters: Sequence[Hashable], *, same_seeds: bool = True
) -> Difference:
    """Sum weight x score of K models with its interval.

    `scores` are K arrays [S, N] of what N samples contribute to a metric with each of S seeds, `clusters` [N] says
    which samples depend on each other. Rows of one place are of one seed where `same_seeds`; else each model may have
    a number of seeds of its own. Raises ValueError for shapes that do not fit and values that are not finite.
    """
    _check(weights, scores, clusters)
    shares = [weight * own for weight, own in zip(weights, scores, strict=True)]
    scale = ROUNDING * max(float(np.abs(own).max()) for own in shares)
    terms = _by_cluster(shares, clusters, scale)
    parts = [np.sum(terms, axis=0)] if same_seeds else terms
    columns, count = np.sum([part.mean(axis=0) for part in parts], axis=0), terms[0].shape[1]
    grain = _grain(columns, terms, scale)
    of_seeds, rest = zip(*(_seed_variances(part) for part in parts), strict=True)
    spread = float(columns.var(ddof=1)) / count if count > 1 else 0.0
    of_clusters = max(0.0, spread - sum(rest)) + 2 * (grain / count) ** 2
    varies = of_clusters + sum(of_seeds) > 0
    return Difference(
        value=float(columns.mean()),
        parts=(
            *((math.sqrt(v), len(part) - 1) for v, part in zip(of_seeds, parts, strict=True)),
            (math.sqrt(of_clusters), count - 1),
        ),
        seeds=min(len(part) for part in parts),
        clusters=count,
        paired=True,
        alike=same_seeds and float(np.abs(parts[0]).max()) <= scale,
        note=too_few(count) if count < 2 else None if varies else NOTHING_VARIES,
    )


def unpaired_difference(by_seed: FloatArray, sample_variance: float, samples: int) -> Difference:
    """Put an interval around the mean of differences `by_seed` [S] whose samples' variance is known from elsewhere."""
    return Difference(
        value=float(by_seed.mean()),
        parts=(_of_seeds(by_seed), (math.sqrt(sample_variance), max(1, samples - 1))),
        seeds=len(by_seed),
        clusters=samples,
        paired=False,
    )


def difference_of_estimates(
    weights: Sequence[float], estimates: Sequence[Sequence[Estimate]], *, same_seeds: bool = True
) -> Difference:
    """Sum weight x score of K models, each by seed, from the intervals of their scores alone.

    All seeds answer the same samples, so their sampling errors do not average out; those of models with weights of one
    sign are taken as fully correlated, those of the two signs as independent. They count as known, since the intervals
    of scores allow for few samples already. No interval where a score has none.
    """
    values = [weight * np.array([e.value for e in own]) for weight, own in zip(weights, estimates, strict=True)]
    parts = [np.asarray(np.sum(values, axis=0))] if same_seeds else values
    errors = [mean_standard_error(own) for own in estimates]
    known = [weight * error for weight, error in zip(weights, errors, strict=True) if error is not None]
    of_samples = math.hypot(sum(e for e in known if e > 0), sum(e for e in known if e < 0))
    return Difference(
        value=sum(float(part.mean()) for part in parts),
        parts=(*(_of_seeds(part) for part in parts), (of_samples, math.inf)),
        seeds=min(len(part) for part in parts),
        clusters=min(e.count for own in estimates for e in own),
        paired=False,
        note=next((reason for own in estimates if (reason := without_interval(own))), None),
    )


def _check(weights: Sequence[float], scores: Sequence[FloatArray], clusters: Sequence[Hashable]) -> None:
    shapes = [own.shape for own in scores]
    if len(weights) != len(scores) or not scores or any(len(s) != 2 or s[0] < 1 for s in shapes):
        raise ValueError(f"wanted scores [seeds, samples] for each of {len(weights)} weights, not {shapes}")
    if any(samples != len(clusters) for _, samples in shapes):
        raise ValueError(f"wanted scores of {len(clusters)} samples, as there are clusters, not {shapes}")
    if not all(np.isfinite(own).all() for own in scores):
        raise ValueError("scores hold NaN or infinity")


def _by_cluster(shares: Sequence[FloatArray], clusters: Sequence[Hashable], scale: float) -> list[FloatArray]:
    """Shares [S, N] by cluster [S, C] whose mean is theirs, linear in the clusters drawn.

    Only clusters that inform the metric are kept: one whose samples do not is, of every model and seed, at the mean.
    """
    means = [own.mean(axis=1, keepdims=True) for own in shares]
    moves = [cluster_sums((own - mean).T, clusters).T for own, mean in zip(shares, means, strict=True)]
    informs = np.any([np.abs(move).max(axis=0) > scale for move in moves], axis=0)
    if not informs.any():
        informs[:] = True
    factor = int(informs.sum()) / len(clusters)
    return [mean + factor * move[:, informs] for mean, move in zip(means, moves, strict=True)]


def _of_seeds(values: FloatArray) -> ErrorPart:
    """Values of seeds [S] -> standard error of their mean, 0 of one seed."""
    return (float(values.std(ddof=1)) / math.sqrt(len(values)), len(values) - 1) if len(values) > 1 else (0.0, 0)


def _seed_variances(part: FloatArray) -> tuple[float, float]:
    """[S, C] -> variance of the mean over seeds as the seeds' own means show it, and the part of it that is rest."""
    seeds, clusters = part.shape
    if seeds < 2:
        return 0.0, 0.0
    rows, columns = part.mean(axis=1, keepdims=True), part.mean(axis=0, keepdims=True)
    rest = float(((part - rows - columns + part.mean()) ** 2).sum()) / ((seeds - 1) * max(1, clusters - 1))
    return float(rows.var(ddof=1)) / seeds, rest / (seeds * clusters)


def _grain(columns: FloatArray, terms: Sequence[FloatArray], scale: float) -> float:
    """By how much one cluster more would differ: as those do that differ, each counting by its size; else the range."""
    sizes = np.abs(columns)
    if sizes.max() > scale:
        return float((sizes**2).sum() / sizes.sum())
    return max(float(np.ptp(term)) for term in terms)

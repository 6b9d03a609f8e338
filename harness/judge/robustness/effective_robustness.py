"""Effective robustness: a score under shift above what un-fused models of the same clean score have.

shift - beta(clean), beta linear on logit axes and fitted by least squares on un-fused models (Taori et al. 2020,
arXiv 2007.00644). There is no number from fewer than 5 models, from a fit with R^2 below 0.9, or outside the range of
clean scores that was fitted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.stats.propagation import Figure, absent, missing, propagate
from harness.stats.t_distribution import t_quantile

LEAST_MODELS = 5
LEAST_R_SQUARED = 0.9


@dataclass(frozen=True)
class LogitFit:
    """logit(shift) = intercept + slope * logit(clean) over `models` points whose clean scores span `low`..`high`.

    `spread` is the residual standard deviation on the logit axis, `centre` and `scatter` the mean and the sum of
    squared deviations of logit(clean). `left_out` names models whose score is not known, or is 0 or 1
    and so has no logit.
    """

    slope: float
    intercept: float
    r_squared: float
    models: tuple[str, ...]
    low: float
    high: float
    spread: float
    centre: float
    scatter: float
    left_out: tuple[str, ...] = ()

    def predicted(self, clean: float) -> float:
        """Say what an un-fused model of this clean score has under the shift."""
        return _expit(self.intercept + self.slope * _logit(clean))

    def reach(self, clean: float) -> float:
        """Half-width of the 95 % interval of that prediction's mean, to first order, from the fit alone."""
        x, n = _logit(clean), len(self.models)
        error = self.spread * math.sqrt(1 / n + (x - self.centre) ** 2 / self.scatter)
        expected = self.predicted(clean)
        return t_quantile(n - 2, 0.975) * error * expected * (1 - expected)


@dataclass(frozen=True)
class EffectiveRobustness:
    """The figure in the metric's unit, and the fit that it rests on (None where there is none)."""

    figure: Figure
    fit: LogitFit | None


def fit_baseline(points: Sequence[tuple[str, Figure, Figure]]) -> LogitFit | str:
    """Fit un-fused models given as (name, clean, shift); returns the reason where no line can be drawn."""
    usable = [(name, clean.known, shift.known) for name, clean, shift in points if not missing([clean, shift])]
    usable = [(name, clean, shift) for name, clean, shift in usable if 0 < clean < 1 and 0 < shift < 1]
    names = tuple(name for name, _, _ in usable)
    left_out = tuple(name for name, _, _ in points if name not in names)
    if len(usable) < LEAST_MODELS:
        models = "1 un-fused model" if len(usable) == 1 else f"{len(usable)} un-fused models"
        return f"{models} with scores between 0 and 1; a fit needs {LEAST_MODELS}"
    xs, ys = [_logit(clean) for _, clean, _ in usable], [_logit(shift) for _, _, shift in usable]
    x_mean, y_mean = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    scatter = math.fsum((x - x_mean) ** 2 for x in xs)
    total = math.fsum((y - y_mean) ** 2 for y in ys)
    if scatter < 1e-12 or total < 1e-12:
        return "the un-fused models all have the same score, clean or under the shift; there is no line through them"
    slope = math.fsum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / scatter
    residuals = [y - y_mean - slope * (x - x_mean) for x, y in zip(xs, ys, strict=True)]
    squares = math.fsum(r**2 for r in residuals)
    return LogitFit(
        slope=slope,
        intercept=y_mean - slope * x_mean,
        r_squared=1 - squares / total,
        models=names,
        low=min(clean for _, clean, _ in usable),
        high=max(clean for _, clean, _ in usable),
        spread=math.sqrt(squares / (len(usable) - 2)),
        centre=x_mean,
        scatter=scatter,
        left_out=left_out,
    )


def effective_robustness(fit: LogitFit | str, clean: Figure, shift: Figure) -> EffectiveRobustness:
    """Compare a model with the fit, or refuse; the interval holds both scores' reach and the fit's own, as independent.

    Where the two scores have no intervals there is none.
    """
    if isinstance(fit, str):
        return EffectiveRobustness(absent(fit), None)
    refusal = _refusal(fit, clean, shift)
    if refusal is not None:
        return EffectiveRobustness(absent(refusal), fit)
    expected = fit.predicted(clean.known)
    steepness = fit.slope * expected * (1 - expected) / (clean.known * (1 - clean.known))
    sampled = propagate(shift.known - expected, [(1.0, shift), (-steepness, clean)])
    if sampled.low is None or sampled.high is None:
        return EffectiveRobustness(sampled, fit)
    value, reach = sampled.known, fit.reach(clean.known)
    low = value - math.hypot(value - sampled.low, reach)
    high = value + math.hypot(sampled.high - value, reach)
    return EffectiveRobustness(Figure(value, low, high), fit)


def _refusal(fit: LogitFit, clean: Figure, shift: Figure) -> str | None:
    gap = missing([clean, shift])
    if gap is not None:
        return gap.reason
    if fit.r_squared < LEAST_R_SQUARED:
        return f"the fit's R^2 is {fit.r_squared:.2f}, below {LEAST_R_SQUARED}"
    if not fit.low <= clean.known <= fit.high:
        return f"clean {clean.known:.3f} is outside the fitted range {fit.low:.3f}..{fit.high:.3f}"
    return None


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))

"""What a model keeps and loses while it is trained on one domain after the other.

Scores are a matrix `[T + 1, T]`: row 0 before any training, row t after stage t, one column a domain, in the order in
which they are trained. Higher is better. All figures but forgetting and retention are weighted sums of it.

- **Avg**: mean over the stages and domains; **Last**: mean over domains after the last stage; **Transfer**: mean over
  domains 2..T of the mean over the stages before their own (Zheng et al. 2023, ZSCL, arXiv 2303.06628).
- **BWT**: mean over domains 1..T-1 of the last score minus that just after their own stage (Lopez-Paz and Ranzato 2017,
  GEM, arXiv 1706.08840); below 0 where something is forgotten.
- **forgetting**: mean over domains 1..T-1 of the best score after any earlier stage minus the last (Chaudhry et al.
  2018, arXiv 1801.10112). The best of several noisy scores is too high, so it is above 0 where nothing is forgotten.
- **retention**: of the domains 2..T, what is above chance just before their own stage, as a share of what was above
  chance before any training; about models that can answer before they are trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from harness.stats.resampling import FloatArray

_Z = 1.96
Weights = Callable[[FloatArray], FloatArray]
"""Scores `[T + 1, T]` -> weights of the same shape, so that the figure is the sum of weight x score."""


def average(scores: FloatArray) -> FloatArray:
    """Weights of Avg.

    >>> average(np.zeros((3, 2))).tolist()
    [[0.0, 0.0], [0.25, 0.25], [0.25, 0.25]]
    """
    weights = np.zeros_like(scores)
    weights[1:] = 1 / weights[1:].size
    return weights


def last(scores: FloatArray) -> FloatArray:
    """Weights of Last."""
    weights = np.zeros_like(scores)
    weights[-1] = 1 / scores.shape[1]
    return weights


def transfer(scores: FloatArray) -> FloatArray:
    """Weights of Transfer; all 0 for a single domain."""
    weights, count = np.zeros_like(scores), scores.shape[1]
    for domain in range(1, count):
        weights[1 : domain + 1, domain] = 1 / (domain * (count - 1))
    return weights


def backward_transfer(scores: FloatArray) -> FloatArray:
    """Weights of BWT."""
    return _against_last(scores, lambda domain: domain + 1)


def forgetting(scores: FloatArray) -> FloatArray:
    """Weights of forgetting, at the stages where these scores are best."""
    return -_against_last(scores, lambda domain: 1 + int(np.argmax(scores[1:-1, domain])))


SEQUENCE_FIGURES: Mapping[str, Weights] = MappingProxyType(
    {"Avg": average, "Last": last, "Transfer": transfer, "BWT": backward_transfer, "forgetting": forgetting}
)


def retention(scores: FloatArray, chance: FloatArray, samples: FloatArray) -> float | None:
    """Share of the score above chance that is left just before a domain's own stage.

    `chance` and `samples` `[T]` are those of each domain. None for a single domain, and where the scores before any
    training are not above what guessing gives by chance (one-sided, 2.5 %): a share of next to nothing says nothing.
    """
    later = np.arange(1, scores.shape[1])
    if not len(later):
        return None
    start, before = (scores[0, later] - chance[later]).sum(), (scores[later, later] - chance[later]).sum()
    noise = _Z * np.sqrt((chance[later] * (1 - chance[later]) / samples[later]).sum())
    return float(before / start) if start > noise else None


def figure_contributions(weights: FloatArray, contributions: list[FloatArray]) -> list[FloatArray]:
    """What each sample adds to a figure: `contributions` `[T + 1, n]` a domain -> `[n]` a domain, of the same total.

    Each domain is a stratum: its samples spread around its own mean alone, and the mean over the samples of all domains
    is the figure.
    """
    total = sum(own.shape[1] for own in contributions)
    parts = [weights[:, column] @ own for column, own in enumerate(contributions)]
    figure = sum(float(part.mean()) for part in parts)
    return [figure + (part - part.mean()) * (total / len(part)) for part in parts]


def _against_last(scores: FloatArray, stage: Callable[[int], int]) -> FloatArray:
    """Weights of the mean over domains 1..T-1 of the last score minus that after a stage."""
    weights, count = np.zeros_like(scores), scores.shape[1]
    for domain in range(count - 1):
        weights[-1, domain] += 1 / (count - 1)
        weights[stage(domain), domain] -= 1 / (count - 1)
    return weights

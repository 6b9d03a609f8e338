"""Prompts as a source of variance of its own: what a model scores by each, their mean, and how far they lie apart."""

from __future__ import annotations

import statistics
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.record import Estimate
from harness.stats.exact_deviation import exact_deviation
from harness.stats.seed_variance import combine_seeds


@dataclass(frozen=True)
class PromptScores:
    """What a model scores when it is asked by one prompt, its seeds taken together."""

    prompt: str
    fingerprints: tuple[str, ...]
    metrics: Mapping[str, Estimate | None]

    @property
    def number(self) -> int:
        """A number by which the same prompt of two models is known, unlike any seed's."""
        return 1_000_000 + zlib.crc32(self.prompt.encode("utf-8", "surrogatepass"))

    def values(self) -> dict[str, float]:
        """The scores that are there, by metric."""
        return {name: estimate.value for name, estimate in self.metrics.items() if estimate is not None}


def mean_over_prompts(scores: Sequence[PromptScores]) -> dict[str, Estimate | None]:
    """Average each metric over prompts, as over seeds: the interval holds samples and other prompts of this kind.

    A metric that one of the prompts lacks has none.
    """
    found: dict[str, Estimate | None] = {}
    for name in dict.fromkeys(name for each in scores for name in each.metrics):
        known = [e for each in scores if (e := each.metrics.get(name)) is not None]
        found[name] = combine_seeds(known) if len(known) == len(scores) else None
    return found


def prompt_deviation(scores: Sequence[PromptScores], metric: str) -> float | None:
    """The standard deviation of a metric over prompts; None for fewer than two, and where one lacks it."""
    values = [each.values()[metric] for each in scores if metric in each.values()]
    return exact_deviation(values) if len(values) == len(scores) > 1 else None


def prompts_json(scores: Sequence[PromptScores]) -> dict[str, Any] | None:
    """Mean and standard deviation over prompts by metric, and every prompt's own scores; None for one prompt."""
    if len(scores) < 2:
        return None
    spread = {
        name: {"mean": statistics.fmean(each.values()[name] for each in scores), "sd": deviation}
        for name in dict.fromkeys(name for each in scores for name in each.metrics)
        if (deviation := prompt_deviation(scores, name)) is not None
    }
    own = {each.prompt: {n: e.to_json() if e else None for n, e in each.metrics.items()} for each in scores}
    return {"spread": spread, "scores": own}

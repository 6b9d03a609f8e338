"""What a map's name says it is of: a method, the same method on shuffled weights, a baseline, or no map at all."""

from __future__ import annotations

from harness.explain.baseline_maps import IMAGE_BASELINES, WORD_BASELINES

OF_METHOD, OF_BASELINE, OF_SHUFFLED, OF_MODEL = "method", "baseline", "random-weights", "model"
"""Kinds of maps; a number of the model itself has no map."""
ON_SHUFFLED = f"@{OF_SHUFFLED}"
"""Behind the name of a method: its maps on shuffled weights."""


def shuffled_of(method: str) -> str:
    """Name the maps of a method on shuffled weights."""
    return f"{method}{ON_SHUFFLED}"


def kind_of_map(name: str) -> str:
    """Say what a map of this name is of.

    >>> [kind_of_map(name) for name in ("occlusion", "occlusion@random-weights", "centre", "model")]
    ['method', 'random-weights', 'baseline', 'model']
    """
    if name in (*IMAGE_BASELINES, *WORD_BASELINES):
        return OF_BASELINE
    if name == OF_MODEL:
        return OF_MODEL
    return OF_SHUFFLED if name.endswith(ON_SHUFFLED) else OF_METHOD

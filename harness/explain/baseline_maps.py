"""Maps that know nothing of the model, beside which every method must stand: random, centre and edges; and of words.

A map that a model has nothing to do with can point well: objects stand in the middle, and have edges (Adebayo et al.
2018, arXiv 1810.03292).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatMap = npt.NDArray[np.float64]
IMAGE_BASELINES = ("random", "centre", "edges")
WORD_BASELINES = ("random", "longest")


def image_baselines(pixels: FloatMap, grid: int, rng: np.random.Generator) -> dict[str, FloatMap]:
    """Maps `[grid * grid]` of pixels `[3, S, S]`: drawn, highest in the middle, and the mean strength of edges."""
    place = (np.arange(grid) + 0.5) / grid - 0.5
    centre = np.exp(-(place[:, None] ** 2 + place[None, :] ** 2) / (2 * 0.25**2))
    return {"random": rng.random(grid * grid), "centre": centre.ravel(), "edges": _edges(pixels, grid)}


def word_baselines(words: Sequence[str], rng: np.random.Generator) -> dict[str, FloatMap]:
    """Weights `[W]`: drawn, and by length, since long words say more than short ones."""
    return {"random": rng.random(len(words)), "longest": np.array([float(len(word)) for word in words])}


def _edges(pixels: FloatMap, grid: int) -> FloatMap:
    """Length of the Sobel gradient of the mean over channels, averaged over each cell."""
    grey = np.pad(pixels.mean(axis=0), 1, mode="edge")
    smooth_down = grey[:-2] + 2 * grey[1:-1] + grey[2:]
    smooth_across = grey[:, :-2] + 2 * grey[:, 1:-1] + grey[:, 2:]
    across, down = smooth_down[:, 2:] - smooth_down[:, :-2], smooth_across[2:] - smooth_across[:-2]
    return mean_by_cell(np.hypot(across, down), grid)


def mean_by_cell(values: FloatMap, grid: int) -> FloatMap:
    """Average values of pixels `[S, S]` over cells: `[grid * grid]`, row by row."""
    side = len(values)
    place = np.arange(side) * grid // side
    numbers = (place[:, None] * grid + place[None, :]).ravel()
    counts = np.maximum(1, np.bincount(numbers, minlength=grid * grid))
    return np.asarray(np.bincount(numbers, weights=values.ravel(), minlength=grid * grid) / counts)

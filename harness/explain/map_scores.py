"""How good a map is: whether it points at what decides, and whether the model heeds what it points at.

Maps are of parts (cells of an image, words). *Pointing* asks whether the highest part touches what decides (pointing
game: Zhang et al. 2016, arXiv 1608.00507; a cell of 1/8 of the image's side is about their tolerance of 15 px), *mass*
which share of what speaks for the answer lies within it. *Insertion* and *deletion* (Petsiuk et al. 2018, arXiv
1806.07421) are the areas under the likelihood of what is right while parts are put into the reference, or taken out of
the input, the highest first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

FloatMap = npt.NDArray[np.float64]
BoolRows = npt.NDArray[np.bool_]
POINTING, MASS, INSERTION, DELETION, HEED = "pointing", "mass", "insertion", "deletion", "insertion-deletion"
MEASURES = (POINTING, MASS, INSERTION, DELETION, HEED)
SHARES = (POINTING, MASS, INSERTION, DELETION)
"""Measures that lie in 0..1."""
_TIE = 1e-12


def pointing(values: FloatMap, within: FloatMap) -> float:
    """1 where the highest part touches what decides, else 0; of several that are equally high, the mean.

    `within` is which share of each part is of what decides.
    """
    highest = values >= values.max() - _TIE * max(1.0, float(np.abs(values).max()))
    return float((within[highest] > 0).mean())


def mass(values: FloatMap, within: FloatMap) -> float:
    """Share of the positive values that lies within what decides; of a map without any, that of an even map."""
    positive = np.maximum(values, 0.0)
    if positive.sum() <= 0:
        positive = np.ones_like(values)
    return float((positive * within).sum() / positive.sum())


def orders(values: FloatMap, steps: int, rng: np.random.Generator) -> BoolRows:
    """Which parts are in after each of `steps` equal steps, none at first and all at last: bool `[steps + 1, parts]`.

    The highest go first; equal ones in an order that is drawn.
    """
    count = len(values)
    place = np.empty(count, dtype=np.int64)
    place[np.lexsort((rng.permutation(count), -values))] = np.arange(count)
    steps = min(steps, count)
    reached = np.round(np.arange(steps + 1) * count / steps).astype(np.int64)
    return np.asarray(place[None, :] < reached[:, None])


def heed(
    values: FloatMap, likelihood: Callable[[BoolRows], FloatMap], steps: int, rng: np.random.Generator
) -> dict[str, float]:
    """Insertion, deletion and their difference; `likelihood` gives that of inputs with some parts, `[n]` of `[n, P]`.

    Areas by the trapezoid rule over the share of parts, so each lies in 0..1.
    """
    shown = orders(values, steps, rng)
    found = likelihood(np.concatenate([shown, ~shown]))
    inserted, deleted = (float((part[:-1] + part[1:]).mean() / 2) for part in np.split(found, 2))
    return {INSERTION: inserted, DELETION: deleted, HEED: inserted - deleted}

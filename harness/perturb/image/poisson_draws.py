"""Poisson counts of photons for 8-bit images, by one look-up a pixel.

An image has only 256 levels and therefore 256 rates. For each, an alias table (Walker 1977, Vose 1991) of 64 equally
likely columns says in which part of a column its own count is drawn and in which another one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from harness.perturb.image.corruption import Pixels

DRAW_COLUMNS: Final = 64
FRACTION_BITS: Final = 26


@dataclass(frozen=True)
class AliasTables:
    """Alias tables of 256 rates; `fraction` and `alias` are `[256 * 64]`, `own` `[64]`; levels are 0..255."""

    fraction: npt.NDArray[np.uint32]
    own: Pixels
    alias: Pixels


def draw_photons(pixels: Pixels, photons: int, rng: np.random.Generator) -> Pixels:
    """Draw each level anew as a Poisson count whose mean is `photons` (at most 63) for white; white is the most."""
    tables = alias_tables(photons)
    bits = rng.integers(0, 2**32, pixels.shape, dtype=np.uint32)
    column = bits & np.uint32(DRAW_COLUMNS - 1)
    place = pixels.astype(np.uint32)
    place *= np.uint32(DRAW_COLUMNS)
    place += column
    bits >>= np.uint32(32 - FRACTION_BITS)
    drawn = bits < tables.fraction.take(place)
    return np.where(drawn, tables.own.take(column), tables.alias.take(place))


@functools.lru_cache(8)
def alias_tables(photons: int) -> AliasTables:
    """Make the tables for `photons` (at most 63) for white."""
    from scipy.special import pdtr

    counts = np.arange(DRAW_COLUMNS)
    rates = np.arange(256) / 255 * photons
    below = pdtr(counts, rates[:, None])
    below[:, photons:] = 1.0  # more than white is white
    shares = np.diff(below, axis=1, prepend=0.0) * DRAW_COLUMNS
    other = _fill_columns(shares)
    levels = (np.minimum(counts / photons, 1) * 255).astype(np.uint8)
    fraction = np.minimum(shares, 1) * 2**FRACTION_BITS
    return AliasTables(np.rint(fraction).astype(np.uint32).ravel(), levels, levels[other].ravel())


def _fill_columns(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Cut `shares` `[R, K]`, of sum K, down to at most 1 each, and return from which column each is filled up."""
    row = np.arange(len(shares))
    other = np.tile(np.arange(shares.shape[1]), (len(shares), 1))
    is_open = np.ones(shares.shape, dtype=bool)
    for _ in range(shares.shape[1] - 1):
        least = np.where(is_open, shares, np.inf).argmin(axis=1)
        most = np.where(is_open, shares, -np.inf).argmax(axis=1)
        other[row, least] = most
        shares[row, most] -= 1 - shares[row, least]
        is_open[row, least] = False
    return other

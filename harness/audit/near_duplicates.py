"""Pairs of images of two splits that look the same: what was trained on is then asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.audit.image_checks import HASH_BITS, Bits, CheckedImages

NEAR_BITS = 10
"""So many of 128 bits may differ. Of 892 photographs (Flickr, COCO) at half the size and JPEG quality 50, 98 % differ
from themselves by no more; no two unlike ones by fewer than 24."""
_BLOCK = 4096


@dataclass(frozen=True)
class NearPair:
    """An image of one split and its nearest of the other, and how many of 128 bits differ."""

    first: Path
    second: Path
    bits: int


def near_pairs(first: CheckedImages, second: CheckedImages) -> list[NearPair]:
    """Find for each image of the second split its nearest in the first, where it is near."""
    return [
        NearPair(first.hashed[mine], second.hashed[other], bits)
        for other, mine, bits in _nearest(first.bits, second.bits)
        if bits <= NEAR_BITS
    ]


def _nearest(first: Bits, second: Bits) -> Iterator[tuple[int, int, int]]:
    """For each row of `second`: its position, that of the nearest row of `first`, and the bits that differ."""
    if not len(first) or not len(second):
        return
    ones = second.astype(np.float32)
    counts = ones.sum(1)
    best = np.full(len(second), HASH_BITS + 1, np.int32)
    place = np.zeros(len(second), np.int64)
    for start in range(0, len(first), _BLOCK):  # |a xor b| = |a| + |b| - 2 |a and b|, a product of matrices
        block = first[start : start + _BLOCK].astype(np.float32)
        differ = (counts[:, None] + block.sum(1)[None] - 2 * (ones @ block.T)).astype(np.int32)
        nearest = differ.argmin(1)
        found = differ[np.arange(len(second)), nearest]
        better = found < best
        best[better], place[better] = found[better], nearest[better] + start
    yield from zip(range(len(second)), place.tolist(), best.tolist(), strict=True)

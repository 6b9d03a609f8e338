"""The random draws of a perturbation: from its part of a condition, the seed and what it acts on."""

from __future__ import annotations

import hashlib

import numpy as np

from harness.condition import Part
from harness.text.spelling import name_bytes


def generator_for(part: Part, seed: int, key: str) -> np.random.Generator:
    """Make the generator of one image or text: the same on every machine, whatever came before it."""
    digest = hashlib.sha256(name_bytes(f"{part.name}\0{part.severity}\0{seed}\0{key}")).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def permutation(part: Part, seed: int, count: int) -> list[int]:
    """Give each of `count` samples another one; a cycle in a random order, so that none keeps its own."""
    order = generator_for(part, seed, f"permutation of {count}").permutation(count)
    given = np.empty(count, dtype=int)
    given[order] = np.roll(order, -1)
    return [int(index) for index in given]

"""Counter-based random numbers: splitmix64 keyed by what is drawn, so that no draw depends on another.

`np.random.Generator` and `random` may change their streams between versions; this one cannot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

T = TypeVar("T")

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def mix(value: int) -> int:
    """The splitmix64 finaliser: a bijection of 64-bit integers that scatters every input bit."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def key_of(*parts: int | str) -> int:
    """One 64-bit key for a sequence of integers and names, such as (seed, split, index, purpose)."""
    key = 0
    for part in parts:
        number = int.from_bytes(hashlib.sha256(part.encode()).digest()[:8], "big") if isinstance(part, str) else part
        key = mix(key + _GOLDEN + number)
    return key


class Stream:
    """A sequence of draws under one key; two streams of equal key give equal draws, on any machine."""

    __slots__ = ("_count", "_key")

    def __init__(self, *parts: int | str) -> None:
        self._key = key_of(*parts)
        self._count = 0

    def below(self, bound: int) -> int:
        """An integer in 0 .. bound - 1."""
        self._count += 1
        return (mix(self._key + self._count * _GOLDEN) * bound) >> 64

    def between(self, low: int, high: int) -> int:
        """An integer in low .. high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, permille: int) -> bool:
        """True in `permille` of 1,000 draws."""
        return self.below(1000) < permille

    def choice(self, options: Sequence[T]) -> T:
        """One of `options`, each equally likely."""
        return options[self.below(len(options))]

    def weighted(self, options: Sequence[tuple[T, int]]) -> T:
        """One of `options`, (value, weight) pairs with integer weights."""
        ticket = self.below(sum(weight for _, weight in options))
        for value, weight in options:
            ticket -= weight
            if ticket < 0:
                return value
        raise AssertionError("weights are positive")

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """A new list of `items` in a random order (Fisher-Yates)."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result


def noise_grid(height: int, width: int, *parts: int | str) -> npt.NDArray[np.int32]:
    """White noise: int32 [height, width], each uniform on 0 .. 65,535; the mixing of `mix`, vectorised."""
    import numpy as np

    count = np.arange(1, height * width + 1, dtype=np.uint64)
    value = count * np.uint64(_GOLDEN) + np.uint64(key_of(*parts))
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    value ^= value >> np.uint64(31)
    return (value >> np.uint64(48)).astype(np.int32).reshape(height, width)

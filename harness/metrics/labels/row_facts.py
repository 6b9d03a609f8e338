"""What metrics of a single label take of each row of probabilities, worked out a few rows at a time.

Of 50,000 rows of 1,000 classes a copy of the whole takes longer to make than all that is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from harness.answers import NO_CLASS
from harness.metrics.labels.probabilities import (
    are_probabilities,
    check_labels,
    check_probabilities,
    check_shapes,
)
from harness.stats.resampling import FloatArray, IntArray

_AT_ONCE = 2**17  # probabilities: 1 MB, which processors keep at hand


class ProbabilityRows(Protocol):
    """Probabilities [N, C] float64 of which some rows can be had as an array; an array itself is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N and C."""
        ...

    def __getitem__(self, rows: slice, /) -> FloatArray:
        """Some rows [n, C]."""
        ...


@dataclass(frozen=True)
class RowFacts:
    """Of N rows of probabilities and the label of each."""

    own: FloatArray  # [N] the probability of the right class
    rank: IntArray  # [N] how many other classes are as probable or more
    above: IntArray  # [N] how many are more probable
    top: IntArray  # [N] the most probable class, NO_CLASS where several are
    highest: FloatArray  # [N] the probability of that class
    squares: FloatArray  # [N] the sum of the squared probabilities

    def taken(self, order: IntArray) -> RowFacts:
        """The facts of rows in another order."""
        return RowFacts(*(each[order] for each in vars(self).values()))


def row_facts(probabilities: ProbabilityRows, labels: IntArray) -> RowFacts:
    """Work out the facts of rows [N, C], N > 0, labels [N] being classes of these.

    Raises DataError for shapes that do not fit, labels out of range and rows that are not finite, hold negative numbers
    or do not sum to 1 within 1e-3, naming the first such row, counted from 0.
    """
    check_shapes(probabilities.shape, labels)
    check_labels(labels, probabilities.shape[1])
    parts = []
    for start, block in _blocks(probabilities):
        if not are_probabilities(block).all():
            check_probabilities(probabilities[0 : probabilities.shape[0]])
        parts.append(_facts(block, labels[start : start + len(block)]))
    whole = zip(*(vars(part).values() for part in parts), strict=True)
    return RowFacts(*(np.concatenate(each) for each in whole))


def _blocks(probabilities: ProbabilityRows) -> Iterator[tuple[int, FloatArray]]:
    """The rows a few at a time, each with the number of the first."""
    count, classes = probabilities.shape
    rows = max(1, _AT_ONCE // classes)
    for start in range(0, count, rows):
        yield start, probabilities[start : start + rows]


def _facts(block: FloatArray, labels: IntArray) -> RowFacts:
    own, highest = block[np.arange(len(block)), labels], block.max(axis=1)
    alone = np.count_nonzero(block == highest[:, None], axis=1) == 1
    return RowFacts(
        own,
        np.count_nonzero(block >= own[:, None], axis=1) - 1,
        np.count_nonzero(block > own[:, None], axis=1),
        np.where(alone, block.argmax(axis=1), NO_CLASS),
        highest,
        np.einsum("nc,nc->n", block, block),
    )

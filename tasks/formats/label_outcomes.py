"""Probabilities of a file of predictions: columns as they were read, lists only where somebody asks for an outcome."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from harness.sample import Note, Outcome

FloatArray = npt.NDArray[np.float64]


class ClassColumns:
    """Probabilities [N, C] stored class by class, float64; rows are put together where they are asked for.

    A file keeps its columns apart, and to turn 50,000 rows of 1,000 classes round at once takes longer than to read
    them.
    """

    def __init__(self, columns: FloatArray, order: Sequence[int] | None = None) -> None:
        """Take columns [K, N], and which of them each class has; all in their order where that is None."""
        self._columns = columns
        self._order = None if order is None or list(order) == list(range(len(columns))) else np.array(order)
        self.shape: tuple[int, int] = columns.shape[1], len(columns) if order is None else len(order)

    def __getitem__(self, rows: slice | npt.NDArray[np.int64]) -> FloatArray:
        """Some rows [n, C]."""
        part = self._columns[:, rows]
        return np.ascontiguousarray((part if self._order is None else part[self._order]).T)

    def column(self, index: int) -> FloatArray:
        """The probabilities [N] of a class."""
        return np.asarray(self._columns[index if self._order is None else self._order[index]])

    def __len__(self) -> int:
        return self.shape[0]


class LabelOutcomes(Sequence[Outcome]):
    """One answer a sample: a list of the probability of each class, made of its row when it is asked for."""

    all_finite = True  # as `harness.metrics.plain_answers.require_finite_answer` wants it
    notes: tuple[Note, ...] = ()  # there is one way to read probabilities

    def __init__(self, sample_ids: Sequence[str], probabilities: ClassColumns) -> None:
        """Take the ids [N] and the probabilities [N, C], all finite."""
        self.sample_ids, self.probabilities = sample_ids, probabilities

    def __len__(self) -> int:
        return len(self.sample_ids)

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Outcome]: ...
    def __getitem__(self, index: int | slice) -> Outcome | Sequence[Outcome]:
        if isinstance(index, slice):
            return list(map(Outcome, self.sample_ids[index], self.probabilities[index].tolist()))
        row = self.probabilities[np.array([index])]
        return Outcome(self.sample_ids[index], row[0].tolist())

    def __iter__(self) -> Iterator[Outcome]:
        for start in range(0, len(self), _AT_ONCE):
            yield from self[start : start + _AT_ONCE]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


_AT_ONCE = 256  # rows

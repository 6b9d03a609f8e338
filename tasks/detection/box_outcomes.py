"""Boxes of a file of results: answers that are arrays until somebody asks for one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from harness.sample import Outcome

PX = "px"
"""Key of boxes made elsewhere: `{"px": [[class, score, x, y, width, height], …]}` are in px as they were given, since
fractions would move the last bits of an IoU."""


class BoxOutcomes(Sequence[Outcome]):
    """One answer an image, `{"px": rows}`; the rows are lists only where an outcome is asked for."""

    all_finite = True  # as `harness.metrics.plain_answers.require_finite_answer` wants it

    def __init__(self, sample_ids: Sequence[str], tables: Sequence[npt.NDArray[np.float64]]) -> None:
        """Take a table [n, 6] for each sample: class, score, x, y, width and height, all finite."""
        self._sample_ids, self._tables = sample_ids, tables

    def __len__(self) -> int:
        return len(self._sample_ids)

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> BoxOutcomes: ...
    def __getitem__(self, index: int | slice) -> Outcome | BoxOutcomes:
        if isinstance(index, slice):
            return BoxOutcomes(self._sample_ids[index], self._tables[index])
        return _outcome(self._sample_ids[index], self._tables[index])

    def __iter__(self) -> Iterator[Outcome]:
        return map(_outcome, self._sample_ids, self._tables)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def as_tables(self) -> list[Outcome]:
        """The same with the tables themselves, which nothing but a scorer understands."""
        return [
            Outcome(sample_id, {PX: table}) for sample_id, table in zip(self._sample_ids, self._tables, strict=True)
        ]


def _outcome(sample_id: str, table: npt.NDArray[np.float64]) -> Outcome:
    rows: list[list[Any]] = [[int(label), *rest] for label, *rest in table.tolist()]
    return Outcome(sample_id, {PX: rows})

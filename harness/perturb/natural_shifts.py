"""Shifts: other splits of the same data, or a second data set, corrupted copies too, with classes matched by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.answers import BOXES, CAPTIONS, CHOICES, LABELS, NO_CLASS, SHORT_ANSWERS, is_label
from harness.condition import Condition
from harness.errors import DataError
from harness.protocols import DataContext, HasCorruptedCopies, HasShifts, Task, open_data
from harness.sample import Classes, Dataset
from harness.text.spelling import normal_form

_IN_WORDS = (CAPTIONS, CHOICES, SHORT_ANSWERS)
"""Answers that do not name classes: nothing needs to be matched."""


@dataclass(frozen=True)
class ShiftedSplit:
    """A split to be evaluated on; `columns` gives the models' class for each class of a second data set."""

    data: Dataset
    split: str
    answers: str = CAPTIONS
    columns: tuple[int, ...] | None = None

    def translate(self, answer: Any) -> Any:
        """Turn a model's answer into one about the second data set's classes; boxes of other classes are dropped.

        Probabilities are those among the classes that both have, as is usual for ImageNet-R and ImageNet-A. A label
        alone that the second data set does not have stays wrong: what it would be among the others is not known.
        """
        if self.columns is None:
            return answer
        if self.answers == LABELS and is_label(answer):
            return self.columns.index(answer) if answer in self.columns else NO_CLASS
        if self.answers == LABELS:
            chosen = np.asarray(answer, dtype=float)[list(self.columns)]
            total = chosen.sum()
            return (chosen / total if total > 0 else np.full(len(chosen), 1 / len(chosen))).tolist()
        place = {column: index for index, column in enumerate(self.columns)}
        return [[place[int(box[0])], *box[1:]] for box in answer if int(box[0]) in place]


def own_shifts(task: Task, data: Dataset) -> Mapping[str, str]:
    """The shifted splits that a data set brings along, by the name of the shift."""
    return task.shifts(data) if isinstance(task, HasShifts) else {}


def open_shift(task: Task, context: DataContext, data: Dataset) -> dict[Condition, ShiftedSplit]:
    """Open a second data set as a shift and match its classes to the first one's by name.

    One that holds corrupted copies is a condition for each corruption and severity. Raises DataError when it has a
    class that the models were never told of, or label maps of other classes.
    """
    other = open_data(task, context)
    split = context.split or other.default_split
    answers = task.spec(data, ()).answers
    columns = None
    if answers not in _IN_WORDS:
        columns = matched_classes(task.spec(data, ()).classes, task.spec(other, ()).classes, (data.name, other.name))
        if answers not in (LABELS, BOXES) and columns != tuple(range(len(task.spec(data, ()).classes))):
            raise DataError(
                f"--shift {other.name}: label maps need the same classes in the same order as {data.name}. "
                f"Wanted: {', '.join(task.spec(data, ()).classes.names)}."
            )
    copies = task.corruptions(other) if isinstance(task, HasCorruptedCopies) else {}
    if not copies:
        return {Condition(shift=other.name): ShiftedSplit(other, split, answers, columns)}
    return {
        Condition(shift=f"{other.name}-{part.name}", level=part.severity): ShiftedSplit(other, copy, answers, columns)
        for copy, part in copies.items()
    }


def matched_classes(own: Classes, others: Classes, names: tuple[str, str]) -> tuple[int, ...]:
    """Find each class of a second data set among the first one's, by name; raises DataError for one that is not."""
    place: Mapping[str, int] = {plain_name(name): index for index, name in enumerate(own.names)}
    missing: Sequence[str] = [name for name in others.names if plain_name(name) not in place]
    if missing:
        raise DataError(
            f"--shift {names[1]}: {len(missing)} of its {len(others)} classes are not among those of {names[0]}, first "
            f"'{missing[0]}'. Name its classes as there ({', '.join(own.names[:5])}, …), or leave the others out."
        )
    return tuple(place[plain_name(name)] for name in others.names)


def plain_name(name: str) -> str:
    """Write a class name as it is compared: in lower case, with spaces for marks between words, accents composed."""
    return " ".join(normal_form(name).lower().replace("_", " ").replace("-", " ").split())

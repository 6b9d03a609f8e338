"""A column of labels is read in one way for the whole of it: as class names, as class folders or as indices.

A label read by itself would change its meaning from row to row: of folders 1, 2 and 3 the labels 0, 1 and 2 would be an
index and two names. So a reading counts where it fits every row. Where two fit and say different things nobody but
the user knows which is meant, and both are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.errors import DataError, nearest
from harness.sample import Note
from harness.text.spelling import normal_form

NAME, INDEX = "name", "index"
WISHES = (NAME, INDEX)
"""What `--set task.labels=` takes."""
_FOLDER, _NUMBER = "folder", "number"
_MOST_NAMES = 1000
"""Beyond so many classes no similar name is looked for."""
ColumnLabels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelForms:
    """What labels may be: class names, names of class folders (WordNet ids) where these differ, or indices from 0."""

    names: tuple[str, ...]
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelColumn:
    """The values of a column, white space stripped; `place` names a row in messages."""

    path: Path
    name: str
    values: Sequence[str]
    place: Callable[[int], str]


@dataclass(frozen=True)
class _Reading:
    """One way to read a column: the class of each value, -1 where the value is none."""

    kind: str
    classes: ColumnLabels

    @property
    def fits(self) -> bool:
        return bool((self.classes >= 0).all())


def read_labels(column: LabelColumn, forms: LabelForms, wish: str | None = None) -> tuple[ColumnLabels, Note]:
    """Turn labels into class indices int64 [N], and say how they were read; `wish` is one of WISHES where both fit.

    Raises DataError naming the first row that does not fit, or the first that two readings take differently.
    """
    readings = [reading for reading in _readings(column, forms) if wish is None or _is_wished(reading, wish)]
    fitting = [reading for reading in readings if reading.fits]
    if not fitting:
        raise _unreadable(column, forms, readings, wish)
    first = fitting[0]
    for other in fitting[1:]:
        if (other.classes != first.classes).any():
            raise _ambiguous(column, forms, first, other)
    text = f"the column '{column.name}' of {column.path.name} is read as {_told(first, column, forms)}"
    return first.classes, Note(text, count=len(column.values))


def name_columns(columns: Sequence[str], forms: LabelForms) -> list[str] | None:
    """Find the column of each class by its name, or else its folder; None where the columns are others."""
    of = {normal_form(column): column for column in columns}
    for names in (forms.names, forms.folders):
        spelled = [normal_form(name) for name in names]
        if names and set(spelled) == set(of) and len(of) == len(columns):
            return [of[name] for name in spelled]
    return None


def _readings(column: LabelColumn, forms: LabelForms) -> list[_Reading]:
    count = len(forms.names)
    places = {NAME: _places(forms.names), _FOLDER: _places(forms.folders)}
    found = [_Reading(kind, _looked_up(column.values, place)) for kind, place in places.items() if place]
    numbers = _numbers(forms.folders) or _numbers(forms.names)
    if numbers and not any(reading.fits for reading in found):
        found.append(_Reading(_NUMBER, _numbered(column.values, numbers)))
    return [*found, _Reading(INDEX, _numbered(column.values, {index: index for index in range(count)}))]


def _places(names: Sequence[str]) -> dict[str, int]:
    return {normal_form(name): index for index, name in enumerate(names)}


def _numbers(names: Sequence[str]) -> dict[int, int]:
    """The classes by number where all are named by numbers, some of them with zeros before (001)."""
    if not names or not all(_is_number(name) for name in names) or not any(name != str(int(name)) for name in names):
        return {}
    found = {int(name): index for index, name in enumerate(names)}
    return found if len(found) == len(names) else {}


def _looked_up(values: Sequence[str], places: dict[str, int]) -> ColumnLabels:
    return np.array([places.get(normal_form(value), -1) for value in values], np.int64)


def _numbered(values: Sequence[str], places: dict[int, int]) -> ColumnLabels:
    return np.array([places.get(int(value), -1) if _is_number(value) else -1 for value in values], np.int64)


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) < 10


def _is_wished(reading: _Reading, wish: str) -> bool:
    return (reading.kind == INDEX) == (wish == INDEX)


def _told(reading: _Reading, column: LabelColumn, forms: LabelForms) -> str:
    if not len(reading.classes):
        return "nothing: it has no rows"
    value, name = column.values[0], forms.names[reading.classes[0]]
    return {
        NAME: "class names",
        _FOLDER: f"names of class folders ('{value}' is '{name}')",
        _NUMBER: f"class names that have lost the zeros before them ('{value}' is '{name}')",
        INDEX: f"indices of the classes from 0 ('{value}' is '{name}')",
    }[reading.kind]


def _ambiguous(column: LabelColumn, forms: LabelForms, first: _Reading, other: _Reading) -> DataError:
    row = int(np.flatnonzero(first.classes != other.classes)[0])
    one, two = (forms.names[reading.classes[row]] for reading in (first, other))
    how = {NAME: "as a class name", _FOLDER: "as a class folder", _NUMBER: "as a class name without its zeros"}
    return DataError(
        f"{column.path}: all of '{column.name}' can be read in two ways. In {column.place(row)} the label "
        f"'{column.values[row]:.60}' is the class '{one}' {how[first.kind]}, and the class '{two}' as an index from 0. "
        f"Say which with --set task.labels={NAME} or --set task.labels={INDEX}, or name the column label_index."
    )


def _unreadable(column: LabelColumn, forms: LabelForms, readings: Sequence[_Reading], wish: str | None) -> DataError:
    """Name the first row that the best of the readings does not fit."""
    best = max(readings, key=lambda reading: int((reading.classes >= 0).sum()))
    row = int(np.flatnonzero(best.classes < 0)[0])
    value, fitting = column.values[row][:60], int((best.classes >= 0).sum())
    known = [*forms.names, *forms.folders]
    wanted = f"an index of 0..{len(forms.names) - 1}" if wish == INDEX else "a class name"
    wanted = f"{wanted} or an index of 0..{len(forms.names) - 1}" if wish is None else wanted
    others = {NAME: "class names", _FOLDER: "class folders", _NUMBER: "class names without zeros", INDEX: "indices"}
    one_way = ""
    if any(reading.classes[row] >= 0 for reading in readings):
        one_way = f" {fitting} of {len(column.values)} are {others[best.kind]}: a column is read in one way."
    similar = nearest(value, known) if len(known) < _MOST_NAMES and wish != INDEX and not one_way else ""
    return DataError(
        f"{column.path}: {column.place(row)} has the label '{value}'; wanted {wanted} in '{column.name}'.{one_way} "
        f"{similar}".rstrip()
    )

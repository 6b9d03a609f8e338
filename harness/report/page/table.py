"""What every format of the report is made of: tables whose numbers know where they come from."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from harness.metrics.directions import DOWN
from harness.record import Estimate

Item = TypeVar("Item", bound=Hashable)
MINUS = "\N{MINUS SIGN}"
ABSENT = "–"


@dataclass(frozen=True)
class Origin:
    """What a click on a number shows: the rows of the leaderboard behind it, by id, and the conditions, by label."""

    quantity: str
    rows: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell as it is shown, with the number behind it; `number` sorts, and is what a CSV file gets."""

    text: str
    number: float | None = None
    estimate: Estimate | None = None
    origin: Origin | None = None
    detail: str = ""
    """A second line, such as why there is no number."""

    @property
    def has_content(self) -> bool:
        """Tell whether there is more than a sign that nothing is there."""
        return self.number is not None or bool(self.detail) or self.text not in ("", ABSENT, "absent")


@dataclass(frozen=True)
class Column:
    """A column; `kind` is name, text, score or cost; `extra` ones are shown on demand; of `low` ones less is better."""

    name: str
    kind: str = "score"
    extra: bool = False
    unit: str = ""
    """Of the raw number, where it is not that of the text: seconds, bytes."""
    low: bool = False

    @property
    def heading(self) -> str:
        """The name as it is shown, with an arrow where less is better."""
        return f"{self.name} {DOWN}" if self.low else self.name


@dataclass(frozen=True)
class Line:
    """A row; `level` is model, control (it stays below its model), or ceiling (it stays at the end)."""

    cells: tuple[Cell, ...]
    level: str = "model"
    group: str = ""
    key: str = ""
    """What names the row in a CSV file: model and control."""


@dataclass(frozen=True)
class Table:
    """A table; `intervals` says which scores show theirs at once: all, the first column's, or none."""

    name: str
    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    intervals: str = "all"

    def shows_interval(self, place: int) -> bool:
        """Tell whether the column at a place shows its intervals."""
        return self.intervals == "all" or (self.intervals == "first" and place == self.first_score())

    def first_score(self) -> int | None:
        """Say where the first column of scores stands."""
        return next((place for place, column in enumerate(self.columns) if column.kind == "score"), None)


def without_empty_columns(table: Table) -> tuple[Table, tuple[str, ...]]:
    """Leave out columns in which no row has anything to show, and name those that are about numbers."""
    lines = [line for line in table.lines if line.level != "ceiling"]
    kept = [
        0,
        *(place for place in range(1, len(table.columns)) if any(line.cells[place].has_content for line in lines)),
    ]
    dropped = [column for place, column in enumerate(table.columns) if place not in kept]
    shown = replace(
        table,
        columns=tuple(table.columns[place] for place in kept),
        lines=tuple(replace(line, cells=tuple(line.cells[place] for place in kept)) for line in table.lines),
    )
    return shown, tuple(column.name for column in dropped if column.kind != "text")


def score_cell(estimate: Estimate | None, origin: Origin, missing: str = "absent") -> Cell:
    """Show a score with three decimals, as the leaderboard in the terminal does."""
    if estimate is None:
        return Cell(missing)
    return Cell(f"{estimate.value:.3f}", estimate.value, estimate, origin)


def signed(value: float) -> str:
    """Show a difference: +0.012 or −0.012.

    >>> signed(0.0123), signed(-0.5)
    ('+0.012', '−0.500')
    """
    return f"{value:+.3f}".replace("-", MINUS)


def interval_text(estimate: Estimate, *, difference: bool = False) -> str:
    """Show a 95 % interval in brackets, or why there is none."""
    if estimate.interval is None:
        return estimate.bracket()
    low, high = (signed(end) if difference else f"{end:.3f}" for end in estimate.interval)
    return f"[{low}, {high}]"


def texts_of(table: Table) -> list[list[str]]:
    """Give a table as texts, heading first; intervals stand where the page shows them."""
    rows = [[column.heading for column in table.columns]]
    for line in table.lines:
        cells = []
        for place, cell in enumerate(line.cells):
            shown = cell.estimate is not None and table.shows_interval(place)
            interval = (
                f" {interval_text(cell.estimate, difference=_is_signed(cell))}" if shown and cell.estimate else ""
            )
            cells.append(cell.text + interval)
        rows.append(cells)
    return rows


def _is_signed(cell: Cell) -> bool:
    return cell.text[:1] in ("+", MINUS)


def unique(names: Iterable[Item]) -> list[Item]:
    """Drop repetitions and keep the order."""
    return list(dict.fromkeys(names))

"""The value that every table is: columns that say how they are read, and rows of cells; a pandas frame on demand."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from harness.metrics.metric import DOWN, UP

if TYPE_CHECKING:
    import pandas as pd

    from harness.record import Estimate

Item = TypeVar("Item", bound=Hashable)
ALWAYS, USUAL, EXTRA, VALUE_ONLY = 100, 50, 20, -1
"""How important a column is: never dropped; shown on a page at once; on demand; never drawn, but in frames and CSV."""
ENDS = ("low", "high", "count")
MINUS, ABSENT = "\N{MINUS SIGN}", "–"
_NOTHING = (None, "", ABSENT, "absent")


@dataclass(frozen=True)
class Origin:
    """What a click on a number shows: the rows of the leaderboard behind it, by id, and the conditions, by label."""

    quantity: str
    rows: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class TableCell:
    """A value with the estimate behind it; `word` is shown instead of the value, `reason` says why there is none."""

    value: float | str | None = None
    estimate: Estimate | None = None
    word: str | None = None
    reason: str | None = None
    origin: Origin | None = None
    detail: str = ""
    """A second line on a page."""
    order: float | None = None
    """What a page sorts a text by."""

    @property
    def number(self) -> float | None:
        """What sorts: the value where it is a number, else the order."""
        return self.order if self.value is None or isinstance(self.value, str) else float(self.value)

    @property
    def has_content(self) -> bool:
        """Tell whether there is more than a sign that nothing is there."""
        return self.number is not None or bool(self.detail) or (self.word or self.value) not in _NOTHING


@dataclass(frozen=True)
class TableColumn:
    """A column of one quantity.

    `name` is its key in a frame or CSV file, `title` its heading; `kind` is name, text, score or cost. `unit` is that
    of the values; readers see `style` of the value times `factor`, with `minus` as its sign. `direction` is -1 where
    less is better, 1 where more is, else 0. The least important column is dropped first where there is no room; text
    may be folded to a width of `least` (0: never). `ends` names what stands beside the value in frames and CSV files:
    low, high, count, note, reason.
    """

    name: str
    title: str = ""
    kind: str = "score"
    unit: str = ""
    style: str = "{:.3f}"
    factor: float = 1.0
    direction: int = 0
    importance: int = USUAL
    interval: bool = False
    """Whether the interval is shown beside the value."""
    least: int = 0
    minus: str = "-"
    ends: tuple[str, ...] = ()
    once: bool = False
    """Whether text leaves out what the row above says, too."""

    @property
    def heading(self) -> str:
        """The title, with an arrow where less is better.

        >>> TableColumn("top-1", direction=1).heading
        'top-1 ↑'
        >>> TableColumn("NLL", direction=-1).heading
        'NLL ↓'
        """
        arrow = {1: f" {UP}", -1: f" {DOWN}"}.get(self.direction, "")
        return (self.title or self.name) + arrow

    @property
    def is_text(self) -> bool:
        """Whether it holds words, which stand to the left."""
        return self.kind in ("name", "text")

    def text(self, cell: TableCell) -> str:
        """Put a cell into words, without its interval.

        >>> TableColumn("latency", style="{:.1f} ms", factor=1e3).text(TableCell(0.0125))
        '12.5 ms'
        """
        if cell.word is not None or cell.value is None:
            return cell.word or ""
        return cell.value if isinstance(cell.value, str) else self.show(cell.value)

    def show(self, value: float) -> str:
        """Write a number as readers see it.

        >>> TableColumn("gap", style="{:+.3f}", minus=MINUS).show(-0.5)
        '−0.500'
        """
        return self.style.format(value * self.factor).replace("-", self.minus)

    def bounds(self, cell: TableCell) -> str:
        """Write the 95 % interval in brackets, or why there is none; nothing where no estimate is behind the value."""
        if cell.estimate is None:
            return ""
        if cell.estimate.interval is None:
            return cell.estimate.bracket()
        return f"[{', '.join(map(self.show, cell.estimate.interval))}]"

    def whole(self, cell: TableCell) -> str:
        """Put a cell into words, with its interval where the column shows it."""
        bounds = self.bounds(cell) if self.interval and cell.word is None else ""
        return f"{self.text(cell)} {bounds}" if bounds else self.text(cell)


SCORE = TableColumn("score")
GAP = TableColumn("gap", style="{:+.3f}", minus=MINUS, interval=True)
"""How a score, and how a difference of scores is shown."""


@dataclass(frozen=True)
class TableRow:
    """A row; `level` is model, control (it stays below its model) or ceiling (at the end, and in no frame)."""

    cells: tuple[TableCell, ...]
    level: str = "model"
    group: str = ""
    key: str = ""
    """What names the row: model and control."""


@dataclass(frozen=True)
class Table:
    """Rows under columns, and notes without which the numbers cannot be read; `name` is that of its file."""

    name: str
    title: str
    columns: tuple[TableColumn, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def drawn(self) -> list[int]:
        """The places of the columns that readers see."""
        return [place for place, column in enumerate(self.columns) if column.importance != VALUE_ONLY]

    @property
    def first_score(self) -> int | None:
        """Say where the first column of scores stands."""
        return next((place for place in self.drawn if self.columns[place].kind == "score"), None)

    def column(self, name: str) -> list[TableCell]:
        """Give the cells of a column by its name; raises KeyError where it has none of that name."""
        place = {column.name: place for place, column in enumerate(self.columns)}[name]
        return [row.cells[place] for row in self.rows]

    def only(self, places: Iterable[int]) -> Table:
        """Keep the columns at these places."""
        kept = list(places)
        rows = tuple(replace(row, cells=tuple(row.cells[place] for place in kept)) for row in self.rows)
        return replace(self, columns=tuple(self.columns[place] for place in kept), rows=rows)

    def texts(self) -> list[list[str]]:
        """Give what readers see, heading first."""
        shown = self.only(self.drawn)
        rows = [[c.whole(cell) for c, cell in zip(shown.columns, row.cells, strict=True)] for row in shown.rows]
        return [[column.heading for column in shown.columns], *rows]

    def records(self) -> list[dict[str, Any]]:
        """Give each row's raw values by name, with the ends of intervals beside them; ceilings are left out."""
        rows = [row for row in self.rows if row.level != "ceiling"]
        return [dict(_named(self.columns, row)) for row in rows]

    def names(self) -> list[str]:
        """Name what the records hold."""
        if self.rows:
            return unique(name for record in self.records() for name in record)
        return [name for column in self.columns for name in (column.name, *(f"{column.name} {e}" for e in column.ends))]

    def frame(self) -> pd.DataFrame:
        """Make a frame of the records; `attrs` holds title and notes, and title, unit and direction of each column."""
        import pandas as pd

        made = pd.DataFrame(self.records(), columns=self.names())
        told = {c.name: {"title": c.title or c.name, "unit": c.unit, "direction": c.direction} for c in self.columns}
        made.attrs.update(title=self.title, notes=list(self.notes), columns=told)
        return made


def _named(columns: tuple[TableColumn, ...], row: TableRow) -> Iterator[tuple[str, Any]]:
    for column, cell in zip(columns, row.cells, strict=True):
        yield column.name, cell.value
        ends = {} if cell.estimate is None else asdict(cell.estimate)
        ends["reason"] = cell.reason
        for end in column.ends:
            if end != "note" or ends.get("note"):  # few have one: no column where none has
                yield f"{column.name} {end}", ends.get(end)


def with_footnotes(table: Table) -> Table:
    """Number the reasons why values are missing, in the order in which they turn up, and list them in the notes."""
    numbers: dict[str, int] = {}

    def marked(cell: TableCell) -> TableCell:
        if cell.reason is None or cell.value is not None:
            return cell
        number = numbers.setdefault(cell.reason, len(numbers) + 1)
        return replace(cell, word=f"{cell.word or ABSENT} ({number})")

    rows = tuple(replace(row, cells=tuple(map(marked, row.cells))) for row in table.rows)
    return replace(table, rows=rows, notes=(*table.notes, *(f"({n}) {reason}" for reason, n in numbers.items())))


def without_empty_columns(table: Table) -> tuple[Table, tuple[str, ...]]:
    """Leave out drawn columns in which no row has anything to show, and name those that are about numbers."""
    rows = [row for row in table.rows if row.level != "ceiling"]
    empty = [place for place in table.drawn[1:] if not any(row.cells[place].has_content for row in rows)]
    gone = tuple(table.columns[p].title or table.columns[p].name for p in empty if not table.columns[p].is_text)
    return table.only(place for place in range(len(table.columns)) if place not in empty), gone


def score_cell(estimate: Estimate | None, origin: Origin | None = None, missing: str = "absent") -> TableCell:
    """Make the cell of a score, or of one that is missing."""
    if estimate is None:
        return TableCell(word=missing)
    return TableCell(estimate.value, estimate, origin=origin)


def name_column(title: str, *, least: int = 28) -> TableColumn:
    """Make the first column, which names the rows; never dropped, folded where there is no room."""
    return TableColumn(title, kind="name", importance=ALWAYS, least=least)


def text_column(title: str, *, importance: int = USUAL, least: int = 0, name: str = "") -> TableColumn:
    """Make a column of words."""
    return TableColumn(name or title, title, kind="text", importance=importance, least=least)


def signed(value: float) -> str:
    """Show a difference: +0.012 or −0.012.

    >>> signed(0.0123), signed(-0.5)
    ('+0.012', '−0.500')
    """
    return GAP.show(value)


def interval_text(estimate: Estimate, *, difference: bool = False) -> str:
    """Show a 95 % interval in brackets, or why there is none."""
    return (GAP if difference else SCORE).bounds(TableCell(estimate=estimate))


def unique(names: Iterable[Item]) -> list[Item]:
    """Drop repetitions and keep the order."""
    return list(dict.fromkeys(names))

"""Tables as HTML: the templates that write them, escaped, and the bars that show intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.record import Estimate
from harness.report.tables.table import SCORE, USUAL, Table, TableCell, TableColumn, with_footnotes
from harness.text.outside_text import visible

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class ValueScale:
    """From where to where the bars of a table reach; `centred` ones have a line in the middle, at no difference."""

    low: float
    high: float
    centred: bool = False

    def places(self, estimate: Estimate) -> tuple[float, float, float]:
        """Place an estimate on a line of 100: low, value, high."""
        width = (self.high - self.low) or 1.0
        low, high = estimate.drawn
        return tuple(round(100 * (end - self.low) / width, 1) for end in (low, estimate.value, high))  # type: ignore[return-value]


def score_scale(table: Table) -> ValueScale | None:
    """The scale of a table's first scores: from 0, or below, to the greatest; None where there are none."""
    found = [row.cells[table.first_score].estimate for row in table.rows] if table.first_score is not None else []
    known = [estimate for estimate in found if estimate is not None]
    return ValueScale(min(0.0, *(e.drawn[0] for e in known)), max(e.drawn[1] for e in known)) if known else None


def gap_scale(widest: float) -> ValueScale:
    """The scale of differences that reach as far as `widest` from 0, which is in the middle."""
    reach = widest * 50 / 48 or 1.0
    return ValueScale(-reach, reach, centred=True)


def packed(estimate: Estimate, column: TableColumn = SCORE) -> str:
    """Write a number with its interval and count for the page's script; without an interval, nothing and the reason."""
    ends = ["", estimate.note or ""] if estimate.interval is None else map(column.show, estimate.interval)
    return "|".join([column.show(estimate.value), *ends, str(estimate.count)])


def templates_in(*folders: Path) -> Environment:
    """Open folders of templates, beside that of tables: what they write is escaped and visible.

    A name that is not there is an error.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([*folders, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen,
    )
    environment.filters.update(conditions=" ".join, packed=_packed_cell, with_footnotes=with_footnotes)
    environment.globals.update(usual=USUAL)
    return environment


def _packed_cell(cell: TableCell, column: TableColumn) -> str:
    """What a click on a number shows first."""
    return column.text(cell) if cell.estimate is None else packed(cell.estimate, column)


def _seen(value: Any) -> Any:
    """Make an expression's text visible before a template writes it; what is markup already stays."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value

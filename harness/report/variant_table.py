"""Rows of a leaderboard -> the table of compressed variants: how near to their parents they are, size and speed."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.leaderboard import Row
from harness.judge.variant_facts import VariantFacts
from harness.report.tables.table import ALWAYS, EXTRA, Table, TableCell, TableColumn, TableRow, name_column, text_column

_NOTE = (
    "beside their parents: largest difference and share of other decisions on the same samples; ×: parent's p50 over "
    "the variant's, both timed in turn in one process (95 % interval by the sign test); calls after which loading pays"
)


def variant_table(rows: Sequence[Row]) -> Table | None:
    """The variants of a leaderboard beside their parents; None where it has none that is done."""
    found = [(row, row.variant) for row in rows if row.variant is not None]
    if not found:
        return None
    columns = (
        name_column("variant"),
        TableColumn("difference", "largest difference", style="{:.2g}", importance=80),
        text_column("of", importance=EXTRA),
        TableColumn("flipped_share", "other decisions", style="{:.1%}", importance=ALWAYS),
        TableColumn("bytes", "size", "cost", "bytes", "{:.2f} MiB", 2**-20, -1, ALWAYS),
        text_column("size ×", importance=75),
        text_column("speed ×", importance=ALWAYS),
        TableColumn("seconds_to_make", "made in", "cost", "seconds", "{:.1f} s", importance=60),
        TableColumn("seconds_to_load", "loaded in", "cost", "seconds", "{:.1f} s", importance=65),
        text_column("pays after", importance=70),
    )
    lines = [TableRow(_cells(row, facts), group=row.model, key=row.name) for row, facts in found]
    slower = [row.name for row, facts in found if facts.is_slower]
    notes = [_NOTE, *([f"slower than the parent on this machine: {', '.join(slower)}"] if slower else [])]
    return Table("variants", "compressed variants", columns, tuple(lines), tuple(notes))


def _cells(row: Row, facts: VariantFacts) -> tuple[TableCell, ...]:
    return (
        TableCell(row.name),
        TableCell(facts.difference) if facts.difference is not None else TableCell(word="–"),
        TableCell(facts.numbers),
        TableCell(facts.flipped_share),
        TableCell(facts.bytes),
        TableCell(f"{facts.bytes / facts.parent_bytes:.2f}" if facts.parent_bytes else "–"),
        TableCell(speed_told(facts)),
        TableCell(facts.seconds_to_make),
        TableCell(facts.seconds_to_load) if facts.seconds_to_load is not None else TableCell(word="–"),
        TableCell(_break_even(facts)),
    )


def speed_told(facts: VariantFacts) -> str:
    """How many times faster than its parent a variant is, with its interval; "–" where that was not measured."""
    if facts.speed_up is None:
        return "–"
    low, high = facts.speed_up_low, facts.speed_up_high
    ends = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"{facts.speed_up:.2f}{ends}"


def _break_even(facts: VariantFacts) -> str:
    if facts.speed_up is None:
        return "–"
    return "never" if facts.break_even_calls is None else f"{facts.break_even_calls:,.0f} calls"

"""The leaderboard, its slices, its classes, and the cells that failed or were skipped, as tables of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.plan.installed_metrics import marked
from harness.records.unanswered import bounds_of
from harness.report.leaderboard_tables import (
    blind_notes,
    folded_notes,
    is_of_class,
    leaderboard_table,
    rank_notes,
    slice_table,
    verdict_notes,
)
from harness.report.metric_tables import together_tables
from harness.report.page.controls import MEANINGS
from harness.report.page.entries import Board, Entry
from harness.report.prompt_table import prompt_table
from harness.report.tables.costs import COSTS
from harness.report.tables.table import (
    ENDS,
    EXTRA,
    Origin,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    score_cell,
    text_column,
    unique,
    without_empty_columns,
)

_ALL_NOISY = "Noisy timing: other work on the machine disturbed the latencies of every row; a click on one says how."


def grouped(entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """Put the controls of a model below it, in their order; models stay in the order of the board."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.row.model, []).append(entry)
    ranked = sorted(groups.items(), key=lambda item: min(entries.index(e) for e in _heads(item[1])))
    return [(model, sorted(members, key=lambda e: e.row.control or "")) for model, members in ranked]


def _heads(members: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in members if entry.row.control is None] or list(members)


def board_table(board: Board) -> Table:
    """One line a model, controls below theirs: the score that ranks, ranks, seeds, other metrics, costs; ceilings last.

    Columns in which no row has anything are left out; what is absent everywhere is named below.
    """
    entries = [entry for _, members in grouped([e for e in board.entries if e.scored]) for entry in members]
    if not entries:
        return Table("leaderboard", "Leaderboard", (name_column("model"),), (), tuple(_notes(board)))
    whole = leaderboard_table([e.row for e in entries], board.metrics, [e.key for e in entries])
    noisy = {entry.key for entry in entries if _noisy(entry)}
    flagged = noisy if len(noisy) < len(entries) else set()
    labels = [_label(entry, noisy=entry.key in flagged) for entry in entries]
    ceilings = whole.rows[len(entries) :]
    rows = [replace(row, cells=(label, *row.cells[1:])) for label, row in zip(labels, whole.rows, strict=False)]
    shown, absent = without_empty_columns(_first_score_first(replace(whole, rows=(*rows, *ceilings))))
    absent += tuple(cost.title for cost in COSTS if cost not in shown.columns)
    told = [f"Absent in every row: {', '.join(absent)}."] if absent else []
    told += [_ALL_NOISY] if noisy and not flagged else []
    return replace(shown, notes=(*_notes(board), *told))


def _first_score_first(table: Table) -> Table:
    """Put the score that ranks behind the name, and the number of seeds among what is shown on demand."""
    columns = tuple(replace(c, importance=EXTRA) if c.name == "seeds" else c for c in table.columns)
    first = [place for place in (0, table.first_score) if place is not None]
    return replace(table, columns=columns).only([*first, *(p for p in range(len(columns)) if p not in first)])


def _label(entry: Entry, *, noisy: bool) -> TableCell:
    row = entry.row
    flags = [] if row.status == "ok" else [f"a seed {row.status}"]
    flags += ["not learnable here"] if row.learnable is False else []
    flags += ["noisy timing"] if noisy else []
    flags += ["conflict"] if row.conflicts else []
    flags += [MEANINGS[row.control][0]] if row.control and row.control in MEANINGS else []
    own = row.model if row.parent is None else f"└ {row.model}"
    shown = " ".join(filter(None, [row.control or own, row.setting]))
    return TableCell(row.model, word=shown, detail=", ".join(flags), origin=Origin(entry.name, (entry.key,)))


def _noisy(entry: Entry) -> list[str]:
    return [reason for record in entry.records for reason in record.efficiency.notes.get("noisy", [])]


def _notes(board: Board) -> list[str]:
    """What is not ranked and why, how ranks were made, what is not shown, and what is not told apart."""
    rows = [entry.row for entry in board.entries]
    unscored = [entry.row for entry in board.entries if not entry.scored]
    counts = {status: sum(row.status == status for row in unscored) for status in ("failed", "skipped")}
    told = [f"{count} {status}" for status, count in counts.items() if count]
    notes = [f"Not ranked: {' and '.join(told)}; reasons below."] if told else []
    if not board.ordered:
        notes.append(f"The plugin of {board.task} is not installed: its metrics stand in alphabetical order.")
    return [
        *blind_notes(rows, [board.main]),
        *notes,
        *rank_notes(rows),
        *folded_notes(rows),
        *verdict_notes(rows, [board.main]),
    ]


def board_together(board: Board) -> tuple[Table, ...]:
    """Metrics that can only be read together, in tables of their own."""
    return tuple(together_tables([e.row for e in board.entries], [e.key for e in board.entries]))


def board_slices(board: Board) -> Table | None:
    """The metric of each slice, ceilings below; None where the data has no slices."""
    return slice_table([e.row for e in board.entries], [e.key for e in board.entries])


def board_prompts(board: Board) -> Table | None:
    """The metric by each prompt, where models were asked by several; else None."""
    return prompt_table([e.row for e in board.entries], [board.main], [e.key for e in board.entries])


def class_table(board: Board) -> Table | None:
    """The first metric of each class, a column a model; None where no class has one of its own."""
    names = unique([name for e in board.entries for name in e.row.metrics if is_of_class(name)])
    names = [name for name in names if name.partition(":")[0] == board.main] or names
    scored = [entry for entry in board.entries if entry.scored]
    if not names or not scored:
        return None
    metric = names[0].partition(":")[0]
    names = [name for name in names if name.partition(":")[0] == metric]
    columns = (name_column("class"), *(TableColumn(entry.name, ends=ENDS) for entry in scored))
    lines = []
    for name in names:
        cells = [score_cell(e.row.metrics.get(name), Origin(name, (e.key,))) for e in scored]
        label = name.partition(":")[2]
        lines.append(TableRow((TableCell(label), *cells), group=name, key=label))
    return Table(
        "classes",
        f"{marked(metric)} of each class",
        columns,
        tuple(lines),
        ("Intervals show on a click.",),
    )


def _bounds(entries: Sequence[Entry]) -> list[str]:
    """Say what the metrics of rows with failed samples must lie between."""
    return [
        f"{marked(name)} of {entry.name}: {low:.3f} to {high:.3f}."
        for entry in entries
        for name, (low, high) in bounds_of(entry.row.failed_samples).items()
    ]


def failure_table(board: Board) -> Table | None:
    """Cells without a score, and rows of which a seed has none, with their reasons."""
    missing = [entry for entry in board.entries if entry.row.status != "ok"]
    if not missing:
        return None
    columns = (name_column("model"), text_column("status"), text_column("reason"))
    reasons = unique([(entry.row.status, entry.row.error or "no reason was recorded") for entry in missing])
    lines = []
    for status, reason in reasons:
        those = [e for e in missing if (e.row.status, e.row.error or "no reason was recorded") == (status, reason)]
        names = ", ".join(entry.name for entry in those)
        origin = Origin(f"{status}: {names}", tuple(entry.key for entry in those), note=reason)
        first, _, rest = reason.partition(". ")
        told = TableCell(first + "." * bool(rest), detail=" ".join([rest, *_bounds(those)]).strip())
        lines.append(TableRow((TableCell(names, origin=origin), TableCell(status), told), key=names))
    return Table("failures", "Failed and skipped", columns, tuple(lines))

"""The leaderboard, its slices, its classes, and the cells that failed or were skipped, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.judge.cost_columns import COSTS, CostColumn
from harness.judge.leaderboard import Row
from harness.metrics.directions import is_better_low, marked
from harness.record import Efficiency
from harness.report.page.controls import MEANINGS
from harness.report.page.entries import Board, Entry
from harness.report.page.table import (
    ABSENT,
    Cell,
    Column,
    Line,
    Origin,
    Table,
    score_cell,
    unique,
    without_empty_columns,
)

_SHOWN_METRICS = 5
_ALL_NOISY = "Noisy timing: other work on the machine disturbed the latencies of every row; a click on one says how."


def is_slice(name: str) -> bool:
    """Tell `top-1[night]`, a metric on a part of the samples."""
    return name.endswith("]") and ":" not in name.partition("[")[0]


def is_of_class(name: str) -> bool:
    """Tell `top-1:heart`, one class's share of a metric."""
    return ":" in name and not is_slice(name)


def grouped(entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """Put the controls of a model below it, in their order; models stay in the order of the board."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.row.model, []).append(entry)
    ranked = sorted(groups.items(), key=lambda item: min(entries.index(e) for e in _heads(item[1])))
    return [(model, sorted(members, key=lambda e: e.row.control or "")) for model, members in ranked]


def _heads(members: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in members if entry.row.control is None] or list(members)


def leaderboard_table(board: Board) -> Table:
    """One line a model, controls below theirs: the score that ranks, ranks, seeds, other metrics, costs; ceilings last.

    Columns in which no row has anything are left out; metrics that are absent everywhere are named below.
    """
    names = _metric_names(board)
    some = [name for name in names if any(e.row.metrics.get(name) for e in board.entries)]
    scores = [Column(name, extra=name not in some[:_SHOWN_METRICS], low=is_better_low(name)) for name in names]
    judged = [Column("rank", "text"), Column("fusion helps", "text"), Column("seeds", "text", extra=True)]
    costs = [Column(cost.name, "cost", not cost.shown, cost.unit, cost.low) for cost in COSTS]
    columns = (Column("model", "name"), *scores[:1], *judged, *scores[1:], *costs)
    lines = []
    scored = [entry for entry in board.entries if entry.scored]
    noisy = {entry.key for entry in scored if _noisy(entry)}
    flagged = noisy if len(noisy) < len(scored) else set()
    for model, members in grouped(scored):
        lines += [_line(entry, names, model, noisy=entry.key in flagged) for entry in members]
    lines += _ceilings(board.first, names, judged=len(judged), width=len(columns))
    table = Table("leaderboard", "Leaderboard", columns, tuple(lines), tuple(_notes(board)), intervals="first")
    shown, absent = without_empty_columns(table)
    told = [f"Absent in every row: {', '.join(absent)}."] if absent else []
    told += [_ALL_NOISY] if noisy and not flagged else []
    return replace(shown, notes=(*shown.notes, *told))


def _metric_names(board: Board) -> list[str]:
    seen = {n for e in board.entries for n in e.row.metrics if not is_slice(n) and not is_of_class(n)}
    ordered = [name for name in board.metrics if name in seen]
    first = [board.main] if board.main in ordered else []
    return unique([*first, *ordered, *sorted(seen - set(board.metrics))])


def _line(entry: Entry, names: Sequence[str], group: str, *, noisy: bool) -> Line:
    row = entry.row
    flags = [] if row.status == "ok" else [f"a seed {row.status}"]
    flags += ["not learnable here"] if row.learnable is False else []
    flags += ["noisy timing"] if noisy else []
    flags += [MEANINGS[row.control][0]] if row.control and row.control in MEANINGS else []
    rank = Cell(str(row.rank), row.rank.best) if row.rank else Cell("")
    seeds = Cell(str(len(row.seeds)), len(row.seeds))
    scores = [score_cell(row.metrics.get(name), Origin(name, (entry.key,))) for name in names]
    costs = [_cost_cell(column, row.efficiency, entry.key) for column in COSTS]
    shown = " ".join(filter(None, [row.control or row.model, row.setting]))
    label = Cell(shown, detail=", ".join(flags), origin=Origin(entry.name, (entry.key,)))
    level = "control" if row.control else "model"
    judged = (rank, Cell(row.verdict or ""), seeds)
    return Line((label, *scores[:1], *judged, *scores[1:], *costs), level, group, entry.name)


def _cost_cell(column: CostColumn, cost: Efficiency, key: str) -> Cell:
    value, text = column.read(cost), column.text(cost)
    return (
        Cell(ABSENT) if value is None or text is None else Cell(text, float(value), None, Origin(column.name, (key,)))
    )


def _noisy(entry: Entry) -> list[str]:
    return [reason for record in entry.records for reason in record.efficiency.notes.get("noisy", [])]


def _ceilings(row: Row, names: Sequence[str], judged: int, width: int) -> list[Line]:
    """What the best guesser reaches from the image, the text and both, where that is known."""
    lines = []
    for source in ("vision", "text", "both"):
        values = [row.ceilings.get(name, {}).get(source) for name in names]
        if any(value is not None for value in values):
            cells = [Cell("") if value is None else Cell(f"{value:.3f}", value) for value in values]
            name = f"ceiling: {source}"
            between = [Cell("")] * judged
            rest = [Cell("")] * (width - 1 - judged - len(cells))
            lines.append(Line((Cell(name), *cells[:1], *between, *cells[1:], *rest), "ceiling", name, name))
    return lines


def _notes(board: Board) -> list[str]:
    unscored = [entry for entry in board.entries if not entry.scored]
    counts = {status: sum(e.row.status == status for e in unscored) for status in ("failed", "skipped")}
    told = [f"{count} {status}" for status, count in counts.items() if count]
    notes = [f"Not ranked: {' and '.join(told)}; reasons below."] if told else []
    if not board.ordered:
        notes.append(f"The plugin of {board.task} is not installed: its metrics stand in alphabetical order.")
    ranks = [entry.row.rank for entry in board.entries if entry.row.rank]
    if len(ranks) > 1:
        how = "paired over samples" if all(rank.paired for rank in ranks) else "unpaired, sample scores being missing"
        notes.append(f"Rank: all that it may be with 95 % confidence, for all rows at once ({how}).")
    older = sum(len(entry.row.older) for entry in board.entries)
    if older:
        notes.append(
            f"{older} older record{'' if older == 1 else 's'} of other code: bench leaderboard --all shows them."
        )
    near = _near_ceiling(board)
    if len(near) > 1:
        notes.append(f"Within 2 points of the ceiling, so not told apart: {', '.join(near)}.")
    return notes


def _near_ceiling(board: Board) -> list[str]:
    ceiling = board.first.ceilings.get(board.main, {}).get("both")
    scored = [(entry, entry.row.metrics.get(board.main)) for entry in board.entries]
    return [entry.name for entry, e in scored if ceiling and e and e.value >= ceiling - 0.02]


def slice_table(board: Board) -> Table | None:
    """The metric of each slice, ceilings below; None where the data has no slices."""
    names = unique([name for e in board.entries for name in e.row.metrics if is_slice(name)])
    if not names:
        return None
    metric = names[0].partition("[")[0]
    columns = [Column("model", "name"), *(Column(name.partition("[")[2][:-1]) for name in names)]
    lines = [
        Line(
            (Cell(e.name), *(score_cell(e.row.metrics.get(n), Origin(n, (e.key,))) for n in names)),
            group=e.name, key=e.name,
        )
        for e in board.entries if e.scored
    ]  # fmt: skip
    lines += _ceilings(board.first, names, judged=0, width=len(columns))
    title = f"{marked(metric)} on slices of the samples"
    return Table("slices", title, tuple(columns), tuple(lines))


def class_table(board: Board) -> Table | None:
    """The first metric of each class, a column a model; None where no class has one of its own."""
    names = unique([name for e in board.entries for name in e.row.metrics if is_of_class(name)])
    names = [name for name in names if name.partition(":")[0] == board.main] or names
    scored = [entry for entry in board.entries if entry.scored]
    if not names or not scored:
        return None
    metric = names[0].partition(":")[0]
    names = [name for name in names if name.partition(":")[0] == metric]
    columns = (Column("class", "name"), *(Column(entry.name) for entry in scored))
    lines = []
    for name in names:
        cells = [score_cell(e.row.metrics.get(name), Origin(name, (e.key,))) for e in scored]
        label = name.partition(":")[2]
        lines.append(Line((Cell(label), *cells), group=name, key=label))
    return Table(
        "classes",
        f"{marked(metric)} of each class",
        columns,
        tuple(lines),
        ("Intervals show on a click.",),
        intervals="none",
    )


def failure_table(board: Board) -> Table | None:
    """Cells without a score, and rows of which a seed has none, with their reasons."""
    missing = [entry for entry in board.entries if entry.row.status != "ok"]
    if not missing:
        return None
    columns = (Column("model", "name"), Column("status", "text"), Column("reason", "text"))
    reasons = unique([(entry.row.status, entry.row.error or "no reason was recorded") for entry in missing])
    lines = []
    for status, reason in reasons:
        those = [e for e in missing if (e.row.status, e.row.error or "no reason was recorded") == (status, reason)]
        names = ", ".join(entry.name for entry in those)
        origin = Origin(f"{status}: {names}", tuple(entry.key for entry in those), note=reason)
        first, _, rest = reason.partition(". ")
        lines.append(
            Line((Cell(names, origin=origin), Cell(status), Cell(first + "." * bool(rest), detail=rest)), key=names)
        )
    return Table("failures", "Failed and skipped", columns, tuple(lines))

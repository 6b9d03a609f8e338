"""Rows of a leaderboard -> its table, that of the slices, and the notes that both need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.judge.blind import blind_mark
from harness.judge.leaderboard import Row, samples_told
from harness.plan.installed_metrics import marked, metric_named
from harness.records.unanswered import bounds_of
from harness.report.metric_tables import together_tables
from harness.report.prompt_table import prompt_table
from harness.report.sequence_table import sequence_tables
from harness.report.service_table import service_table
from harness.report.tables.costs import COSTS, cost_cell
from harness.report.tables.document import Block, Heading, document_text
from harness.report.tables.layout import PIPE_WIDTH
from harness.report.tables.table import (
    ALWAYS,
    ENDS,
    EXTRA,
    USUAL,
    VALUE_ONLY,
    Origin,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    score_cell,
    text_column,
    unique,
)
from harness.report.tables.values import json_text, table_csv
from harness.report.trial_table import trial_table
from harness.report.variant_table import variant_table

FUSION_HELPS = "fusion helps"
_METRICS = (ALWAYS, 75, 66, 64, 62)
"""How important the task's metrics are, in their order; of the others, each a little less than the one before."""
_NEAR_CEILING = 0.02
"""Of the first metric: rows so near to what is possible are not told apart."""
_SOURCES = ("vision", "text", "both")
_NOTHING = "No records. Run 'bench run' first, or give another folder with --results."


def render_leaderboard(
    tables: Sequence[Sequence[Row]], metrics: Sequence[str], style: str, width: int | None = PIPE_WIDTH
) -> str:
    """Render as text, md, csv or json."""
    if style == "json":
        return json_text([content for rows in tables for content in _json_rows(rows, metrics)])
    if style == "csv":
        return table_csv([leaderboard_table(rows, metrics) for rows in tables])
    return document_text(leaderboard_document(tables, metrics), style, width)


def _json_rows(rows: Sequence[Row], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a table; those of a set that is solved without the image say so."""
    mark = blind_mark(rows, metrics)
    told = {"solved_blind": mark.to_json()} if mark else {}
    return [row.to_json() | told for row in rows]


def leaderboard_document(tables: Sequence[Sequence[Row]], metrics: Sequence[str]) -> list[Block]:
    """Give each set of comparable rows a heading, its slices, its leaderboard and its notes."""
    blocks: list[Block] = []
    for rows in tables:
        before = [table for table in (slice_table(rows), prompt_table(rows, metrics), trial_table(rows)) if table]
        before += sequence_tables(rows)
        blocks += [Heading(title_of(rows)), *before, leaderboard_table(rows, metrics)]
        blocks += [variants] if (variants := variant_table(rows)) else []
        blocks += [served] if (served := service_table(rows)) else []
        blocks += together_tables(rows)
    return blocks or [_NOTHING]


def title_of(rows: Sequence[Row]) -> str:
    """Say of what task, data, split and how many samples the rows are."""
    return f"{rows[0].task} on {data_title(rows)}"


def data_title(rows: Sequence[Row]) -> str:
    """Say of what data, split and how many samples the rows are."""
    first = rows[0]
    return f"{first.data} ({first.data_digest[:12]}), split {first.split}{samples_told(rows)}"


def is_slice(name: str) -> bool:
    """Tell `top-1[night]`, a metric on a part of the samples."""
    return name.endswith("]") and ":" not in name.partition("[")[0]


def is_of_class(name: str) -> bool:
    """Tell `top-1:heart`, one class's share of a metric."""
    return ":" in name and not is_slice(name)


def metric_names(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """The metric that ranks, the others in the task's order, those that only this data adds; absent ones stay in sight.

    Slices have a table of their own, and the scores of single classes are left to JSON and CSV.
    """
    known = [name for row in rows for name in (*row.metrics, *bounds_of(row.failed_samples))]
    seen = {name for name in known if not is_slice(name) and not is_of_class(name)}
    seen -= {name for name in seen if metric_named(name).together}
    names = [name for name in metrics if name in seen] + sorted(seen - set(metrics))
    ranking = [name for name in names if name in metrics and any(row.metrics.get(name) for row in rows)]
    return unique([*ranking[:1], *names])


def metric_column(name: str, importance: int, *, title: str = "", interval: bool = False) -> TableColumn:
    """Make the column of a metric's scores."""
    return TableColumn(
        name,
        title,
        direction=metric_named(name).direction,
        importance=importance,
        interval=interval,
        ends=("low", "high", "note"),
    )


def leaderboard_table(rows: Sequence[Row], metrics: Sequence[str], keys: Sequence[str] = ()) -> Table:
    """One line a row: ranks, verdicts, seeds, scores and costs, and all that files need; ceilings last.

    `keys` are ids of the rows on a page, where its numbers say where they come from.
    """
    names = metric_names(rows, metrics)
    ids = keys or [""] * len(rows)
    plain = [_plain(row) for row in rows]
    parts = [*_judged(rows), *_scores(rows, names, ids), *_costs(rows, ids)]
    own = {column.name for column, _ in parts}
    others = [name for name in unique(key for values in plain for key in values) if name not in own]
    hidden = [(_hidden(name), [TableCell(values.get(name)) for values in plain]) for name in others]
    parts = [*parts, *hidden, *_values_only(rows, names, ids)]
    lines = [
        TableRow(tuple(cells[place] for _, cells in parts), "control" if row.control else "model", row.model, row.name)
        for place, row in enumerate(rows)
    ]
    columns = tuple(column for column, _ in parts)
    lines += ceiling_rows(rows, columns)
    return Table("leaderboard", "Leaderboard", columns, tuple(lines), tuple(leaderboard_notes(rows, metrics)))


LeaderboardPiece = tuple[TableColumn, list[TableCell]]


def _judged(rows: Sequence[Row]) -> list[LeaderboardPiece]:
    parts: list[LeaderboardPiece] = [(name_column("model"), [TableCell(row.model, word=_name(row)) for row in rows])]
    if any(row.rank for row in rows):
        ranks = [
            TableCell(str(row.rank), order=row.rank.best) if row.rank else TableCell(word="–") for row in rows
        ]  # fmt: skip
        parts.append((text_column("rank", importance=90), ranks))
    if any(row.verdict for row in rows):
        verdicts = [TableCell(row.verdict) for row in rows]
        parts.append((text_column(FUSION_HELPS, importance=85, name="verdict"), verdicts))
    seeds = [TableCell(len(row.seeds), word=None if row.metrics else row.status) for row in rows]
    return [*parts, (TableColumn("seeds", style="{:.0f}", kind="cost", importance=80), seeds)]


def _name(row: Row) -> str:
    name = row.name if row.parent is None else f"└ {row.name}"
    return f"{name} (conflict)" if row.conflicts else name


def _scores(rows: Sequence[Row], names: Sequence[str], keys: Sequence[str]) -> list[LeaderboardPiece]:
    parts = []
    some = [name for name in names if any(row.metrics.get(name) for row in rows)]
    for place, name in enumerate(names):
        importance = _METRICS[some.index(name)] if name in some[: len(_METRICS)] else max(EXTRA + 1, 45 - place)
        cells = [_score(row, name, key) for row, key in zip(rows, keys, strict=True)]
        parts.append((metric_column(name, importance, interval=place == 0), cells))
    return parts


def _score(row: Row, name: str, key: str) -> TableCell:
    if row.metrics.get(name) is None and (ends := bounds_of(row.failed_samples).get(name)):
        return TableCell(word=f"{ends[0]:.3f} to {ends[1]:.3f}")
    return score_cell(row.metrics.get(name), Origin(name, (key,)) if key else None, "absent" if row.metrics else "–")


def _costs(rows: Sequence[Row], keys: Sequence[str]) -> list[LeaderboardPiece]:
    return [
        (cost, [cost_cell(cost, row.efficiency, key) for row, key in zip(rows, keys, strict=True)])
        for cost in COSTS
        if any(getattr(row.efficiency, cost.name) is not None for row in rows)
    ]


def _plain(row: Row) -> dict[str, Any]:
    """What JSON holds of a row and does not nest."""
    content = row.to_json(scores=False) | {"rank": str(row.rank) if row.rank else None}
    content |= {"conflicts": len(row.conflicts)} if row.conflicts else {}
    return {key: value for key, value in content.items() if not isinstance(value, dict | list)}


def _hidden(name: str) -> TableColumn:
    return TableColumn(name, importance=VALUE_ONLY)


def _values_only(rows: Sequence[Row], drawn: Sequence[str], keys: Sequence[str]) -> list[LeaderboardPiece]:
    """Slices and classes, what seeds and samples contribute to intervals, and ceilings: for files alone."""
    parts: list[LeaderboardPiece] = []
    for name in unique([*drawn, *(name for row in rows for name in row.metrics)]):
        if name not in drawn:
            column = metric_column(name, VALUE_ONLY)
            parts.append((column, [_score(row, name, key) for row, key in zip(rows, keys, strict=True)]))
        spreads = [row.spreads.get(name) for row in rows]
        if any(spreads):
            parts.append((_hidden(f"{name} seeds sd"), [TableCell(s.seeds_sd if s else None) for s in spreads]))
            parts.append((_hidden(f"{name} sampling se"), [TableCell(s.sampling_se if s else None) for s in spreads]))
        for source in unique(source for row in rows for source in row.ceilings.get(name, {})):
            ceilings = [TableCell(row.ceilings.get(name, {}).get(source)) for row in rows]
            parts.append((_hidden(f"{name} ceiling: {source}"), ceilings))
    return parts


def slice_table(rows: Sequence[Row], keys: Sequence[str] = ()) -> Table | None:
    """The first metric in each slice, ceilings below; it stands before the mean, which can hide them."""
    names = unique(name for row in rows for name in row.metrics if is_slice(name))
    if not names:
        return None
    metric = marked(names[0].partition("[")[0])
    columns = (name_column(f"{metric} by slice"), *(_slice_column(rows[0], name, bool(keys)) for name in names))
    lines = [
        TableRow((TableCell(row.name), *(_score(row, name, key) for name in names)), group=row.name, key=row.name)
        for row, key in zip(rows, keys or [""] * len(rows), strict=True)
        if row.metrics
    ]
    return Table("slices", f"{metric} on slices of the samples", columns, (*lines, *ceiling_rows(rows, columns)))


def _slice_column(first: Row, name: str, interval: bool) -> TableColumn:
    """A slice whose ceiling is known goes last where there is no room: it says what its scores mean."""
    importance = USUAL + (name in first.ceilings)
    return TableColumn(name, name.partition("[")[2][:-1], interval=interval, importance=importance, ends=ENDS)


def ceiling_rows(rows: Sequence[Row], columns: Sequence[TableColumn]) -> list[TableRow]:
    """What the best guesser reaches from the image, the text and both, below the columns where it is known."""
    ceilings = rows[0].ceilings
    found = []
    for source in _SOURCES:
        values = [ceilings.get(column.name, {}).get(source) for column in columns[1:]]
        drawn = (value for value, column in zip(values, columns[1:], strict=True) if column.importance != VALUE_ONLY)
        if any(value is not None for value in drawn):
            cells = (TableCell(f"ceiling: {source}"), *(TableCell(value) for value in values))
            found.append(TableRow(cells, level="ceiling", key=f"ceiling: {source}"))
    return found


def leaderboard_notes(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """What keeps rows from being ranked, how ranks were made, what is not shown, where costs are from, what failed."""
    devices = sorted({_device(row) for row in rows if row.status == "ok"})
    how = "95 % intervals over images: by bootstrap, Wilson's for proportions"
    return [
        *blind_notes(rows, metrics),
        *verdict_notes(rows, metrics),
        *rank_notes(rows),
        *folded_notes(rows),
        *(f"[{how}] {device}" for device in devices),
        *(f"{row.name}: {row.status}: {row.error.partition('. ')[0]}" for row in rows if row.error),
        *bounds_notes(rows),
    ]


def bounds_notes(rows: Sequence[Row]) -> list[str]:
    """Say of rows with failed samples what stands in the place of their scores, and which metrics have no bounds."""
    notes = []
    for row in (row for row in rows if row.failed_samples):
        unbounded = row.failed_samples.get("unbounded", ())
        none = f"; no bounds are known of {', '.join(unbounded)}" if unbounded else ""
        notes.append(f"{row.name}: not ranked: its failed samples all wrong to all right{none}")
    return notes


def blind_notes(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """Say that a set is solved without the image, and by what."""
    mark = blind_mark(rows, metrics)
    return [mark.told] if mark else []


def verdict_notes(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """What keeps rows from being ranked: a ceiling that is too near, or a model that cannot learn here."""
    notes = [
        f"{r.name}: not learnable here (it cannot fit 32 samples): no verdict" for r in rows if r.learnable is False
    ]
    name = metrics[0] if metrics else ""
    ceiling = rows[0].ceilings.get(name, {}).get("both")
    near = [row for row in rows if ceiling and (e := row.metrics.get(name)) and e.value >= ceiling - _NEAR_CEILING]
    if len(near) > 1:
        notes.append(f"within 2 points of the ceiling, so not ranked: {', '.join(row.name for row in near)}")
    return notes


def folded_notes(rows: Sequence[Row]) -> list[str]:
    """How many records are not shown, and why."""
    older, replaced = sum(len(row.older) for row in rows), sum(len(row.replaced) for row in rows)
    notes = [f"{older} older record{'' if older == 1 else 's'} of other code versions: --all shows them"] * bool(older)
    again = f"{replaced} record{'' if replaced == 1 else 's'} of rows that were measured or resampled again: not shown"
    return [*conflict_notes(rows), *notes, *([again] if replaced else [])]


def conflict_notes(rows: Sequence[Row]) -> list[str]:
    """Which rows another run made otherwise at the same time, and where that is kept."""
    return [
        f"{row.name}: CONFLICT: another run made {', '.join(row.conflicts)} with other answers or scores, kept in "
        f"{row.task}/conflicts of its results folder; compare both, delete what is wrong, run again"
        for row in rows
        if row.conflicts
    ]


def rank_notes(rows: Sequence[Row]) -> list[str]:
    """How ranks were made, and against what a model's fusion was judged; nothing for fewer than two ranked rows."""
    ranks = [row.rank for row in rows if row.rank]
    if len(ranks) < 2:
        return []
    how = "paired over samples" if all(r.paired for r in ranks) else "unpaired: sample scores of a row are missing"
    notes = [f"rank: all that it may be with 95 % confidence, for all rows at once ({how})"]
    if any(row.verdict for row in rows):
        notes.append(f"{FUSION_HELPS}: against all matched controls, over 5 seeds or more; 'bench verdict' says why")
    return notes


def _device(row: Row) -> str:
    if row.efficiency.latency_runs:
        return f"measured on {row.device}"
    left_out = row.efficiency.notes.get("not_measured")
    return f"not measured: {left_out}" if left_out else "nothing measured"

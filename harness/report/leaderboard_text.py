"""Rows of a leaderboard -> a table in the terminal, Markdown, CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.judge.cost_columns import COSTS
from harness.judge.leaderboard import Row, samples_told
from harness.metrics.directions import DOWN, marked
from harness.report.table_text import aligned, markdown
from harness.text.outside_text import csv_text, markdown_text, one_line

_VERDICT = "fusion helps"
_NEAR_CEILING = 0.02
"""Of the first metric: rows so near to what is possible are not told apart."""


def render(tables: Sequence[Sequence[Row]], metrics: Sequence[str], style: str) -> str:
    """Render as text, md, csv or json."""
    if style == "json":
        return json.dumps([row.to_json() for rows in tables for row in rows], indent=1, allow_nan=False)
    if style == "csv":
        return _csv(tables, metrics)
    if not tables:
        return "No records. Run 'bench run' first, or give another folder with --results."
    return "\n\n".join(_titled(rows, metrics, style) for rows in tables)


def _columns(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """Metrics in the task's order, then those that only this data adds; absent ones stay in sight.

    Slices have a table of their own, and the scores of single classes are left to JSON and CSV.
    """
    seen = {name for row in rows for name in row.metrics if not (_is_slice(name) or _is_of_class(name))}
    return [name for name in metrics if name in seen] + sorted(seen - set(metrics))


def _is_slice(name: str) -> bool:
    return name.endswith("]") and ":" not in name.partition("[")[0]


def _is_of_class(name: str) -> bool:
    return ":" in name and not _is_slice(name)


def _titled(rows: Sequence[Row], metrics: Sequence[str], style: str) -> str:
    first = rows[0]
    title = f"{first.task} on {first.data} ({first.data_digest[:12]}), split {first.split}"
    draw = markdown if style == "md" else aligned
    slices = _slices(rows)
    parts = [draw(slices)] if slices else []
    parts.append(draw(_cells(rows, _columns(rows, metrics))))
    body = "\n\n".join(parts)
    notes = _verdict_notes(rows, metrics) + _rank_notes(rows)
    notes += _folded_notes(rows)
    notes += [
        f"[95 % intervals over images: by bootstrap, Wilson's for proportions]  {device}"
        for device in sorted({_device(r) for r in rows})
    ]
    notes += [f"{row.name}: {row.status}: {row.error.partition('. ')[0]}" for row in rows if row.error]
    title += samples_told(rows)
    heading = f"**{markdown_text(title)}**" if style == "md" else one_line(title)
    footer = "\n".join(f"- {markdown_text(note)}" if style == "md" else one_line(note) for note in notes)
    return f"{heading}\n\n{body}\n\n{footer}\n"


def _slices(rows: Sequence[Row]) -> list[list[str]]:
    """A table of the first metric in each slice, ceilings below; it stands before the mean, which can hide them."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics if _is_slice(name)))
    if not names:
        return []
    metric = marked(names[0].partition("[")[0])
    heading = [f"{metric} by slice", *(name.partition("[")[2][:-1] for name in names)]
    scored = [row for row in rows if row.metrics]
    table = [
        heading,
        *([row.name, *(_score(row, name, False) for name in names)] for row in scored),
    ]
    return table + _ceiling_rows(rows, names, len(names) + 1, 1)


def _ceiling_rows(rows: Sequence[Row], names: Sequence[str], width: int, first: int) -> list[list[str]]:
    """What the best guesser reaches from the image, the text and both, below the columns where it is known."""
    ceilings = rows[0].ceilings
    found = []
    for source in ("vision", "text", "both"):
        values = [ceilings.get(name, {}).get(source) for name in names]
        if any(value is not None for value in values):
            cells = [f"ceiling: {source}", *[""] * (first - 1), *("" if v is None else f"{v:.3f}" for v in values)]
            found.append([*cells, *[""] * (width - len(cells))])
    return found


def _verdict_notes(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """What keeps rows from being ranked: a ceiling that is too near, or a model that cannot learn here."""
    notes = [
        f"{row.name}: not learnable here (it cannot fit 32 samples): no verdict"
        for row in rows
        if row.learnable is False
    ]
    name = metrics[0] if metrics else ""
    ceiling = rows[0].ceilings.get(name, {}).get("both")
    near = [row for row in rows if ceiling and (e := row.metrics.get(name)) and e.value >= ceiling - _NEAR_CEILING]
    if len(near) > 1:
        notes.append(f"within 2 points of the ceiling, so not ranked: {', '.join(row.name for row in near)}")
    return notes


def _folded_notes(rows: Sequence[Row]) -> list[str]:
    """How many records are not shown, and why."""
    older, replaced = sum(len(row.older) for row in rows), sum(len(row.replaced) for row in rows)
    notes = [f"{older} older record{'' if older == 1 else 's'} of other code versions: --all shows them"] * bool(older)
    again = f"{replaced} record{'' if replaced == 1 else 's'} of rows that were measured or resampled again: not shown"
    return [*notes, *([again] if replaced else [])]


def _rank_notes(rows: Sequence[Row]) -> list[str]:
    ranks = [row.rank for row in rows if row.rank]
    if len(ranks) < 2:
        return []
    how = (
        "paired over samples" if all(rank.paired for rank in ranks) else "unpaired: sample scores of a row are missing"
    )
    notes = [f"rank: all that it may be with 95 % confidence, for all rows at once ({how})"]
    if any(row.verdict for row in rows):
        notes.append(f"{_VERDICT}: against all matched controls, over 5 seeds or more; 'bench verdict' says why")
    return notes


def _device(row: Row) -> str:
    if row.efficiency.latency_runs:
        return f"measured on {row.device}"
    left_out = row.efficiency.notes.get("not_measured")
    return f"not measured: {left_out}" if left_out else "nothing measured"


def _cells(rows: Sequence[Row], metrics: Sequence[str]) -> list[list[str]]:
    ranks, verdicts = any(row.rank for row in rows), any(row.verdict for row in rows)
    costs = [cost for cost in COSTS if any(cost.read(row.efficiency) is not None for row in rows)]
    priced = [f"{cost.name} {DOWN}" if cost.low else cost.name for cost in costs]
    heading = ["model", *(["rank"] if ranks else []), *([_VERDICT] if verdicts else []), "seeds"]
    table = [[*heading, *map(marked, metrics), *priced]]
    for row in rows:
        scores = [_score(row, name, position == 0) for position, name in enumerate(metrics)]
        rank = [str(row.rank or "–")] if ranks else []
        verdict = [row.verdict or ""] if verdicts else []
        seeds = str(len(row.seeds)) if row.metrics else row.status
        paid = [cost.text(row.efficiency) or "–" for cost in costs]
        table.append([row.name, *rank, *verdict, seeds, *scores, *paid])
    return table + _ceiling_rows(rows, metrics, len(table[0]), 2 + ranks + verdicts)


def _score(row: Row, name: str, with_interval: bool) -> str:
    estimate = row.metrics.get(name)
    if not row.metrics:
        return "–"
    if estimate is None:
        return "absent"
    value = f"{estimate.value:.3f}"
    return f"{value} {estimate.bracket()}" if with_interval else value


def _csv(tables: Sequence[Sequence[Row]], metrics: Sequence[str]) -> str:
    """One line a row; what JSON nests stands in columns of its own, or is left to it."""
    rows = [row for table in tables for row in table]
    names = list(dict.fromkeys([*_columns(rows, metrics), *(name for row in rows for name in row.metrics)]))
    lines = [_plain_row(row) | _score_columns(row, names) for row in rows]
    heading = list(dict.fromkeys(key for line in lines for key in line))
    return csv_text([heading, *([line.get(key) for key in heading] for line in lines)]).rstrip("\n")


def _plain_row(row: Row) -> dict[str, Any]:
    content = row.to_json() | {"rank": str(row.rank) if row.rank else None}
    return {key: value for key, value in content.items() if not isinstance(value, dict | list)}


def _score_columns(row: Row, names: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        estimate, spread, ceilings = row.metrics.get(name), row.spreads.get(name), row.ceilings.get(name, {})
        ends = (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
        found |= dict(zip((name, f"{name} low", f"{name} high"), ends, strict=True))
        if estimate and estimate.note:
            found[f"{name} note"] = estimate.note
        if spread:
            found |= {f"{name} seeds sd": spread.seeds_sd, f"{name} sampling se": spread.sampling_se}
        found |= {f"{name} ceiling: {source}": value for source, value in ceilings.items()}
    return found

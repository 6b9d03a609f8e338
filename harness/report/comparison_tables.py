"""A comparison as tables of metrics, slices and samples, and as a text for the terminal, as Markdown, or as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.compare.comparison import Comparison
from harness.judge.compare.metric_difference import MetricDifference
from harness.judge.compare.slices import LEAST_IN_A_SLICE, SliceDifference
from harness.metrics.metric import DOWN, UP
from harness.plan.installed_metrics import marked, metric_named
from harness.record import Estimate, RunRecord
from harness.report.tables.document import Block, Heading, Notes, document_text
from harness.report.tables.layout import PIPE_WIDTH
from harness.report.tables.table import (
    ABSENT,
    ALWAYS,
    GAP,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    text_column,
)
from harness.report.tables.values import json_text
from harness.storage.metric_names import base_name

_SHOWN_SLICES = 25
LEAST_SEEDS = 5
"""Below this no claim about seeds is decided."""
APART = "apart"
"""The level of a row whose two sides are told apart."""
_ARROWS = ((UP, "more", 1), (DOWN, "less", -1))
_GAP = TableColumn(
    "difference", "A − B [95 %]", style=GAP.style, minus=GAP.minus, interval=True, importance=ALWAYS,
    ends=("low", "high"),
)  # fmt: skip


def render_comparison(found: Sequence[Comparison], style: str, width: int | None = PIPE_WIDTH) -> str:
    """Render one comparison or several, as text, md or json."""
    if style == "json":
        return json_text({"comparisons": [comparison.to_json() for comparison in found]})
    return document_text(comparison_document(found), style, width)


def comparison_document(found: Sequence[Comparison]) -> list[Block]:
    """Say of each comparison what is compared, the main difference, all metrics, slices and changed samples."""
    return [block for comparison in found for block in _whole(comparison)]


def _whole(found: Comparison) -> list[Block]:
    blocks: list[Block] = [Heading(comparison_title(found), subtitle_of(found)), verdict_of(found)]
    if found.metrics:
        blocks.append(metric_table(found))
    blocks += [flip_counts(found) or "", Notes(tuple(_refusals(found)))]
    if rows := ranked_slices(found.slices):
        blocks.append(compared_slice_table(rows[:_SHOWN_SLICES]))
        if len(rows) > _SHOWN_SLICES:
            blocks.append(f"{len(rows) - _SHOWN_SLICES} more slices: --format json, or --out FILE.html")
    if found.flips:
        blocks.append(flip_table(found))
    return [*blocks, Notes(tuple(comparison_notes(found)))]


def _refusals(found: Comparison) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for name, reason in found.refused.items():
        reasons.setdefault(reason, []).append(name)
    return [f"Not compared: {', '.join(names)}: {why}." for why, names in reasons.items()]


def comparison_title(found: Comparison) -> str:
    """Say what is compared with what."""
    names = " − ".join(found.names)
    return names if found.other_samples is None else f"UNPAIRED, OTHER SAMPLES ({found.other_samples}): {names}"


def subtitle_of(found: Comparison) -> str:
    """Say on what: task, data, split, samples, seeds, and from what was stored."""
    first = found.a.first
    parts = [f"{first.task} on {first.data} ({first.data_digest[:12]}), split {first.split}"]
    if found.samples is not None:
        parts.append(f"{found.samples} samples")
    if found.seeds:
        parts.append(f"{len(found.seeds)} {'seed' if len(found.seeds) == 1 else 'seeds'}")
    if found.metrics:
        parts.append(f"{'paired' if found.paired else 'UNPAIRED'}, from {found.basis}")
    return ", ".join(parts)


def verdict_of(found: Comparison) -> str:
    """Put the main difference into a sentence."""
    main = found.main
    if main is None:
        return "Nothing can be compared."
    change = main.smallest_detectable_change
    limit = "" if change is None else f"; a true difference of {change:.3f} would be found in 4 of 5 such experiments"
    if not main.found.told_apart:
        return f"The data do not tell them apart by {main.metric} ({_GAP.whole(_gap_cell(main))}){limit}."
    return f"{_ranked(main, found.names)}: {_GAP.whole(_gap_cell(main))}{limit}."


def _ranked(main: MetricDifference, names: tuple[str, str]) -> str:
    """Say which of two is better by a metric, or has more of it where it has no direction."""
    metric = metric_named(main.metric)
    if metric.direction == 0:
        higher, lower = names if main.found.value > 0 else names[::-1]
        return f"{main.metric} of {higher} is higher than that of {lower}"
    better, worse = names if metric.better(main.found.value) == "better" else names[::-1]
    return f"By {marked(main.metric)} {better} is better than {worse}"


def metric_table(found: Comparison) -> Table:
    """A row a metric."""
    several = any(d.seed_sd is not None for d in found.metrics)
    columns = [
        name_column("metric"), TableColumn("A", kind="cost"), TableColumn("B", kind="cost"), _GAP, _p_column("p", 80),
        TableColumn("detectable", kind="cost"), TableColumn("SE samples", kind="cost", style="{:.4f}"),
    ]  # fmt: skip
    if several:
        columns.append(TableColumn("SE seeds", kind="cost", style="{:.4f}"))
    rows = []
    for d in found.metrics:
        cells = [*_sides(d), _p_cell(d.p), _number(d.smallest_detectable_change), _number(d.sampling_sd)]
        cells += [_number(d.seed_sd)] if several else []
        rows.append(_row(d, TableCell(marked(d.metric)), cells))
    return Table("metrics", "Metrics", tuple(columns), tuple(rows))


def compared_slice_table(rows: Sequence[SliceDifference]) -> Table:
    """A row a slice."""
    columns = (
        name_column("slice"), text_column("metric", importance=60),
        TableColumn("samples", kind="cost", style="{:.0f}", importance=60),
        TableColumn("A", kind="cost"), TableColumn("B", kind="cost"), _GAP,
        TableColumn("detectable", kind="cost", importance=30), _p_column("p", 40),
        _p_column("p adjusted", 80),
    )  # fmt: skip
    lines = []
    for row in rows:
        d = row.difference
        base = TableCell(marked(base_name(d.metric)))
        cells = [base, TableCell(d.count), *_sides(d), _number(d.smallest_detectable_change)]
        name = TableCell(f"{row.kind}: {row.name}")
        lines.append(_row(d, name, [*cells, _p_cell(d.p), _p_cell(row.adjusted)]))
    return Table("slices", "Slices", columns, tuple(lines))


def flip_table(found: Comparison) -> Table:
    """A row a sample whose score changed most."""
    said = [text_column(f"{name} says", importance=60, least=20) for name in found.names]
    columns = (
        name_column("sample"), TableColumn("A", style="{:.3g}", importance=70),
        TableColumn("B", style="{:.3g}", importance=70), *said, text_column("reference", importance=60, least=20),
    )  # fmt: skip
    rows = []
    for f in found.flips:
        texts = (TableCell(text, word=_short(text)) for text in (f.said_a, f.said_b, f.truth))
        rows.append(TableRow((TableCell(f.sample_id), TableCell(f.score_a), TableCell(f.score_b), *texts)))
    return Table("flips", "Samples that changed most", columns, tuple(rows))


def _row(d: MetricDifference, name: TableCell, cells: Sequence[TableCell]) -> TableRow:
    return TableRow((name, *cells), APART if d.found.told_apart else "model", key=str(name.value))


def _sides(d: MetricDifference) -> list[TableCell]:
    return [TableCell(d.a), TableCell(d.b), _gap_cell(d)]


def _gap_cell(d: MetricDifference) -> TableCell:
    low, high = d.found.interval or (None, None)
    return TableCell(d.found.value, Estimate(d.found.value, low, high, d.count, d.found.note))


def _p_column(name: str, importance: int) -> TableColumn:
    return TableColumn(name, kind="cost", importance=importance)


def _p_cell(p: float | None) -> TableCell:
    return TableCell(p, word=p_text(p))


def _number(value: float | None) -> TableCell:
    return TableCell(value, word=ABSENT if value is None else None)


def ranked_slices(rows: Sequence[SliceDifference]) -> list[SliceDifference]:
    """Slices with the surest differences first, without those in which no sample differs."""
    differing = [row for row in rows if not row.difference.found.alike]
    return sorted(
        differing, key=lambda row: (row.adjusted if row.adjusted is not None else 2.0, row.difference.p or 0.0)
    )


def flip_counts(found: Comparison) -> str | None:
    """Say how many samples only one of them has right, where answers are right or wrong."""
    flips = found.main.flips if found.main else None
    if flips is None:
        return None
    test = f"McNemar's exact p {p_text(flips.p)}" if flips.p is not None else "no McNemar test: samples share images"
    a, b = found.names
    return f"{flips.only_a} samples only {a} has right, {flips.only_b} only {b}; {test}."


def comparison_notes(found: Comparison) -> list[str]:
    """Everything that must be known to read the numbers."""
    notes = list(found.notes)
    directions = {metric_named(d.metric).direction for d in found.metrics}
    known = [f"{arrow}: {word} is better" for arrow, word, way in _ARROWS if way in directions]
    if known:
        notes.append(f"{'; '.join(known)}.")
    if found.metrics:
        over = "samples and seeds" if len(found.seeds) > 1 else "samples"
        kind = f"paired over {over}" if found.paired else "two intervals put together"
        notes.append(
            f"95 % intervals: {kind} (docs/statistics.md), and p is theirs; detectable: what a true difference must "
            "be to be found at 80 % power."
        )
    if found.slices:
        alike = sum(row.difference.found.alike for row in found.slices)
        told = f" ({alike} in which no sample differs are not shown)" if alike else ""
        notes.append(
            f"p adjusted over {len(found.slices)} slices{told}, Benjamini & Hochberg; those of fewer than "
            f"{LEAST_IN_A_SLICE} samples are left out."
        )
    if 1 < len(found.seeds) < LEAST_SEEDS:
        notes.append(
            f"{len(found.seeds)} seeds: their variance is hardly known, so intervals are wide; take {LEAST_SEEDS}."
        )
    if len(found.seeds) > 1:
        notes.append(
            "SE samples and SE seeds: standard errors from the test set and from training; both are in [95 %]."
        )
    elif found.paired and not all(_untrained(chosen.first) for chosen in (found.a, found.b)):
        notes.append("One seed: how much another training would move these numbers is not known.")
    return notes


def _untrained(record: RunRecord) -> bool:
    """Tell whether there was nothing to train on: another seed then is the same model."""
    data = record.cell.get("training", {}).get("data", {})
    return "training_split" in data and data["training_split"] is None


def p_text(p: float | None) -> str:
    """A p, or a dash."""
    return ABSENT if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

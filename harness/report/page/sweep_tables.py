"""Robustness as tables: a summary, and heat maps of model by perturbation, the mean over severities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.record import Estimate
from harness.report.page.entries import Entry
from harness.report.page.sweep_means import is_complete_grid, mean_estimate, retained
from harness.report.page.sweeps import CLEAN_LABEL, MODALITY_PARTS, Sweep, SweepKind
from harness.report.tables.table import (
    ENDS,
    Origin,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    score_cell,
    unique,
)

LOWER_EFFORT = "lower-effort attack"
"""How the notes of an attack that failed one of its gates begin."""
_SHARES = (("/ clean", ""), ("above chance", "above chance"))
_WIDEST = "mean over conditions of the same samples; its interval is that of conditions that err alike, the widest"


@dataclass(frozen=True)
class Heat:
    """A cell of a heat map: absolute, relative to clean, and the same above chance; or why there is no number."""

    estimate: Estimate | None
    relative: float | None
    above_chance: float | None
    status: str
    origin: Origin
    weak: bool = False
    """Whether an attack failed one of its gates, so that its number is no bound and ranks nothing."""


@dataclass(frozen=True)
class HeatMap:
    """Rows by perturbation, clean first; columns stand under their families."""

    name: str
    title: str
    kinds: tuple[SweepKind, ...]
    families: tuple[tuple[str, int], ...]
    rows: tuple[tuple[Entry, tuple[Heat, ...]], ...]

    @property
    def has_scores(self) -> bool:
        """Tell whether any row has a score other than the clean one."""
        return any(heat.estimate is not None for _, heats in self.rows for heat in heats[1:])

    @property
    def why_empty(self) -> str:
        """Name the states of the conditions of a map without scores."""
        return ", ".join(unique([heat.status for _, heats in self.rows for heat in heats[1:]]))


def summary_table(sweep: Sweep) -> Table:
    """One line a row: clean, the mean of each part of the grid, and what is left of clean, absolute and relative."""
    parts = unique([kind.part for kind in sweep.kinds if kind.part not in ("modality", "attack")])
    labels = {part: [label for k in sweep.kinds if k.part == part for label in k.labels] for part in parts}
    corruptions = [k for k in sweep.kinds if k.part == "image" and k.family != "extra"]
    labels["image"] = [label for kind in corruptions for label in kind.labels]
    complete = is_complete_grid({(k.name, severity) for k in corruptions for severity in k.severities})
    parts = [part for part in parts if labels[part]]
    skipped = [p for p in parts if all(_why_missing(sweep, entry, labels[p]) == "skipped" for entry in sweep.entries)]
    parts = [part for part in parts if part not in skipped]
    titles = {part: _heading(part, len(labels[part]), complete) for part in parts}
    columns = [name_column("model"), _column(f"clean {sweep.metric}")]
    for part in parts:
        columns += [_column(titles[part])]
        columns += [_column(f"{_short(part, complete)} {share}", title) for share, title in _SHARES]
    lines = tuple(_summary_line(sweep, entry, {part: labels[part] for part in parts}) for entry in sweep.entries)
    notes = [
        "'/ clean' is the share of the clean score that is left, 'above chance' the same after chance "
        f"({sweep.chance:.3f}) is taken off both. A ratio flatters weak models: read all three.",
    ]
    notes += [f"Skipped by every row: {_heading(part, len(labels[part]), complete)}." for part in skipped]
    if complete and "image" in parts:
        notes.append("mPC is the mean over 15 corruptions × 5 severities, mPC / clean is rPC.")
    return Table("robustness", "Mean scores under perturbation", tuple(columns), lines, tuple(notes))


def _column(name: str, title: str = "") -> TableColumn:
    return TableColumn(name, title, interval=True, ends=ENDS)


def _heading(part: str, cells: int, complete: bool) -> str:
    if part == "image" and complete:
        return "mPC"
    return f"{_title(part).lower()}, {cells} condition{'s' if cells > 1 else ''}"


def _short(part: str, complete: bool) -> str:
    return "mPC" if part == "image" and complete else part


def _title(part: str) -> str:
    return MODALITY_PARTS[part][0] if part in MODALITY_PARTS else part.capitalize()


def _summary_line(sweep: Sweep, entry: Entry, labels: dict[str, list[str]]) -> TableRow:
    clean = sweep.clean(entry)
    cells = [
        TableCell(entry.name),
        score_cell(clean, Origin(f"clean {sweep.metric}", (entry.key,), (CLEAN_LABEL,)), "–"),
    ]
    for part, wanted in labels.items():
        found = sweep.estimates(entry, wanted)
        origin = Origin(f"{_title(part)}: mean {sweep.metric}", (entry.key,), tuple(wanted), _WIDEST)
        if found is None:
            missing = TableCell(word=_why_missing(sweep, entry, wanted), origin=origin)
            cells += [missing, TableCell(word="–"), TableCell(word="–")]
            continue
        mean = mean_estimate(found)
        cells += [TableCell(mean.value, mean, origin=origin)]
        for chance, of in ((0.0, "mean / clean"), (sweep.chance, "(mean - chance) / (clean - chance)")):
            why = Origin(f"{_title(part)}: {of}", (entry.key,), (CLEAN_LABEL, *wanted))
            cells.append(_share(mean, clean, chance, why))
    return TableRow(tuple(cells), group=entry.name, key=entry.name)


def _share(mean: Estimate, clean: Estimate | None, chance: float, origin: Origin) -> TableCell:
    share = retained(mean.value, clean.value, chance) if clean else None
    return TableCell(share, word="undefined" if share is None else None, origin=origin)


def _why_missing(sweep: Sweep, entry: Entry, labels: Sequence[str]) -> str:
    """Say how much is missing: a mean over some of the cells would not be comparable."""
    answers = sweep.answers[entry.key]
    statuses = [answers[label].status if label in answers else "not run" for label in labels]
    if set(statuses) == {"skipped"}:
        return "skipped"
    bad = [status for status in statuses if status != "ok"]
    worst = "failed" if "failed" in bad else bad[0] if bad else "absent"
    return f"{len(bad)} of {len(labels)} {worst}"


def heat_maps(sweep: Sweep) -> list[HeatMap]:
    """One heat map for each part of the grid."""
    maps = []
    for part in unique([kind.part for kind in sweep.kinds]):
        kinds = (SweepKind(CLEAN_LABEL, "", "", (0,)), *(kind for kind in sweep.kinds if kind.part == part))
        rows = tuple((entry, tuple(_heat(sweep, entry, kind) for kind in kinds)) for entry in sweep.entries)
        families = unique([kind.family for kind in kinds])
        spans = tuple((family, sum(kind.family == family for kind in kinds)) for family in families)
        several = any(len(kind.severities) > 1 for kind in kinds)
        title = f"{_title(part)}, mean over severities" if several else _title(part)
        maps.append(HeatMap(part, title, kinds, spans, rows))
    return maps


def heat_table(heat_map: HeatMap, metric: str) -> Table:
    """Give a heat map's absolute values as a table, for Markdown and CSV."""
    columns = (name_column("model"), *(_column(kind.name) for kind in heat_map.kinds))
    lines = tuple(
        TableRow((TableCell(entry.name), *(score_cell(h.estimate, h.origin, h.status) for h in heats)), key=entry.name)
        for entry, heats in heat_map.rows
    )
    return Table("heat", f"{heat_map.title}: {metric}", columns, lines)


def _heat(sweep: Sweep, entry: Entry, kind: SweepKind) -> Heat:
    over = f"mean over severities {kind.severities[0]}–{kind.severities[-1]}" if len(kind.severities) > 1 else ""
    conditions = tuple(unique([CLEAN_LABEL, *kind.labels]))
    origin = Origin(f"{sweep.metric} under {kind.name}", (entry.key,), conditions, over)
    found = sweep.estimates(entry, kind.labels)
    if found is None:
        return Heat(None, None, None, _why_missing(sweep, entry, kind.labels), origin)
    mean, clean = mean_estimate(found), sweep.clean(entry)
    shares = [retained(mean.value, clean.value, chance) if clean else None for chance in (0.0, sweep.chance)]
    return Heat(mean, shares[0], shares[1], "ok", origin, _is_weak(sweep, entry, kind))


def _is_weak(sweep: Sweep, entry: Entry, kind: SweepKind) -> bool:
    notes = [sweep.answers[entry.key][label].notes for label in kind.labels]
    return any(isinstance(v, str) and v.startswith(LOWER_EFFORT) for of in notes for v in of.values())

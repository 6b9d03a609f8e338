"""Rows of explanations -> a table a scope: how good maps are, beside baselines, and which methods are void."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.errors import UsageError, nearest
from harness.explain.map_kinds import OF_BASELINE, OF_MODEL, OF_SHUFFLED, kind_of_map
from harness.explain.map_scores import DELETION, MASS, MEASURES, POINTING
from harness.judge.explained import ExplanationRow, ExplanationScope
from harness.record import Estimate
from harness.report.tables.document import Block, Heading, Notes, document_text
from harness.report.tables.layout import PIPE_WIDTH
from harness.report.tables.table import (
    ALWAYS,
    VALUE_ONLY,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    text_column,
    without_empty_columns,
)
from harness.report.tables.values import json_text

EXPLANATION_STYLES = ("text", "md", "json")
_NOTHING = "No explanations. Run 'bench run' with --explain first, or give another folder with --results."
_METHOD = (
    "[pointing: the highest cell or word touches what decides; mass: share of what speaks for the answer that lies "
    "within it; insertion, deletion: area under the likelihood of what is right; 95 % intervals over samples and "
    "seeds. A method is void where the same method on shuffled weights does as well.]"
)


def render_explanations(rows: Sequence[ExplanationRow], style: str = "text", width: int | None = PIPE_WIDTH) -> str:
    """Draw one table for each set of comparable rows; raises UsageError for an unknown style."""
    if style not in EXPLANATION_STYLES:
        raise UsageError(f"Unknown style '{style}'. {nearest(style, EXPLANATION_STYLES)}")
    return (
        json_text([row.to_json() for row in rows])
        if style == "json"
        else document_text(explanation_document(rows), style, width)
    )


def explanation_document(rows: Sequence[ExplanationRow]) -> list[Block]:
    """Give each set of comparable rows its heading, its table and why methods have nothing to say."""
    scopes: dict[ExplanationScope, list[ExplanationRow]] = {}
    for row in rows:
        scopes.setdefault(row.scope, []).append(row)
    blocks: list[Block] = []
    for scope, group in scopes.items():
        blocks.append(Heading(explanation_title(scope)))
        reasons = tuple(explanation_reasons(group))
        if any(row.figures and row.kind != OF_MODEL for row in group):
            table = explanation_table(group)
            blocks.append(replace(table, notes=(*table.notes, *reasons)))
        else:
            blocks.append(Notes(reasons))
    return blocks or [_NOTHING]


def explanation_table(rows: Sequence[ExplanationRow]) -> Table:
    """One line a model, modality and map; best maps are not marked, since each must be read beside its baselines."""
    shown = [row for row in rows if row.figures and row.kind != OF_MODEL]
    ordered = sorted(shown, key=lambda row: (row.row_name, row.modality))
    columns = (
        name_column("model", least=16),
        TableColumn("seeds", kind="cost", style="{:.0f}", importance=30),
        text_column("of", importance=ALWAYS),
        text_column("map", importance=ALWAYS, least=20),
        *(_column(measure) for measure in MEASURES),
        TableColumn("over shuffled", style="{:+.3f}", interval=True, importance=80),
        text_column("void", importance=ALWAYS),
        text_column("kind", importance=VALUE_ONLY),
    )
    lines = tuple(TableRow(tuple(_cells(row)), "model", row.model, row.row_name) for row in ordered)
    scope = rows[0].scope
    how = f"[{scope.grid} x {scope.grid} cells of an image; what is taken away is replaced: {scope.reference}]"
    return without_empty_columns(Table("explanations", "Explanations", columns, lines, (_METHOD, how)))[0]


def _column(measure: str) -> TableColumn:
    importance = {POINTING: 95, MASS: 90}.get(measure, 60 if measure.startswith("insertion-") else 40)
    return TableColumn(
        measure, direction=-1 if measure == DELETION else 1, importance=importance, interval=importance > 90
    )


def _cells(row: ExplanationRow) -> list[TableCell]:
    figures = [_cell(row.figures.get(measure)) for measure in MEASURES]
    void = {True: "void", False: "no", None: ""}[row.void]
    return [
        TableCell(row.row_name),
        TableCell(len(row.seeds)),
        TableCell(row.modality),
        TableCell(shown_map(row.name)),
        *figures,
        _cell(row.over_shuffled),
        TableCell(void),
        TableCell(row.kind),
    ]


def _cell(figure: Estimate | None) -> TableCell:
    return TableCell(word="") if figure is None else TableCell(figure.value, figure)


def shown_map(name: str) -> str:
    """Name a map as readers see it: baselines in brackets."""
    if kind_of_map(name) == OF_SHUFFLED:
        return f"{name.partition('@')[0]}, shuffled weights"
    return f"({name})" if kind_of_map(name) == OF_BASELINE else name


def explanation_title(scope: ExplanationScope) -> str:
    """Say what rows of a table have in common."""
    return f"{scope.task} on {scope.data} ({scope.data_digest[:12]}), split {scope.split}, {scope.samples} samples"


def explanation_reasons(rows: Sequence[ExplanationRow]) -> list[str]:
    """Say what image and text do together, and why methods have nothing to say."""
    told = [
        f"{row.row_name}: interaction of image and text {figure.value:+.3f} {figure.bracket('+.3f')} (likelihood that "
        "only both give)"
        for row in rows
        for figure in row.figures.values()
        if row.kind == OF_MODEL
    ]
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.reason:
            reasons.setdefault(f"{row.row_name}, {row.modality}: {row.reason}", []).append(row.name)
    return [*told, *(f"{what} ({', '.join(names)})" for what, names in reasons.items())]

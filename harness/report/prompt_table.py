"""Rows of a leaderboard -> the table of how far a model's score moves with the words by which it is asked."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.leaderboard import Row
from harness.judge.prompt_scores import prompt_deviation
from harness.plan.installed_metrics import marked
from harness.report.tables.table import (
    ALWAYS,
    Origin,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    score_cell,
    unique,
)


def prompt_table(rows: Sequence[Row], metrics: Sequence[str], keys: Sequence[str] = ()) -> Table | None:
    """The metric that ranks by each prompt, its mean and its standard deviation over prompts; None without prompts."""
    asked = [(row, key) for row, key in zip(rows, keys or [""] * len(rows), strict=True) if row.by_prompt]
    name = next((name for name in metrics if any(row.metrics.get(name) for row, _ in asked)), None)
    if name is None:
        return None
    prompts = unique(scores.prompt for row, _ in asked for scores in row.by_prompt)
    columns = (
        name_column(f"{marked(name)} by prompt"),
        TableColumn("mean", importance=ALWAYS, interval=True, ends=("low", "high", "note")),
        TableColumn("sd", "sd over prompts", importance=ALWAYS),
        *(TableColumn(f"prompt {prompt}", prompt) for prompt in prompts),
    )
    lines = []
    for row, key in asked:
        own = {scores.prompt: scores.metrics.get(name) for scores in row.by_prompt}
        origin = Origin(name, (key,)) if key else None
        each = [score_cell(own.get(prompt), origin, "–") for prompt in prompts]
        mean = score_cell(row.metrics.get(name), origin, "–")
        cells = (TableCell(row.name), mean, TableCell(prompt_deviation(row.by_prompt, name)), *each)
        lines.append(TableRow(cells, group=row.name, key=row.name))
    note = "The leaderboard's score is the mean over prompts; its interval holds other samples and other prompts."
    return Table("prompts", f"{marked(name)} by prompt", columns, tuple(lines), (note,))

"""Verdicts on efficient tuning -> one table of policies: the gain that each keeps, and what it trains and costs."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.verdict.tuning import (
    FROZEN,
    FULL,
    MEMORY,
    RETAINED,
    STEP_SECONDS,
    TRAINED_SHARE,
    TUNED,
)
from harness.judge.verdict.verdict import EFFICIENT_TUNING_CLAIM, Number, Verdict
from harness.record import Estimate
from harness.report.tables.table import ALWAYS, Table, TableCell, TableColumn, TableRow, name_column

_COSTS = ((TRAINED_SHARE, "{:.4f}"), (MEMORY, "{:,.0f}"), (STEP_SECONDS, "{:.4f}"))
_NOTE = (
    "retained gain: (policy − frozen) / (full − frozen), Fieller's 95 % interval over seeds and samples; memory is "
    "that of training where it is known"
)


def tuning_table(verdicts: Sequence[Verdict]) -> Table | None:
    """A row for each tuned model, and for full and no tuning of it; None where no model was tuned."""
    rows: dict[str, TableRow] = {}
    for verdict in verdicts:
        known = {number.name: number for number in verdict.numbers}
        if verdict.claim != EFFICIENT_TUNING_CLAIM or verdict.model is None or f"{TRAINED_SHARE}, {TUNED}" not in known:
            continue
        base = verdict.model.partition(" (")[0]
        rows[verdict.model] = _row(verdict.model, known, TUNED, known.get(RETAINED))
        for label, kept in ((FULL, 1.0), (FROZEN, 0.0)):
            name = f"{base}: {label}"
            rows.setdefault(name, _row(name, known, label, Number(RETAINED, kept)))
    if not rows:
        return None
    columns = (
        name_column("tuning"),
        TableColumn(RETAINED, RETAINED, style="{:.0%}", importance=ALWAYS, interval=True),
        *(TableColumn(name, name, kind="cost", style=style, importance=ALWAYS) for name, style in _COSTS),
    )
    return Table("tuning", "Efficient tuning", columns, tuple(rows.values()), (_NOTE,))


def _row(name: str, known: dict[str, Number], label: str, kept: Number | None) -> TableRow:
    costs = [known.get(f"{cost}, {label}") for cost, _ in _COSTS]
    estimate = None
    if kept is not None and kept.low is not None and kept.high is not None:
        estimate = Estimate(kept.value, kept.low, kept.high, 0)
    return TableRow(
        (
            TableCell(name),
            TableCell(None if kept is None else kept.value, estimate, reason=None if kept else "no gain"),
            *(TableCell(None if cost is None else cost.value) for cost in costs),
        ),
        key=name,
    )

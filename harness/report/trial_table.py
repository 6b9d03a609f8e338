"""Rows of a leaderboard -> the table of what trying more settings is worth, for each model and control."""

from __future__ import annotations

from collections.abc import Sequence

from harness.judge.leaderboard import Row
from harness.judge.trial_scores import best_of, counts_of_trials, edges_told
from harness.report.tables.table import ALWAYS, Table, TableCell, TableColumn, TableRow, name_column, text_column

_NOTE = (
    "Expected best of k trials on the validation split (Dodge et al. 2019), mean over seeds; a trial that fell behind "
    "counts with the best score it had. Trials choose settings there and never see the split of the leaderboard."
)


def trial_table(rows: Sequence[Row]) -> Table | None:
    """The validation score that the best of k trials is expected to have; None where no model had several."""
    tuned = [row for row in rows if row.trials]
    if not tuned:
        return None
    counts = sorted({k for row in tuned for k in counts_of_trials(row.trials)})
    columns = (
        name_column("validation score by trials"),
        *(TableColumn(f"best of {k}", f"best of {k}", importance=ALWAYS) for k in counts),
        text_column("at the edge of the space"),
    )
    lines = [
        TableRow(
            (
                TableCell(row.name),
                *(TableCell(best_of(row.trials, k)) for k in counts),
                TableCell(edges_told(row.trials) or "–"),
            ),
            group=row.name,
            key=row.name,
        )
        for row in tuned
    ]
    return Table("trials", "validation score by trials", columns, tuple(lines), (_NOTE,))

"""The numbers of robustness as a table of the page: MMI, mCE, effective robustness, and which modality is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.judge.robustness.row import RobustnessRow
from harness.report.robustness_tables import robustness_table
from harness.report.tables.table import Table

_TITLE = "Impact, corruption error and use of each modality"
_NOTES = (
    "MMI is the share of the score above chance that is lost, the mean over the perturbations that were run "
    "(Qiu et al. 2024); effective robustness what is kept beyond what the clean scores of un-fused models predict "
    "(Taori et al. 2020).",
    "Image and text are used where taking them away or exchanging them lowers the score beyond its interval.",
)


_LEFT_OUT = ("seeds", "clean", "mPC", "rPC", "failed", "skipped")
"""What other tables of the page hold."""


def number_table(rows: Sequence[RobustnessRow], keys: Mapping[str, str]) -> Table | None:
    """One line a row; `keys` are the ids of the leaderboard's rows by name. None where nothing was perturbed."""
    shown = [row for row in rows if row.name in keys]
    if not shown:
        return None
    table = robustness_table(shown, [keys[row.name] for row in shown])
    kept = [table.drawn[0], *(p for p in range(len(table.columns)) if table.columns[p].name not in _LEFT_OUT)]
    return replace(table.only(dict.fromkeys(kept)), title=_TITLE, notes=_NOTES)

"""The leaderboard with all that is known of it: rows, the ranks that they may have, and what the verdict on each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.leaderboard import Row, build_rows, ranked
from harness.record import RunRecord
from harness.store import Store
from harness.verdict.judge import installed_fusion, marks, score_reader


def judged_tables(task: str, store: Store, records: Sequence[RunRecord], metrics: Sequence[str]) -> list[list[Row]]:
    """Build the tables of a task's records, ranked by the first of `metrics` that they have."""
    read = score_reader([store])
    tables = ranked(build_rows(records, metrics), metrics, lambda task, fingerprint: read(task, fingerprint, None))
    fusion, sweeps = installed_fusion(task), store.read_robustness(task)
    judged = []
    for rows in tables:
        found = marks(rows, records, metrics, fusion, read, sweeps)
        judged.append([replace(row, verdict=found.get((row.model, row.control))) for row in rows])
    return judged

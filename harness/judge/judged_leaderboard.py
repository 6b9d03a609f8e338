"""The leaderboard with all that is known of it: rows, the ranks that they may have, and what the verdict on each is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from harness.judge.known_row import KnownRow
from harness.judge.leaderboard import Row, ranked, rows_of_table
from harness.judge.row_records import records_of_rows
from harness.judge.table_memory import TableMemory
from harness.judge.verdict.evidence import FusionControls, ReadScores
from harness.judge.verdict.judge import marks
from harness.record import RobustnessRecord, RunRecord
from harness.stats.sample_scores import SampleScores


def nothing_stored(task: str, fingerprint: str, condition: str | None) -> SampleScores | None:
    """Stand for folders without sample scores: ranks are then unpaired, and say so."""
    return None


def judged_tables(
    records: Sequence[RunRecord],
    metrics: Sequence[str],
    fusion: FusionControls,
    read: ReadScores = nothing_stored,
    sweeps: Sequence[RobustnessRecord] = (),
    *,
    every_code: bool = False,
    conflicts: Collection[str] = (),
    memory: TableMemory | None = None,
) -> list[list[Row]]:
    """Build the tables of one task's records, ranked by the first of `metrics` that they have.

    `fusion` says which models are marked, `read` finds sample scores, `sweeps` are the robustness records. Records of
    older code are rows of their own with `every_code`. `conflicts` are fingerprints that another run made otherwise.
    `memory` remembers tables (None: nothing is).
    """
    memory = memory or TableMemory()
    judged = []
    for signature, table in records_of_rows(records, every_code=every_code, join_prompts=True):
        known = memory.recall([own.fingerprints for own in table])
        rows = rows_of_table(table, signature, metrics, known)
        if known is None:
            rows = _judged(rows, records, metrics, fusion, read, sweeps)
            memory.keep({row.fingerprints: KnownRow(row.metrics, row.spreads, row.rank, row.verdict) for row in rows})
        judged.append([replace(row, conflicts=_of_row(row, conflicts)) for row in rows])
    return judged


def _judged(
    rows: Sequence[Row],
    records: Sequence[RunRecord],
    metrics: Sequence[str],
    fusion: FusionControls,
    read: ReadScores,
    sweeps: Sequence[RobustnessRecord],
) -> list[Row]:
    (ranks,) = ranked([rows], metrics, lambda task, fingerprint: read(task, fingerprint, None))
    found = marks(ranks, records, metrics, fusion, read, sweeps)
    return [replace(row, verdict=_mark(row, found)) for row in ranks]


def _of_row(row: Row, fingerprints: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in row.fingerprints if name in fingerprints)


def _mark(row: Row, found: Mapping[str, str]) -> str | None:
    return next((found[name] for name in row.fingerprints if name in found), None)

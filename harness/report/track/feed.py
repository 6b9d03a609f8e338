"""Feeds trackers from what a results folder holds, after a task's cells are done: uploads would disturb timings.

One run a cell (curves, scores, costs, the record) and one a leaderboard (its table and the report page). What was
logged is marked in <results>/<task>/tracked/<tracker>/<key>.json, so that a cell that is found done is not logged
twice; a record that was made anew, or another destination, is. Take the mark away to log a cell again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.cell import Cell
from harness.errors import StoreError
from harness.judge.judged_leaderboard import judged_tables
from harness.judge.verdict.judge import installed_fusion, score_reader
from harness.plan.run_plan import Plan
from harness.record import RobustnessRecord, RunRecord
from harness.records.conflicts import in_conflict
from harness.records.store import Store
from harness.records.trainings import read_log
from harness.report.page.sources import ReportOptions
from harness.report.page.write import write_report
from harness.report.track.contents import LoggedCurves, cell_run, final_values, read_curves, tracked_table
from harness.report.track.tracker import RunLog, TrackedRun, Tracker


@dataclass(frozen=True)
class TrackingSummary:
    """What became of one tracker: runs logged now, runs logged before, and why it failed, None when it did not."""

    tracker: str
    where: str
    logged: int
    found: int
    error: str | None

    def __str__(self) -> str:
        counts = f"{self.logged} runs logged ({self.found} found logged)"
        failed = f"; FAILED: {self.error}" if self.error else ""
        return f"{self.tracker}: {counts}{failed}; {self.where}"


@dataclass(frozen=True)
class _Piece:
    """A run to be logged: `state` digests the records that it tells of, `fill` logs it."""

    run: TrackedRun
    state: str
    ok: bool
    fill: Callable[[RunLog], None]


def track_task(
    plan: Plan, trackers: Sequence[Tracker], store: Store, options: ReportOptions, say: Callable[[str], None]
) -> list[TrackingSummary]:
    """Log a task's finished cells, its leaderboard and its report page to each tracker.

    A tracker that fails is told of and left: the results are safe, and the same command logs what is missing.
    """
    with TemporaryDirectory(prefix="bench-track-") as folder:
        pieces = _cell_pieces(plan, store) + _leaderboard_pieces(plan, store, options, Path(folder))
        return [_feed(tracker, pieces, store, say) for tracker in trackers]


def _feed(tracker: Tracker, pieces: Sequence[_Piece], store: Store, say: Callable[[str], None]) -> TrackingSummary:
    logged = found = 0
    for piece in pieces:
        if _is_marked(tracker, piece, store):
            found += 1
            continue
        try:
            _log(tracker, piece)
            store.write_bytes(_mark_name(tracker, piece), _mark_content(tracker, piece))
        except Exception as error:  # whatever a tracker's library raises, the benchmark's results must not be lost
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            say(
                f"Tracking with {tracker.name} failed at {piece.run.name}: {reason} "
                "The results are kept; the same command logs what is missing."
            )
            return TrackingSummary(tracker.name, tracker.where, logged, found, reason)
        logged += 1
    return TrackingSummary(tracker.name, tracker.where, logged, found, None)


def _log(tracker: Tracker, piece: _Piece) -> None:
    log = tracker.start(piece.run)
    try:
        piece.fill(log)
    except BaseException:
        with contextlib.suppress(Exception):  # the first error is the one to tell
            log.finish(ok=False)
        raise
    log.finish(ok=piece.ok)


def _cell_pieces(plan: Plan, store: Store) -> list[_Piece]:
    """Make a run of each cell that has run; a skipped model has no run, but stands in the leaderboard."""
    found = [(cell, store.find_record(cell.training.task, cell.fingerprint)) for cell in plan.cells]
    return [_cell_piece(cell, record, store) for cell, record in found if record and record.status != "skipped"]


def _cell_piece(cell: Cell, record: RunRecord, store: Store) -> _Piece:
    curves, warnings = _curves(record.task, cell.training.fingerprint, store)

    def fill(log: RunLog) -> None:
        for step, values in curves.items():
            log.curve(step, values)
        log.summary(final_values(record))
        with store.local_copy(f"{record.task}/records/{record.fingerprint}.json") as path:
            log.file(path)

    return _Piece(cell_run(record, warnings), _state([record]), record.status == "ok", fill)


def _curves(task: str, fingerprint: str, store: Store) -> tuple[LoggedCurves, tuple[str, ...]]:
    """Read a training's log; what was not trained has none."""
    name, content = read_log(task, fingerprint, store)
    if content is None:
        return {}, ()
    try:
        return read_curves(content)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise StoreError(
            f"{store.url}/{name} is not a training log: {error!r}. Delete it: its curves are lost, no score is."
        ) from None


def _leaderboard_pieces(plan: Plan, store: Store, options: ReportOptions, folder: Path) -> list[_Piece]:
    """Make a run of the table and the page, again whenever a record of the task has changed."""
    task, metrics = plan.task.name, plan.task.metrics
    records = store.read_records(task)
    shown = [record for record in records if plan.shows(record)]
    if not shown:
        return []
    sweeps = store.read_robustness(task)
    state = _state([*records, *sweeps]) + _state(shown)
    key = hashlib.sha256(state.encode()).hexdigest()[:16]
    page = folder / "report.html"

    def fill(log: RunLog) -> None:
        read = score_reader([store], known={store: (*records, *sweeps)})
        fusion, conflicts = installed_fusion(task), in_conflict(store, task)
        tables = judged_tables(shown, metrics, fusion, read, sweeps, conflicts=conflicts)
        log.table("leaderboard", *tracked_table(tables, metrics))
        if not page.exists():  # the same one for every tracker
            write_report([store], page, options)
        log.file(page)

    config = {
        "task": task, "data": plan.data.name, "data_digest": plan.data.digest, "split": plan.split,
        "records": len(shown), "created": shown[-1].created,
    }  # fmt: skip
    return [_Piece(TrackedRun(f"{task}/leaderboard", key, task, config), state, True, fill)]


def _state(records: Sequence[RunRecord | RobustnessRecord]) -> str:
    """Digest all that records say: one that was made anew, or scored anew, is another."""
    content = json.dumps([record.to_json() for record in records], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _mark_name(tracker: Tracker, piece: _Piece) -> str:
    return f"{piece.run.group}/tracked/{tracker.name}/{piece.run.key}.json"


def _mark_content(tracker: Tracker, piece: _Piece) -> bytes:
    content = {"run": piece.run.name, "destination": tracker.destination, "state": piece.state}
    return json.dumps(content, indent=1).encode()


def _is_marked(tracker: Tracker, piece: _Piece, store: Store) -> bool:
    name = _mark_name(tracker, piece)
    return store.exists(name) and store.read_bytes(name) == _mark_content(tracker, piece)

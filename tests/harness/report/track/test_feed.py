"""Each finished cell is logged once; a tracker that fails loses nothing but its own log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.record import RobustnessRecord
from harness.report.track.feed import TrackingSummary, track_task
from harness.report.track.tracker import LoggedValue, TrackedRun


@dataclass
class Memory:
    """A tracker that remembers, and breaks at a run or a call when told to."""

    name: str = "memory"
    destination: str = "here"
    where: str = "nowhere"
    breaks_at: str = ""
    runs: list[MemoryLog] = field(default_factory=list)

    def start(self, run: TrackedRun) -> MemoryLog:
        if run.name == self.breaks_at:
            raise ConnectionError("no such host\n  at all")
        self.runs.append(MemoryLog(run, self.breaks_at))
        return self.runs[-1]


@dataclass
class MemoryLog:
    run: TrackedRun
    breaks_at: str
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        self.calls.append(("curve", step, dict(values)))

    def summary(self, values: Mapping[str, float]) -> None:
        if self.breaks_at == "summary":
            raise TimeoutError("too slow")
        self.calls.append(("summary", dict(values)))

    def table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[LoggedValue]]) -> None:
        self.calls.append(("table", name, [row[0] for row in rows]))

    def file(self, path: Path) -> None:
        self.calls.append(("file", path.name, path.read_bytes()[:15]))

    def finish(self, *, ok: bool) -> None:
        self.calls.append(("finish", ok))


def track(results: Any, *trackers: Memory, said: list[str] | None = None) -> list[TrackingSummary]:
    say = pytest.fail if said is None else said.append
    return track_task(results.plan, trackers, results.store, results.options, say)


def names(tracker: Memory) -> list[str]:
    return [log.run.name for log in tracker.runs]


def test_a_run_a_cell_and_one_for_the_table(results: Any) -> None:
    tracker = Memory()
    (summary,) = track(results, tracker)
    assert (summary.logged, summary.found, summary.error) == (3, 0, None)
    assert names(tracker) == ["a-task/a-model/seed0", "a-task/b-model[C1]/seed1", "a-task/leaderboard"]
    trained, failed, board = (log.calls for log in tracker.runs)
    assert [call[:2] for call in trained[:2]] == [("curve", 5), ("curve", 10)]
    assert trained[2][1]["score/main"] == 0.5
    assert trained[3][:2] == ("file", f"{results.trained.fingerprint}.json")
    assert trained[4] == ("finish", True)
    assert failed[0] == ("summary", {}) and failed[-1] == ("finish", False)
    assert board[0] == ("table", "leaderboard", ["a-model", "b-model", "c-model"])
    assert board[1] == ("file", "report.html", b"<!doctype html>")


def test_what_was_logged_is_not_logged_again(results: Any) -> None:
    track(results, Memory())
    again = Memory()
    (summary,) = track(results, again)
    assert (summary.logged, summary.found) == (0, 3) and again.runs == []


def test_each_tracker_and_each_destination_has_its_own_marks(results: Any) -> None:
    track(results, Memory())
    others = Memory(name="other"), Memory(destination="elsewhere")
    assert [summary.logged for summary in track(results, *others)] == [3, 3]


def test_a_cell_that_was_made_anew_is_logged_anew_with_the_table(results: Any) -> None:
    track(results, Memory())
    results.store.write_record(replace(results.failed, error="it broke again", created="2026-01-02T00:00:00+00:00"))
    again = Memory()
    track(results, again)
    assert names(again) == ["a-task/b-model[C1]/seed1", "a-task/leaderboard"]


def test_a_sweep_changes_the_report_so_the_table_is_logged_again(results: Any) -> None:
    track(results, Memory())
    sweep = RobustnessRecord(
        results.trained.fingerprint, "a-task", "tiny", "d1", "val", "a-model", None, 0, "main", "main:1", 0.0, None,
        224, "a machine", (), {}, "2026-01-02T00:00:00+00:00",
    )  # fmt: skip
    results.store.write_robustness(sweep)
    again = Memory()
    track(results, again)
    assert names(again) == ["a-task/leaderboard"]


def test_a_tracker_that_fails_is_told_of_and_the_others_go_on(results: Any) -> None:
    said: list[str] = []
    broken, whole = Memory(name="broken", breaks_at="a-task/b-model[C1]/seed1"), Memory(name="whole")
    first, second = track(results, broken, whole, said=said)
    assert (first.logged, first.error) == (1, "ConnectionError: no such host at all")
    assert "FAILED: ConnectionError" in str(first) and "1 runs logged" in str(first)
    assert (second.logged, second.error) == (3, None)
    assert len(said) == 1 and "broken failed at a-task/b-model[C1]/seed1" in said[0]
    mended = Memory(name="broken")
    (summary,) = track(results, mended)
    assert (summary.logged, summary.found) == (2, 1)


def test_a_run_that_breaks_half_way_is_closed_as_failed_and_logged_again(results: Any) -> None:
    said: list[str] = []
    broken = Memory(breaks_at="summary")
    track(results, broken, said=said)
    assert broken.runs[0].calls[-1] == ("finish", False)
    whole = Memory()
    track(results, whole)
    assert len(whole.runs) == 3


def test_a_model_without_training_has_no_curves(results: Any) -> None:
    log = results.folder / "a-task" / "training" / results.plan.cells[0].training.fingerprint / "log.jsonl"
    log.unlink()
    tracker = Memory()
    track(results, tracker)
    assert [call[0] for call in tracker.runs[0].calls] == ["summary", "file", "finish"]


@pytest.mark.parametrize("content", ["{", "[]\n", '{"loss": 1}\n', '"text"\n'])
def test_a_broken_log_is_named(content: str, results: Any) -> None:
    log = results.folder / "a-task" / "training" / results.plan.cells[0].training.fingerprint / "log.jsonl"
    log.write_text(content)
    with pytest.raises(StoreError, match=r"log\.jsonl is not a training log"):
        track(results, Memory())


def test_nothing_recorded_is_nothing_tracked(results: Any, tmp_path: Path) -> None:
    from harness.records.store import Store

    empty = replace(results, store=Store(str(tmp_path / "empty")))
    tracker = Memory()
    assert track(empty, tracker)[0].logged == 0 and tracker.runs == []

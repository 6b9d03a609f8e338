"""Event files are read back with TensorBoard's own EventAccumulator."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.track.choose import open_trackers
from harness.report.track.feed import track_task
from harness.report.track.tensorboard_log import run_folder_name
from harness.report.track.tracker import TrackedRun

pytest.importorskip("tensorboard", reason="the extra 'tensorboard' is not installed")


def accumulator(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def text(events: Any, name: str) -> str:
    assert name in events.PluginTagToContent("text")  # which is what the text tab shows
    (event,) = events.Tensors(name)
    return str(event.tensor_proto.string_val[0].decode())


def tracked(results: Any) -> Any:
    trackers = open_trackers(["tensorboard"], results.folder, dict(os.environ))
    (summary,) = track_task(results.plan, trackers, results.store, results.options, pytest.fail)
    return summary


def test_curves_scores_table_and_report_are_read_back(results: Any) -> None:
    summary = tracked(results)
    assert (summary.logged, summary.found, summary.error) == (3, 0, None)
    root = results.folder / "tensorboard" / "a-task"
    events = accumulator(root / "a-model" / f"seed0-{results.trained.fingerprint[:8]}")
    loss = [(event.step, event.value) for event in events.Scalars("train/loss")]
    score = [(event.step, event.value) for event in events.Scalars("train/validation_score")]
    assert loss == [(5, 0.75), (10, 0.5)] and score == [(5, 0.25), (10, 0.375)]
    assert [event.value for event in events.Scalars("score/main")] == [0.5]
    assert [event.value for event in events.Scalars("score/main[night honest]")] == [0.25]
    assert [event.value for event in events.Scalars("cost/latency_p50_seconds")] == [0.5]
    config = json.loads(text(events, "config").strip("`").removeprefix("json\n"))
    assert config["fingerprint"] == results.trained.fingerprint
    assert "2 micro-batches" in config["training_warnings"]

    (board,) = (root / "leaderboard").parent.glob("leaderboard-*")
    lines = text(accumulator(board), "leaderboard").splitlines()
    assert lines[0].startswith(
        "| model | control | setting | status | rank | fusion helps | seeds | main | main low | main high |"
    )
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["a-model", "b-model", "c-model"]
    assert "<html" in (board / "report.html").read_text()


def test_a_failed_cell_is_a_failed_run_without_scores(results: Any) -> None:
    tracked(results)
    folder = results.folder / "tensorboard" / "a-task" / "b-model[C1]"
    events = accumulator(folder / f"seed1-{results.failed.fingerprint[:8]}")
    assert text(events, "status") == "failed"
    assert events.Tags()["scalars"] == []


@given(st.text(max_size=30), st.text("ab./\\ :~", max_size=12))
def test_a_name_from_outside_stays_in_its_folder(model: str, odd: str) -> None:
    name = run_folder_name(TrackedRun(f"task/{model}{odd}/seed0", "0123456789", "task", {}))
    parts = Path(name).parts
    assert not Path(name).is_absolute()
    assert ".." not in parts and parts[-1].endswith("-01234567")

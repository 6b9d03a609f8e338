"""W&B logs to an offline directory, which is read back."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.report.track.choose import open_trackers
from harness.report.track.feed import track_task

pytest.importorskip("wandb", reason="the extra 'wandb' is not installed")

_BLOCK, _WHOLE, _LAST = 32768, 1, 4
"""Of LevelDB's log format."""


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nobody_calls: str) -> Iterator[pytest.MonkeyPatch]:
    """Forget the user's own settings, and what wandb keeps of an earlier test's."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_BASE_URL", nobody_calls)
    import wandb

    wandb.teardown()
    yield monkeypatch
    wandb.teardown()


def entries(folder: Path) -> list[Any]:
    """Read a run's file, `*.wandb`: protocol buffers in LevelDB's log format, behind a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("*.wandb")
    content, place, parts, found = path.read_bytes(), 7, b"", []
    assert content[:4] == b":W&B"
    while place + 7 <= len(content):
        if _BLOCK - place % _BLOCK < 7:  # too little is left of this block for a header
            place += _BLOCK - place % _BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (_WHOLE, _LAST):
            entry = Record()
            entry.ParseFromString(parts)
            found.append(entry)
            parts = b""
    return found


def history(found: list[Any]) -> list[dict[str, Any]]:
    rows = [entry.history for entry in found if entry.WhichOneof("record_type") == "history"]
    return [{("/".join(i.nested_key) or i.key): json.loads(i.value_json) for i in row.item} for row in rows]


def summary_of(found: list[Any]) -> dict[str, Any]:
    updates = [entry.summary.update for entry in found if entry.WhichOneof("record_type") == "summary"]
    return {("/".join(i.nested_key) or i.key): json.loads(i.value_json) for update in updates for i in update}


def test_the_offline_directory_is_read_back(results: Any, at_home: pytest.MonkeyPatch) -> None:
    at_home.setenv("WANDB_MODE", "offline")
    (tracker,) = open_trackers(["wandb"], results.folder, dict(os.environ))
    (summary,) = track_task(results.plan, [tracker], results.store, results.options, pytest.fail)
    assert (summary.logged, summary.found, summary.error) == (3, 0, None)
    folders = sorted((results.folder / "wandb").glob("offline-run-*"))
    read = {folder: entries(folder) for folder in folders}
    runs = {
        entry.run.display_name: (folder, found, entry.run)
        for folder, found in read.items()
        for entry in found
        if entry.WhichOneof("record_type") == "run"
    }
    assert set(runs) == {"a-task/a-model/seed0", "a-task/b-model[C1]/seed1", "a-task/leaderboard"}

    folder, found, run = runs["a-task/a-model/seed0"]
    assert (run.project, run.run_group) == ("fusemark", "a-task")
    config = {entry.key: json.loads(entry.value_json) for entry in run.config.update}
    assert config["fingerprint"] == results.trained.fingerprint
    points = [(row["_step"], row["train/loss"], row["train/validation_score"]) for row in history(found)]
    assert points == [(5, 0.75, 0.25), (10, 0.5, 0.375)]
    final = summary_of(found)
    assert final["score/main"] == 0.5 and final["score/main[night honest]/high"] == 0.4
    kept = folder / "files" / f"{results.trained.fingerprint}.json"
    assert json.loads(kept.read_text())["model"] == "a-model"
    assert _exit_codes(found) == [0]
    assert _exit_codes(runs["a-task/b-model[C1]/seed1"][1]) == [1]

    board = runs["a-task/leaderboard"][0] / "files" / "media"
    (table,) = board.rglob("*.table.json")
    assert [row[0] for row in json.loads(table.read_text())["data"]] == ["a-model", "b-model", "c-model"]
    (page,) = board.rglob("*.html")
    assert "<html" in page.read_text()


def _exit_codes(found: list[Any]) -> list[int]:
    return [entry.exit.exit_code for entry in found if entry.WhichOneof("record_type") == "exit"]


def test_its_own_variables_say_where_it_logs(results: Any, at_home: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"MODE": "offline", "DIR": str(tmp_path), "PROJECT": "mine"}.items():
        at_home.setenv(f"WANDB_{name}", value)
    (tracker,) = open_trackers(["wandb"], results.folder, dict(os.environ))
    track_task(results.plan, [tracker], results.store, results.options, pytest.fail)
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 3
    assert not (results.folder / "wandb").exists()


def test_no_login_is_found_out_before_anything_is_trained(results: Any, at_home: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="WANDB_MODE=offline"):
        open_trackers(["wandb"], results.folder, dict(os.environ))


def test_what_is_switched_off_is_told_and_not_marked(results: Any, at_home: pytest.MonkeyPatch) -> None:
    at_home.setenv("WANDB_MODE", "disabled")
    said: list[str] = []
    (tracker,) = open_trackers(["wandb"], results.folder, dict(os.environ))
    (summary,) = track_task(results.plan, [tracker], results.store, results.options, said.append)
    assert summary.error and "switched off" in summary.error and "switched off" in said[0]
    assert not (results.folder / "a-task" / "tracked").exists()

"""Leaderboards that are remembered are those that are computed: whatever changes is seen, and nothing is read twice."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import harness.judge.table_memory
from harness.errors import StoreError
from harness.judge.leaderboard import Row
from harness.judge.stored_rows import leaderboard_rows
from harness.records.packing import unpack
from harness.records.store import Store
from harness.storage.cache_in_use import digests_remembered
from harness.storage.digest import with_digest, without_digest

TASK = "image-classification"
SEEDS = Path(__file__).parents[3] / "results" / "seeds"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fused model with two controls, three seeds each: records, score tables, robustness records."""
    root = tmp_path_factory.mktemp("seeds") / "all"
    shutil.copytree(SEEDS / TASK, root / TASK)
    unpack(str(root))
    for path in (root / TASK / "records").glob("*.json"):
        content = json.loads(path.read_bytes())
        if content["control"] not in (None, "C1", "C2") or content["seed"] > 2:
            path.unlink()
            (root / TASK / "scores" / f"{path.stem}.parquet").unlink()
            (root / TASK / "robustness" / path.name).unlink(missing_ok=True)
    long_ago = time.time() - 100
    for path in root.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    return root


@pytest.fixture
def results(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("harness.storage.content.RACY_NS", 0)
    shutil.copytree(stored, tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def rows(results: Path, tmp_path: Path) -> Callable[..., list[list[Row]]]:
    """Make the tables, with what the cache remembers, or without one."""

    def make(*, remembered: bool = True, every_code: bool = False) -> list[list[Row]]:
        with digests_remembered(tmp_path / "cache" if remembered else None):
            return leaderboard_rows(TASK, Store(str(results)), every_code=every_code)

    return make


def forbid(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError(f"{name} was called again")

    monkeypatch.setattr(name, refuse)


def test_what_is_remembered_is_what_is_computed_and_no_table_is_read_for_it(
    rows: Callable[..., list[list[Row]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = rows(remembered=False)
    assert len(wanted[0]) == 3 and {row.verdict for row in wanted[0]} > {None}
    assert rows() == wanted
    forbid(monkeypatch, "harness.records.store.Store.read_sample_scores")
    forbid(monkeypatch, "harness.judge.judged_leaderboard.marks")
    assert rows() == wanted


def change(results: Path, **fields: object) -> None:
    path = sorted((results / TASK / "records").glob("*.json"))[0]
    path.write_bytes(with_digest({**without_digest(json.loads(path.read_bytes())), **fields}))


@pytest.mark.parametrize(
    "act",
    [
        lambda results: change(results, device="another"),
        lambda results: sorted((results / TASK / "records").glob("*.json"))[-1].unlink(),
        lambda results: sorted((results / TASK / "scores").glob("*.parquet"))[0].unlink(),
    ],
    ids=["record changed", "record gone", "table gone"],
)
def test_whatever_changes_is_seen(
    act: Callable[[Path], object], rows: Callable[..., list[list[Row]]], results: Path
) -> None:
    before = rows()
    act(results)
    after = rows(remembered=False)
    assert after != before
    assert rows() == after
    assert rows() == after


def test_a_mark_is_judged_anew_without_the_battery_that_it_stands_on(
    rows: Callable[..., list[list[Row]]], results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows()
    next((results / TASK / "robustness").glob("*.json")).unlink()
    forbid(monkeypatch, "harness.judge.judged_leaderboard.marks")
    with pytest.raises(AssertionError, match="was called again"):
        rows()


def test_a_changed_table_is_refused(rows: Callable[..., list[list[Row]]], results: Path) -> None:
    rows()
    path = sorted((results / TASK / "scores").glob("*.parquet"))[0]
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(StoreError, match="has another sha256 than its record says"):
        rows()


def test_a_changed_record_is_refused(rows: Callable[..., list[list[Row]]], results: Path) -> None:
    rows()
    path = sorted((results / TASK / "records").glob("*.json"))[0]
    path.write_bytes(path.read_bytes().replace(b'"seed": ', b'"seed": 1'))
    with pytest.raises(StoreError, match="changed by hand"):
        rows()


def test_other_code_and_other_plugins_judge_anew(
    rows: Callable[..., list[list[Row]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows()
    assert rows(every_code=True) == rows(every_code=True, remembered=False)
    monkeypatch.setattr(harness.judge.table_memory, "own_code", lambda packages: "other")
    forbid(monkeypatch, "harness.judge.judged_leaderboard.marks")
    with pytest.raises(AssertionError, match="was called again"):
        rows()

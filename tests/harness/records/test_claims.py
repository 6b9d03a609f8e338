"""Of many runs one has a cell, until it is done with it or is killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.records import claims
from harness.records.claims import open_claims
from harness.records.store import Store

CELL = "ab" * 8


@pytest.fixture(params=["folder", "file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return str(request.getfixturevalue("bucket"))
    return f"{'file://' if request.param == 'file' else ''}{tmp_path}/results"


def hold(url: str, told: Any, seconds: float) -> None:
    """Take the cell, tell whether it was had, and keep it for a while."""
    with open_claims(Store(url)) as own:
        told.put((os.getpid(), own.take("a-task", CELL)))
        time.sleep(seconds)


@pytest.fixture
def held(url: str) -> Any:
    """So many processes that want the cell for so long: their ends, and what they were told."""
    context = multiprocessing.get_context("fork")
    started: list[Any] = []

    def start(count: int, seconds: float) -> list[tuple[int, str | None]]:
        told = context.SimpleQueue()
        processes = [context.Process(target=hold, args=(url, told, seconds)) for _ in range(count)]
        for process in processes:
            process.start()
        started.extend(processes)
        return [told.get() for _ in processes]

    yield start
    for process in started:
        process.kill()
        process.join()


def test_of_many_one_has_it_and_when_that_is_killed_another_one(
    url: str, held: Callable[..., list[tuple[int, str | None]]]
) -> None:
    told = held(8, 60.0)
    (holder,) = [process for process, other in told if other is None]
    others = {other for _, other in told if other is not None}
    assert others <= {f"process {holder} on {os.uname().nodename}", "another run"}
    with open_claims(Store(url)) as own:
        assert own.take("a-task", CELL) is not None
        assert own.take("a-task", "cd" * 8) is None
        for process, _ in told:
            os.kill(process, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while own.take("a-task", CELL) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert Store(url).names("a-task/claims/*") == []


def test_what_is_given_back_is_had_by_the_next_and_twice_is_no_harm(url: str) -> None:
    with open_claims(Store(url)) as first, open_claims(Store(url)) as second:
        assert first.take("a-task", CELL) is None
        first.free(CELL)
        first.free(CELL)
        assert second.take("a-task", CELL) is None
        assert first.take("a-task", CELL) is not None


def test_a_claim_of_another_machine_is_believed_while_it_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_LOOK_SECONDS", 0.0)
    store = Store(f"memory://{tmp_path.name}/results")
    name = f"a-task/claims/{CELL}-000003.json"

    def beat(number: int) -> None:
        told = {"run": "process 1 on another", "processes": "another", "process": 2**30, "beat": number}
        store.write_bytes(name, json.dumps(told).encode())

    now = [1000.0]
    monkeypatch.setattr(claims.time, "monotonic", lambda: now[0])
    beat(0)
    with open_claims(store) as own:
        for number in range(1, 4):
            assert own.take("a-task", CELL) == "process 1 on another"
            now[0] += 50
            beat(number)
        assert own.take("a-task", CELL) == "process 1 on another"
        now[0] += claims.PATIENCE_SECONDS + 1
        assert own.take("a-task", CELL) is None
        assert store.names("a-task/claims/*") == [f"a-task/claims/{CELL}-000004.json"]


def test_a_claim_is_written_anew_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"memory://{tmp_path.name}/results")
    with open_claims(store) as own:
        monkeypatch.setattr(own, "beat_s", 0.02)
        assert own.take("a-task", CELL) is None
        (name,) = store.names("a-task/claims/*")
        deadline = time.monotonic() + 30
        while json.loads(store.read_bytes(name))["beat"] < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert store.names("a-task/claims/*") == []

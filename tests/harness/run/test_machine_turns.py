"""Turns on a machine: several compute, one measures alone, whoever waits to be alone is next, and jobs keep to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from harness.jobs import named_jobs
from harness.run.executor import JobRequest
from harness.run.machine_turns import MachineTurns
from harness.run.shared_machine import SharedMachine


class Room:
    """Threads that take turns, each until it is told to leave; `log` says who came in, in order."""

    def __init__(self, folder: Path) -> None:
        self.turns, self.log, self.leave = MachineTurns(folder), [], {}
        self.threads: list[threading.Thread] = []

    def enter(self, name: str, device: str = "cpu", *, alone: bool = False) -> None:
        self.leave[name] = threading.Event()

        def stay() -> None:
            with self.turns.turn(device, alone=alone):
                self.log.append(name)
                self.leave[name].wait(10)

        self.threads.append(threading.Thread(target=stay))
        self.threads[-1].start()

    def wait_for(self, *names: str) -> None:
        deadline = time.monotonic() + 10
        while self.log != list(names):
            assert time.monotonic() < deadline, self.log
            time.sleep(0.005)


@pytest.fixture
def room(tmp_path: Path) -> Any:
    made = Room(tmp_path / "turns")
    yield made
    for event in made.leave.values():
        event.set()
    for thread in made.threads:
        thread.join(10)


def test_who_wants_to_be_alone_waits_for_those_at_work_and_comes_before_later_ones(room: Room) -> None:
    room.enter("one")
    room.wait_for("one")
    room.enter("two")
    room.wait_for("one", "two")
    room.enter("measured", alone=True)
    time.sleep(0.05)
    room.enter("later")
    time.sleep(0.05)
    assert room.log == ["one", "two"]
    room.leave["one"].set()
    time.sleep(0.05)
    assert room.log == ["one", "two"]
    room.leave["two"].set()
    room.wait_for("one", "two", "measured")
    time.sleep(0.05)
    assert room.log[-1] == "measured"
    room.leave["measured"].set()
    room.wait_for("one", "two", "measured", "later")


def test_a_gpu_that_is_measured_keeps_out_its_own_jobs_alone(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    room.enter("measured", "cuda", alone=True)
    room.wait_for("measured")
    room.enter("on the CPU")
    room.wait_for("measured", "on the CPU")
    room.enter("same GPU", "cuda")
    time.sleep(0.05)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-4f1,GPU-77")
    room.enter("another GPU", "cuda")
    room.wait_for("measured", "on the CPU", "another GPU")
    room.leave["measured"].set()
    room.wait_for("measured", "on the CPU", "another GPU", "same GPU")


class Noting:
    """An executor that notes what it is asked, and says it was done."""

    slots, held_back = 1, 0

    def __init__(self) -> None:
        self.asked: list[tuple[Any, Any]] = []

    def submit(self, job: Any, arguments: Any, request: JobRequest) -> Future[Any]:
        self.asked.append((job, arguments))
        done: Future[Any] = Future()
        done.set_result("done")
        return done

    def working_here(self) -> Any:
        return nullcontext()

    def __enter__(self) -> Noting:
        return self

    def __exit__(self, *told: object) -> None:
        pass


def _nothing(progress: Callable[..., None]) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ("device", "part", "limited"), [("cuda", 0.25, True), ("cuda", 1.0, False), ("cpu", 0.25, False)]
)
def test_jobs_on_a_part_of_a_gpu_are_held_to_that_part_of_its_memory(
    device: str, part: float, limited: bool, tmp_path: Path
) -> None:
    noting = Noting()
    with SharedMachine(noting, part, MachineTurns(tmp_path)) as executor, executor.working_here():
        request = JobRequest("a cell", lambda *_: None, device)
        assert executor.submit(_nothing, (), request).result(10) == "done"
    wanted = (named_jobs.within_part_of_gpu, (part, _nothing, ())) if limited else (_nothing, ())
    assert noting.asked == [wanted]


def test_the_part_is_set_in_the_job_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    told: list[Any] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", told.append)
    found = named_jobs.within_part_of_gpu(0.5, lambda one, progress: (one, list(told)), ("x",), lambda *_: None)
    assert found == ("x", [0.5])

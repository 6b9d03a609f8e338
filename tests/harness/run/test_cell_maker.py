"""How a cell is made: what others build on is trained once, what is known is not trained, and memory is spared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cell import Cell
from harness.measure.choose_devices import Devices
from harness.plan.run_plan import Environment, Plan
from harness.record import Efficiency
from harness.records.store import Store
from harness.run import cell_maker
from harness.run.cell_maker import CellMaker, MadeCell
from harness.run.executor import JobRequest
from harness.run.job_server import KILLED, JobFailure
from harness.sample import Outcome, Predicted
from harness.storage.content import file_digest

PREDICTED = Predicted((Outcome("1", "a cat"),), {}, None)
COSTS = Efficiency(parameters_total=3)


@dataclass
class Listed:
    """An executor that does jobs at once, and lists their names, labels and requests."""

    answers: Mapping[str, Callable[..., Any]]
    slots: int = 2
    held_back: int = 0
    asked: list[tuple[str, JobRequest]] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    """What this process did meanwhile, between `in` and `out`."""

    def submit(self, job: Any, arguments: Any, request: JobRequest) -> Future[Any]:
        """Answer as `answers` say for the job's name."""
        self.asked.append((job.__name__, request))
        future: Future[Any] = Future()
        try:
            future.set_result(self.answers[job.__name__](*arguments))
        except JobFailure as failure:
            future.set_exception(failure)
        return future

    @contextmanager
    def working_here(self) -> Iterator[None]:
        """Nothing is measured."""
        self.busy.append("in")
        yield
        self.busy.append("out")

    def __enter__(self) -> Listed:
        return self

    def __exit__(self, *told: object) -> None:
        pass


@dataclass
class Heard:
    """A reporter that keeps what it is told."""

    said: list[str] = field(default_factory=list)

    def progress(self, what: str, done: int, total: int) -> None:
        """Not kept."""

    def say(self, message: str) -> None:
        """Kept."""
        self.said.append(message)

    def finish(self, record: object) -> None:
        """Not kept."""


def trained(job: Any, places: Any) -> dict[str, Any]:
    """Leave what a training leaves."""
    places.training.mkdir(parents=True, exist_ok=True)
    (places.training / "checkpoint.safetensors").write_bytes(b"weights")
    digest = file_digest(places.training / "checkpoint.safetensors")
    summary = {"checkpoint_sha256": digest, "skipped": [], "seconds": 1.0}
    (places.training / "training.json").write_text(json.dumps(summary))
    return summary


def failing(kind: str, message: str = "It broke.") -> Callable[..., Any]:
    def fail(*arguments: Any) -> Any:
        raise JobFailure(message, kind, "a trace")

    return fail


@dataclass
class Making:
    """A maker of two cells that build on one training, with its executor and what it says."""

    cells: list[Cell]
    executor: Listed
    heard: Heard
    maker: CellMaker


@pytest.fixture
def making(cell: Cell, tmp_path: Path) -> Any:
    """`making(train=…, predict=…)`: with other answers of some jobs."""
    base = replace(cell.training, model="base")
    cells = [
        replace(cell, training=replace(cell.training, seed=seed, prerequisite=base.fingerprint)) for seed in range(2)
    ]
    environment: Any = SimpleNamespace(cache=tmp_path / "cache", command=None)
    with ThreadPoolExecutor(3) as pool:

        def make(**answers: Callable[..., Any]) -> Making:
            plain: dict[str, Callable[..., Any]] = {
                "train": trained, "predict": lambda *_: PREDICTED, "profile": lambda *_: COSTS,
            }  # fmt: skip
            executor, heard = Listed(plain | answers), Heard()
            here: Environment = environment
            plan = Plan(Any, cell.training.data, "val", Devices("cpu"), tuple(cells), (), {base.fingerprint: base})  # type: ignore[arg-type]
            return Making(
                cells, executor, heard, CellMaker(plan, Store(str(tmp_path / "r")), here, heard, executor, pool)
            )

        yield make


def test_what_cells_build_on_is_trained_once_and_first(making: Any) -> None:
    made = making()
    made.maker.begin(made.cells, {})
    results: list[MadeCell] = [made.maker.make(cell).result(5) for cell in made.cells]
    assert [result.efficiency for result in results] == [COSTS, COSTS]
    assert [(name, request.label, request.order, request.alone) for name, request in made.executor.asked] == [
        ("train", "base", -1, False),
        *((job, f"a-model seed {i}", i, job == "profile") for i in range(2) for job in ("train", "predict", "profile")),
    ]
    assert all(made.maker.is_ready(cell) for cell in made.cells)


def test_a_failure_of_what_cells_build_on_is_met_by_each_of_them(making: Any) -> None:
    made = making(train=failing("ValueError"))
    made.maker.begin(made.cells, {})
    for cell in made.cells:
        with pytest.raises(JobFailure, match=r"Its prerequisite base failed: It broke\.") as failed:
            made.maker.make(cell)
        assert failed.value.kind == "prerequisite"
    assert len(made.executor.asked) == 1


def test_a_measurement_that_fails_fails_the_cell_and_not_the_thread(making: Any) -> None:
    made = making(profile=failing("OutOfMemory"))
    made.maker.begin(made.cells, {})
    assert made.maker.make(made.cells[0]).exception(5).kind == "OutOfMemory"


def test_a_job_that_was_killed_for_memory_is_tried_once_more_in_smaller_parts(making: Any) -> None:
    seen = []

    def predict(cell: Cell, places: Any) -> Predicted:
        seen.append(cell.evaluate.batch_size)
        if len(seen) == 1:
            raise JobFailure("The job was ended by SIGKILL.", KILLED)
        return PREDICTED

    made = making(predict=predict)
    made.maker.begin(made.cells, {})
    assert made.maker.make(made.cells[0]).result(5).produced.predicted == PREDICTED
    assert seen == [64, 16]
    assert made.heard.said[-1].startswith("a-model seed 0: The job was ended by SIGKILL.")
    assert made.heard.said[-1].endswith("Retrying with a quarter of the batch.")


def test_nothing_is_uploaded_while_another_cell_is_measured(making: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = making()
    monkeypatch.setattr(cell_maker, "upload_training", lambda *_: made.executor.busy.append("upload"))
    made.maker.begin(made.cells, {})
    made.maker.make(made.cells[0]).result(5)
    assert made.executor.busy == ["in", "upload", "out"]

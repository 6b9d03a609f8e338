"""Models that share a process: when it dies the guilty one alone has failed, under the guilty condition alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.condition import Condition, Part
from harness.jobs.robustness_block import OK, Answers, RobustnessBlock, Subject
from harness.run.blocks_apart import ApartWhereItFails
from harness.run.job_server import CLOSED, KILLED, LOST_DEVICE, JobFailure

ASSERT = JobFailure("AcceleratorError: CUDA error: device-side assert triggered", LOST_DEVICE, "Traceback …")
CONDITIONS = tuple(Condition((Part(name, 1),)) for name in ("fog", "snow", "frost"))
Guilty = Callable[[str, str], JobFailure | None]


@pytest.fixture
def block(tmp_path: Path) -> RobustnessBlock:
    def subject(name: str) -> Subject:
        cell: Any = SimpleNamespace(fingerprint=name, label=name)
        return Subject(cell, SimpleNamespace())  # type: ignore[arg-type]

    data: Any = None
    options: Any = None
    return RobustnessBlock(tuple(map(subject, ("a", "b", "c"))), CONDITIONS, data, "test", options, tmp_path)


class Processes:
    """Stands for the processes of a run: each answers in turn, until it meets what kills it."""

    def __init__(self, guilty: Guilty) -> None:
        self.guilty, self.started = guilty, list[tuple[str, str]]()

    def answer(self, block: RobustnessBlock) -> None:
        models = "".join(subject.cell.fingerprint for subject in block.subjects)
        self.started.append((models, ",".join(condition.name for condition in block.conditions)))
        for condition in block.conditions:
            for subject in block.subjects:
                if (failure := self.guilty(subject.cell.fingerprint, condition.name)) is not None:
                    raise failure
                block.file(subject, condition).parent.mkdir(exist_ok=True)
                Answers(OK, [("sample", models)]).write(block.file(subject, condition))


def outcome(block: RobustnessBlock, guilty: Guilty, **lost: JobFailure) -> tuple[dict[str, str], Processes, list[str]]:
    """Run a block; what the spool holds by `model condition`, the processes, and what was said."""
    processes, told = Processes(guilty), list[str]()
    for subject in block.subjects:
        (block.spool / subject.cell.fingerprint).mkdir()
    parts = ApartWhereItFails(processes.answer, lost, told.append).run(block)
    named = [(s, c) for part in parts for s in part.subjects for c in part.conditions]
    assert len(named) == 9, "each model and condition is named once, to be scored once"
    found = {f"{s.cell.fingerprint} {c.name}": Answers.read(block.file(s, c)) for s, c in named}
    return {name: answers.error or answers.status for name, answers in found.items()}, processes, told


def test_where_nothing_fails_one_process_does_it_all(block: RobustnessBlock) -> None:
    found, processes, told = outcome(block, lambda model, condition: None)
    assert set(found.values()) == {OK}
    assert (processes.started, told) == ([("abc", "fog,snow,frost")], [])


def test_a_lost_device_is_recorded_of_one_model_under_one_condition(block: RobustnessBlock) -> None:
    found, processes, told = outcome(block, lambda m, c: ASSERT if (m, c) == ("b", "snow") else None)
    assert found.pop("b snow") == ASSERT.message
    assert set(found.values()) == {OK}
    assert processes.started == [
        ("abc", "fog,snow,frost"), ("a", "fog,snow,frost"),
        ("b", "fog,snow,frost"), ("b", "snow"), ("b", "frost"),
        ("c", "fog,snow,frost"),
    ]  # fmt: skip
    model, condition = told
    assert model == f"{ASSERT.message}. Going on with one model at a time."
    assert condition == f"b: {ASSERT.message}. Going on with one condition at a time."


def test_a_model_that_always_loses_the_device_fails_everywhere_and_the_others_nowhere(block: RobustnessBlock) -> None:
    found, _, _ = outcome(block, lambda m, c: ASSERT if m == "a" else None)
    assert {name for name, how in found.items() if how == ASSERT.message} == {"a fog", "a snow", "a frost"}
    assert {how for name, how in found.items() if not name.startswith("a")} == {OK}


def test_a_model_that_is_killed_fails_under_what_it_has_not_answered(block: RobustnessBlock) -> None:
    """A kill may be for memory, which grows: it is not tried again condition by condition."""
    killed = JobFailure("The job was ended by SIGKILL.", KILLED)
    found, processes, _ = outcome(block, lambda m, c: killed if (m, c) == ("c", "snow") else None)
    assert {name for name, how in found.items() if how == killed.message} == {"c snow", "c frost"}
    assert len(processes.started) == 4


def test_a_model_without_a_checkpoint_starts_no_process(block: RobustnessBlock) -> None:
    found, processes, _ = outcome(block, lambda model, condition: None, b=JobFailure("gone", "OSError"))
    assert {name for name, how in found.items() if how == "gone"} == {"b fog", "b snow", "b frost"}
    assert processes.started == [("ac", "fog,snow,frost")]


def test_an_ended_run_is_not_a_failure(block: RobustnessBlock) -> None:
    with pytest.raises(JobFailure, match="interrupted"):
        outcome(block, lambda model, condition: JobFailure("The run was interrupted.", CLOSED))

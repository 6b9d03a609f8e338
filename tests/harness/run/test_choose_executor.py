"""Which executor `--executor` names, and how many jobs the local one takes."""

from __future__ import annotations

import os

import pytest

from harness.errors import UsageError
from harness.run.choose_executor import SCHEMES, Workload, devices_of, open_executor
from harness.run.job_server import Workers


@pytest.mark.parametrize("wish", ["", "locally", "kubernetes://there", "LOCAL"])
def test_an_unknown_executor_is_refused_with_those_that_are_known(wish: str) -> None:
    with pytest.raises(UsageError, match=r"there is no such executor\. Known: local") as refused:
        open_executor(Workload("cpu", 1, ()), Workers(executor=wish))
    assert all(scheme.form in str(refused.value) for scheme in SCHEMES.values())


def test_the_local_executor_takes_no_address() -> None:
    with pytest.raises(UsageError, match="takes no address"):
        open_executor(Workload("cpu", 1, ()), Workers(executor="local://here"))


@pytest.mark.parametrize(("threads", "jobs", "slots"), [(1, 0, 4), (2, 0, 2), (3, 0, 1), (9, 0, 1), (1, 7, 7)])
def test_there_is_a_job_a_core_unless_a_number_is_given(
    threads: int, jobs: int, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    assert open_executor(Workload("cpu", threads, ()), Workers(jobs)).slots == slots


@pytest.mark.parametrize(
    ("jobs", "places"), [(0, [1, 1, 1]), (3, [1, 1, 1]), (7, [3, 2, 2]), (2, [1, 1, 0]), (1, [1, 0, 0])]
)
def test_each_gpu_has_a_job_of_its_own_unless_a_number_is_given(jobs: int, places: list[int]) -> None:
    gpus = ("4", "GPU-b", "MIG-c")
    devices = devices_of(gpus, jobs)
    assert [device.places for device in devices] == places
    assert [device.environment for device in devices] == [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus]
    executor = open_executor(Workload("cuda", 1, (), gpus), Workers(jobs))
    assert executor.slots == sum(places)
    assert executor.held_back == (0 if max(places) == 1 else 2 * max(places))


def test_a_job_of_several_processes_sees_as_many_gpus() -> None:
    executor = open_executor(Workload("cuda:0", 1, (), ("0", "GPU-7", "2", "3", "4"), 2), Workers())
    assert executor.slots == 2
    spread = open_executor(Workload("cuda:0", 1, (), ("0", "1", "2"), spreads=True), Workers())
    assert spread.slots == 1
    with pytest.raises(UsageError, match=r"train.processes=6 takes a GPU for each process, and this run has 5"):
        open_executor(Workload("cuda:0", 1, (), ("0", "1", "2", "3", "4"), 6), Workers())

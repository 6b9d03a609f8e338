"""The local executor: one queue for many devices, measurements alone, and an end that leaves nobody waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

from harness.run.executor import JobRequest
from harness.run.job_server import CLOSED, LOST_DEVICE, JobFailure
from harness.run.local_executor import Device, LocalExecutor

from .pretended import PretendedServer, pretend_gpus, sleeping

WAIT = 5.0


def quiet(what: str, done: int, total: int) -> None:
    """Take in progress and say nothing."""


@contextmanager
def executing(server: PretendedServer, *made: Device) -> Iterator[Callable[..., Future[Any]]]:
    """Submit `(label, seconds=0, alone=False, order=0)` to an executor."""
    with LocalExecutor(server, made) as executor:

        def submit(label: Any, seconds: float = 0.0, alone: bool = False, order: int = 0) -> Future[Any]:
            return executor.submit(sleeping, (seconds, label), JobRequest(str(label), quiet, "cuda", alone, order))

        submit.executor = executor  # type: ignore[attr-defined]
        yield submit


def test_each_job_sees_the_device_that_it_was_given_and_no_two_share_one() -> None:
    server = PretendedServer()
    with executing(server, *pretend_gpus(3)) as submit:
        made = [submit(f"job {i}", 0.02) for i in range(9)]
        assert [future.result(WAIT) for future in made] == [f"job {i}" for i in range(9)]
    assert set(server.places.values()) == {"0", "1", "2"}
    assert all(server.places[label] not in {server.places[o] for o in others} for label, others in server.seen)


def test_of_those_that_wait_measurements_come_first_and_then_lower_order() -> None:
    server = PretendedServer()
    with executing(server, *pretend_gpus(1)) as submit:
        submit("first", 0.05)
        made = [submit("late", order=2), submit("early", order=1), submit("early too", order=1)]
        made.append(submit("measured", alone=True, order=9))
        for future in made:
            future.result(WAIT)
    assert [label for label, _ in server.seen] == ["first", "measured", "early", "early too", "late"]


def test_a_measurement_shares_its_device_with_nothing() -> None:
    server = PretendedServer()
    with executing(server, *pretend_gpus(2, places=3)) as submit:
        made = [submit(f"{'measured' if i % 3 else 'trained'} {i}", 0.01, alone=bool(i % 3)) for i in range(30)]
        for future in made:
            future.result(WAIT)
    for label, others in server.seen:
        beside = {other for other in others if server.places[other] == server.places[label]}
        assert not beside if label.startswith("measured") else not any(o.startswith("measured") for o in beside)


def test_a_machine_pauses_once_enough_wait_to_be_measured_and_measures_them_all() -> None:
    server = PretendedServer()
    with executing(server, Device("cpu", 2)) as submit:
        assert submit.executor.held_back == 4  # type: ignore[attr-defined]
        trained = [submit(f"trained {i}", 0.03) for i in range(8)]
        measured = [submit(f"measured {i}", 0.001, alone=True) for i in range(3)]
        trained[3].result(WAIT)
        assert not any(label.startswith("measured") for label, _ in server.seen)
        measured.append(submit("measured 3", 0.001, alone=True))
        for future in (*measured, *trained):
            future.result(WAIT)
    order = [label for label, _ in server.seen]
    assert order.index("measured 3") == order.index("measured 0") + 3
    assert order.index("measured 3") < order.index("trained 7")


def test_measurements_do_not_wait_for_others_that_never_come() -> None:
    with executing(PretendedServer(), Device("cpu", 4)) as submit:
        assert submit("measured", alone=True).result(WAIT) == "measured"


def test_this_process_and_a_measurement_wait_for_each_other() -> None:
    server, here = PretendedServer(), []
    with executing(server, Device("cpu")) as submit:
        executor: LocalExecutor = submit.executor  # type: ignore[attr-defined]
        with executor.working_here():
            measured = submit("measured", 0.05, alone=True)
            time.sleep(0.02)
            assert not server.running
        with executor.working_here():
            here.append(measured.done())
        assert here == [True]
        with executor.working_here():  # what is not measured goes on beside it
            assert submit("trained").result(WAIT) == "trained"


def test_this_process_works_beside_measurements_on_several_pretend_gpus() -> None:
    with executing(PretendedServer(), *pretend_gpus(2)) as submit, submit.executor.working_here():  # type: ignore[attr-defined]
        assert submit("measured", alone=True).result(WAIT) == "measured"


@pytest.mark.parametrize("error", [JobFailure("It broke.", "ValueError", "trace"), OSError("no room")])
def test_a_failure_comes_back_and_frees_the_device(error: Exception) -> None:
    with executing(PretendedServer(), *pretend_gpus(1)) as submit:
        failed = submit(error)
        assert failed.exception(WAIT) is error
        assert submit("next").result(WAIT) == "next"


def test_closing_ends_what_runs_and_what_waits() -> None:
    with executing(PretendedServer(), *pretend_gpus(1)) as submit:
        made = [submit("running", 60.0), submit("waiting", 60.0)]
    failures = [future.exception(WAIT) for future in (*made, submit("late"))]
    assert [getattr(failure, "kind", None) for failure in failures] == [CLOSED] * 3


def test_an_executor_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="a place for a job"):
        LocalExecutor(PretendedServer(), [Device("cuda:0", 0)])


def test_the_loop_costs_little_a_job() -> None:
    server = PretendedServer()
    with executing(server, *pretend_gpus(8)) as submit:
        started = time.perf_counter()
        for future in [submit(f"job {i}") for i in range(500)]:
            future.result(WAIT)
        assert (time.perf_counter() - started) / 500 < 0.005


def failing_on(broken: str, failure: JobFailure) -> type[PretendedServer]:
    """A server whose jobs fail at once on one GPU."""

    class Failing(PretendedServer):
        def run(self, job: Any, arguments: Any, progress: Any, environment: Any = None) -> Any:
            if environment["CUDA_VISIBLE_DEVICES"] == broken:
                raise failure
            return super().run(job, arguments, progress, environment)

    return Failing


LOST = JobFailure("AcceleratorError: CUDA error: unspecified launch failure", LOST_DEVICE, "trace")


@pytest.mark.parametrize("places", [1, 2])
def test_a_gpu_that_broke_takes_no_further_job_and_what_failed_there_is_run_elsewhere(places: int) -> None:
    said: list[str] = []
    tried: list[str] = []

    def why(device: Device) -> str | None:
        tried.append(device.name)
        return "torch cannot compute on cuda:1."

    server = failing_on("1", LOST)()
    with LocalExecutor(server, pretend_gpus(3, places), why) as executor:
        request = JobRequest("job", lambda what, done, total: said.append(what), "cuda")
        made = [executor.submit(sleeping, (0.01, f"job {i}"), request) for i in range(20)]
        assert [future.result(WAIT) for future in made] == [f"job {i}" for i in range(20)]
        assert executor.slots == 2 * places
    assert set(tried) == {"cuda:1"} and len(tried) <= places
    assert said == ["torch cannot compute on cuda:1. It takes no further job; what failed there is run on another."]


def test_a_job_that_fails_on_a_gpu_that_works_fails() -> None:
    server = failing_on("1", LOST)()
    with LocalExecutor(server, pretend_gpus(2), lambda device: None) as executor:
        request = JobRequest("job", quiet, "cuda")
        made = [executor.submit(sleeping, (0.05, f"job {i}"), request) for i in range(2)]
        assert made[1].exception(WAIT) is LOST
        assert executor.slots == 2


@pytest.mark.parametrize("failure", [JobFailure("ValueError: no", "ValueError"), JobFailure("killed", "killed")])
def test_other_failures_try_no_gpu(failure: JobFailure) -> None:
    def never(device: Device) -> str | None:
        raise AssertionError(device)

    with LocalExecutor(failing_on("0", failure)(), pretend_gpus(2), never) as executor:
        assert executor.submit(sleeping, (0.0, "job"), JobRequest("job", quiet, "cuda")).exception(WAIT) is failure


def test_the_last_gpu_takes_jobs_whatever_happens() -> None:
    with LocalExecutor(failing_on("0", LOST)(), pretend_gpus(1), lambda device: "lost") as executor:
        request = JobRequest("job", quiet, "cuda")
        made = [executor.submit(sleeping, (0.0, f"job {i}"), request) for i in range(3)]
        assert [future.exception(WAIT) for future in made] == [LOST] * 3

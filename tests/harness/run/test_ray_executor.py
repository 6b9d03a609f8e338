"""What becomes of jobs when Ray loses their workers, memory or nodes: with streams of reports in the place of Ray."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import ClusterLost, UsageError
from harness.run import ray_executor
from harness.run.choose_executor import Workload, check_executor
from harness.run.executor import JobRequest
from harness.run.executor_address import ExecutorAddress
from harness.run.job_server import CLOSED, REFUSED, JobFailure, Workers
from harness.run.ray_executor import LOST, NO_MEMORY, Needs, RayExecutor


class OutOfMemoryError(Exception):
    pass


class TaskCancelledError(Exception):
    pass


class RayTaskError(Exception):
    pass


class WorkerCrashedError(Exception):
    pass


class PretendedRay:
    """Gives each task the next of some streams: reports, and exceptions that end it."""

    exceptions = SimpleNamespace(
        OutOfMemoryError=OutOfMemoryError, TaskCancelledError=TaskCancelledError, RayTaskError=RayTaskError
    )

    def __init__(self, streams: Iterable[list[Any]], nodes: tuple[str, ...] = ("n1", "n2")) -> None:
        self.streams, self.alive, self.asked = iter(streams), nodes, []
        self.ended = False

    def remote(self, **settings: Any) -> Any:
        def task(function: Any) -> Any:
            return SimpleNamespace(options=options)

        def options(**wanted: Any) -> Any:
            self.asked.append({**settings, **wanted})
            return SimpleNamespace(remote=lambda *_: self._stream(next(self.streams)))

        return task

    def _stream(self, reports: list[Any]) -> Iterator[Any]:
        yield from reports

    def wait(self, streams: list[Any], **_: Any) -> Any:
        return streams[:1], streams[1:]

    def get(self, report: Any) -> Any:
        if isinstance(report, Exception):
            raise report
        return report

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": name, "Alive": True} for name in self.alive]

    def cancel(self, stream: Any, force: bool) -> None:
        pass

    def shutdown(self) -> None:
        self.ended = True


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run one job with these streams; gives its future, what was said and the pretended Ray."""

    def make(*streams: list[Any], device: str = "cpu", needs: Needs | None = None) -> Any:
        pretended, said = PretendedRay(streams), []
        monkeypatch.setattr(ray_executor, "_join", lambda place: pretended)
        with RayExecutor("auto", needs or Needs()) as executor:
            request = JobRequest("a cell", lambda *told: said.append(told), device)
            future = executor.submit(print, (), request)  # type: ignore[arg-type]
            deadline = time.monotonic() + 10
            while not future.done() and time.monotonic() < deadline:
                time.sleep(0.005)
        assert pretended.ended
        return future, said, pretended

    return make


_AT_N1, _AT_N2 = ("node", ("n1", "first")), ("node", ("n2", "second"))


def test_reports_are_passed_on_and_the_result_is_the_jobs(run: Any) -> None:
    future, said, ray = run([_AT_N1, ("progress", ("training", 1, 8)), ("result", 42)], needs=Needs(cpus=3))
    assert (future.result(), said) == (42, [("training", 1, 8)])
    assert (ray.asked[0]["num_cpus"], ray.asked[0]["max_retries"], "num_gpus" in ray.asked[0]) == (3, 0, False)


def test_a_job_for_a_gpu_asks_for_its_part(run: Any) -> None:
    _, _, ray = run([("result", 1)], device="cuda", needs=Needs(gpus=0.5))
    assert ray.asked[0]["num_gpus"] == 0.5


def test_a_job_whose_worker_is_lost_runs_again_and_that_is_said(run: Any) -> None:
    future, said, _ = run([_AT_N1, WorkerCrashedError("died.\nlong")], [WorkerCrashedError("died")], [("result", 1)])
    assert future.result() == 1
    assert next(told[0] for told in said) == "a cell: first was lost (died); it runs again."
    assert len(said) == 2


def test_a_job_that_is_lost_again_and_again_has_failed(run: Any) -> None:
    future, said, ray = run(*[[WorkerCrashedError("died")]] * 20)
    with pytest.raises(JobFailure, match="Its worker was lost 10 times, at last so: died") as failed:
        future.result()
    assert (failed.value.kind, len(ray.asked), len(said)) == (LOST, 10, 9)


def test_what_fills_a_nodes_memory_has_failed_with_that_reason_and_is_not_sent_again(run: Any) -> None:
    future, _, ray = run([_AT_N1, OutOfMemoryError("Task was killed due to the node running low on memory.\nmore")])
    with pytest.raises(JobFailure, match=r"first ran out of memory.*running low on memory'") as failed:
        future.result()
    assert (failed.value.kind, len(ray.asked)) == (NO_MEMORY, 1)


def test_a_node_that_refuses_is_asked_no_more(run: Any) -> None:
    refusal = ("failure", ("torch is 1 here and 2 in the run", REFUSED, None))
    future, said, ray = run([_AT_N1, refusal], [_AT_N2, ("result", 1)])
    assert future.result() == 1
    assert said[0][0] == "a cell: first is left out: torch is 1 here and 2 in the run"
    assert ray.asked[1]["label_selector"] == {"ray.io/node-id": "!in(n1)"}


def test_where_every_node_refuses_the_job_has_failed(run: Any) -> None:
    refusal = ("failure", ("torch is 1 here and 2 in the run", REFUSED, None))
    future, _, _ = run([_AT_N1, refusal], [_AT_N2, refusal])
    with pytest.raises(JobFailure, match=r"No node of the cluster can run it\. second: torch is 1 here") as failed:
        future.result()
    assert failed.value.kind == REFUSED


def test_a_node_without_the_package_is_left_out_as_well(run: Any) -> None:
    future, said, _ = run([_AT_N1, RayTaskError("No module named 'harness'")], [("result", 1)])
    assert (future.result(), "cannot be started there: No module named 'harness'" in said[0][0]) == (1, True)


def test_a_jobs_own_failure_is_that_failure(run: Any) -> None:
    future, _, ray = run([("failure", ("planted", "ValueError", "Traceback"))])
    with pytest.raises(JobFailure) as failed:
        future.result()
    assert (vars(failed.value), len(ray.asked)) == (vars(JobFailure("planted", "ValueError", "Traceback")), 1)


def test_nobody_waits_for_a_cluster_that_is_lost(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no answer.")

    monkeypatch.setattr(PretendedRay, "wait", lost)
    future, _, _ = run([])
    with pytest.raises(ClusterLost, match=r"no answer\. Run again: finished cells are kept"):
        future.result()


def test_what_is_asked_of_a_closed_executor_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor, "_join", lambda place: PretendedRay([]))
    with RayExecutor("auto", Needs()) as executor:
        pass
    late = executor.submit(print, (), JobRequest("late", lambda *_: None))  # type: ignore[arg-type]
    with pytest.raises(JobFailure) as failed:
        late.result()
    assert failed.value.kind == CLOSED


@pytest.mark.parametrize("wish", ["ray://", "ray", "ray://here", "ray://:80", "ray://host:port", "ray://auto?gpu=1"])
def test_an_address_that_is_none_is_refused_with_what_is_wanted(wish: str) -> None:
    with pytest.raises(UsageError, match=r"ray://HOST:PORT|Known: gpus=…"):
        ray_executor.open_ray(Workload("cpu", 1, ()), Workers(executor=wish))


@pytest.mark.parametrize(
    ("query", "gpus", "part"), [("", None, 1), ("?gpus=.5", 0.5, 0.5), ("?gpus=2", 2, 1), ("?gpus=0", 0, 1)]
)
def test_gpus_of_an_address(query: str, gpus: float | None, part: float) -> None:
    address = ExecutorAddress.parse(f"ray://head:6379{query}")
    assert (address.place, address.gpus, address.gpu_part) == ("head:6379", gpus, part)


@pytest.mark.parametrize(
    ("query", "workload", "gpus"),
    [
        ("", Workload("cuda", 1, ()), 1.0),
        ("", Workload("cuda", 1, (), processes=3), 3.0),
        ("?gpus=4", Workload("cuda", 1, (), processes=3), 4.0),
        ("?gpus=2", Workload("cuda", 1, (), spreads=True), 2.0),
        ("?gpus=.5", Workload("cuda", 1, ()), 0.5),
        ("", Workload("cpu", 1, (), processes=3), 0.0),
    ],
)
def test_a_cell_has_a_gpu_for_each_process_or_as_is_said(query: str, workload: Workload, gpus: float) -> None:
    assert ray_executor.open_ray(workload, Workers(executor=f"ray://auto{query}"))._needs.gpus == gpus


@pytest.mark.parametrize(
    ("query", "workload", "said"),
    [
        (
            "?gpus=2",
            Workload("cuda", 1, (), processes=3),
            "takes a GPU for each process, and gpus=2 gives a cell fewer",
        ),
        ("?gpus=.5", Workload("cuda", 1, (), processes=2), "and gpus=0.5 gives a cell fewer"),
        ("", Workload("cuda", 1, (), spreads=True), "model.device_map spreads .* Say how many"),
    ],
)
def test_gpus_that_do_not_fit_what_runs_on_them_are_refused(query: str, workload: Workload, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ray_executor.open_ray(workload, Workers(executor=f"ray://auto{query}"))


@pytest.mark.parametrize("gpus", ["-1", "1.5", "nan", "many", ""])
def test_a_number_of_gpus_that_is_none_is_refused(gpus: str) -> None:
    with pytest.raises(UsageError, match="wanted a part of a GPU"):
        _ = ExecutorAddress.parse(f"ray://auto?gpus={gpus}").gpus


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.run.choose_executor.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"package ray, which is not installed here: `pip install 'fusemark\[ray\]'`"):
        check_executor("ray://auto")


def test_a_cluster_that_does_not_answer_is_told_at_once() -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"There is no Ray cluster to join at {place}: .*refused"):
            RayExecutor(place, Needs()).__enter__()

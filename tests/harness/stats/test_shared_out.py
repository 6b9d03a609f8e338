"""Tests of harness.stats.shared_out, and of intervals that are made so."""

import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from harness.errors import DataError, StoreError
from harness.stats import estimates as estimates_module
from harness.stats.estimates import estimates
from harness.stats.resampling import MeanStatistics
from harness.stats.shared_out import shared_out
from harness.stats.sums import SumStatistics, ratio_of_sums


def children() -> set[str]:
    """The processes that this one has started and not waited for; other tests may have left some."""
    return {child for of in Path("/proc/self/task").glob("*/children") for child in of.read_text("ascii").split()}


def test_results_are_in_the_order_of_tasks_and_come_from_several_processes():
    def work(number: int) -> tuple[int, int, np.ndarray]:
        if number < 2:
            signal.sigtimedwait([], 0.2)  # so that the other process takes a task meanwhile
        return number, os.getpid(), np.arange(number * 100_000)  # more than a pipe holds

    found = shared_out([partial(work, number) for number in range(7)], 2)
    assert [number for number, _, _ in found] == list(range(7))
    assert all(len(values) == number * 100_000 for number, _, values in found)
    assert len({process for _, process, _ in found} | {os.getpid()}) == 2


def test_of_one_process_all_is_done_here():
    assert shared_out([os.getpid, os.getpid], 1) == [os.getpid()] * 2
    assert shared_out([], 4) == []


def test_what_a_task_raises_is_raised_wherever_it_was_done():
    def refuse() -> int:
        raise DataError("no such class")

    before = children()
    with pytest.raises(DataError, match="no such class"):
        shared_out([refuse] * 3, 3)
    assert children() <= before, "no process is left"


def test_a_process_that_is_killed_is_told():
    here = os.getpid()

    def die() -> None:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        signal.sigtimedwait([], 0.2)

    with pytest.raises(StoreError, match=r"status -9.*lack of memory"):
        shared_out([die] * 4, 2)


def test_intervals_are_the_same_in_several_processes(monkeypatch: pytest.MonkeyPatch):
    drawn = np.random.default_rng(0)
    parts = np.column_stack([drawn.integers(0, 3, 9_000), np.full(9_000, 3)]).astype(float)
    statistics = {
        "mean": MeanStatistics(drawn.normal(size=9_000)),
        "ratio": SumStatistics(parts, ratio_of_sums),
        "mean:a": MeanStatistics(drawn.normal(size=9_000)),
    }
    monkeypatch.setattr(estimates_module, "_WORTH_SHARING", 10**9)
    alone = estimates(statistics, 1000, 3)
    monkeypatch.setattr(estimates_module, "_WORTH_SHARING", 1)
    assert estimates(statistics, 1000, 3) == alone == estimates(statistics, 1000)


def test_blas_has_one_thread_in_each_process_and_as_many_as_before_after():
    def threads() -> int:
        signal.sigtimedwait([], 0.1)
        return max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")

    with threadpool_limits(2, "blas"):
        before = threads()
        assert shared_out([threads] * 4, 2) == [1] * 4
        assert threads() == before

"""What a run tells: a live line on a terminal, few plain lines in a pipe, and notices that stay."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from harness.cli.progress import ConsoleReporter
from harness.protocols import NOTICE
from harness.record import RunRecord


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(stream: io.StringIO) -> ConsoleReporter:
    reporter = ConsoleReporter("main", stream=stream)
    reporter.plan(2)
    for done in range(1, 200):
        reporter.progress("a-model seed 0  training", done, 200)
    reporter.progress("a-model seed 0  out of memory: going on with batches of 4", 200, NOTICE)
    return reporter


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_notice_stays_in_sight(stream: io.StringIO) -> None:
    told(stream)
    lines = [line.rpartition("\r")[2] for line in stream.getvalue().splitlines()]
    assert lines[-1] == "a-model seed 0  out of memory: going on with batches of 4"


def test_a_pipe_gets_few_lines() -> None:
    stream = io.StringIO()
    told(stream)
    assert len(stream.getvalue().splitlines()) < 4
    assert "\r" not in stream.getvalue()


def test_a_terminal_sees_the_cell_the_phase_and_the_count() -> None:
    stream = Terminal()
    reporter = told(stream)
    reporter.close()
    assert "[0/2]  a-model seed 0  training  1/200" in stream.getvalue()


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        ("ok", 0.5, "[1/2] a seed 0:  main 0.500 [0.400, 0.600]  p50 latency 500.0 ms"),
        ("failed", None, "[1/2] a: failed: it broke"),
        ("skipped", None, "[0/2] a: skipped: it broke"),
    ],
)
def test_each_cell_ends_in_one_line(
    status: str, value: float | None, expected: str, record: Callable[..., RunRecord]
) -> None:
    stream = io.StringIO()
    reporter = ConsoleReporter("main", stream=stream)
    reporter.plan(2)
    reporter.finish(record("a", value, status=status, error=None if status == "ok" else "it broke"))
    assert stream.getvalue().strip() == expected

"""What a run tells: a live line on a terminal, few plain lines in a pipe, and notices that stay."""

from __future__ import annotations

import io
import re
import time
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


def seen(stream: io.StringIO) -> str:
    """What stands on a terminal, without what moves its cursor and colours it."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_notice_stays_in_sight(stream: io.StringIO) -> None:
    told(stream)
    lines = [line.rpartition("\r")[2] for line in seen(stream).splitlines()]
    assert "a-model seed 0  out of memory: going on with batches of 4" in lines


def test_a_pipe_gets_one_line_in_five_seconds_whatever_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    reporter = ConsoleReporter("main", stream=stream)
    reporter.plan(2)
    for step in range(1, 121):  # a minute
        now[0] += 0.5
        for model in ("a", "b", "c"):
            reporter.progress(f"{model} seed 0  training", step, 120)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 12
    assert lines[0] == "[0/2] a seed 0 training, 1/120"
    assert lines[6] == "[0/2] a seed 0 training, 61/120, 29 s left"  # 30 s for 61 steps, 59 are left
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    ("side_by_side", "prerequisite", "ends", "left"),
    [
        (1, 600, [660], ""),  # a first one says nothing: what came before it comes once
        (1, 600, [660, 720], "run: about 10 min 00 s to go"),  # ten of a minute
        (4, 0, [100, 100, 100, 100], ""),  # the first four of four side by side
        (4, 0, [100, 100, 100, 100, 200, 200, 200, 200], "run: about 1 min 40 s to go"),  # four more in 100 s
        (4, 0, [100] * 4 + [200] * 4 + [300] * 4, ""),  # all are done
    ],
)
def test_what_is_left_is_told_from_how_fast_cells_are_done(
    side_by_side: int, prerequisite: float, ends: list[float], left: str, record: Callable[..., RunRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    reporter = ConsoleReporter("main", stream=stream)
    reporter.plan(12)
    reporter.progress("a-prerequisite  training", 1, 2)
    now[0] = prerequisite
    for number, end in enumerate(ends):
        for seed in range(number // side_by_side * side_by_side, (number // side_by_side + 1) * side_by_side):
            if seed >= number:
                reporter.progress(f"a seed {seed}  training", 1, 2)
        now[0] = end
        reporter.finish(record("a", 0.5, seed=number))
    reporter.written = 0.0
    reporter.progress("b seed 0  training", 1, 2)
    assert (re.findall(r"run: .*", stream.getvalue().splitlines()[-1]) or [""])[0] == left


def test_a_terminal_sees_a_bar_for_each_cell_and_one_for_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = Terminal()
    reporter = ConsoleReporter("main", stream=stream)
    reporter.plan(2)
    for step in range(1, 4):
        now[0] += 1
        for model in ("[red]a", "b"):
            reporter.progress(f"{model} seed 0  training", step, 200)
            now[0] += 1
    text = seen(stream)
    assert "[red]a seed 0 training" in text, "names are no markup"
    assert re.search(r"b seed 0 training +\S+ +3/200", text) and re.search(r"run +\S+ +0/2", text)
    reporter.close()
    assert (reporter.bars is None and stream.getvalue().endswith("\x1b[2K")) or "\x1b[?25h" in stream.getvalue()


def test_a_cell_that_is_done_has_no_bar(record: Callable[..., RunRecord]) -> None:
    reporter = ConsoleReporter("main", stream=Terminal())
    reporter.plan(2)
    reporter.progress("a C1 seed 0  training", 1, 200)
    reporter.progress("a C1 seed 0  timing", 0, 0)
    assert reporter.bars is not None and set(reporter.bars.bars) == {"a C1 seed 0", "run"}
    reporter.finish(record("a", 0.5, control="C1"))
    assert set(reporter.bars.bars) == {"run"}
    reporter.close()


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

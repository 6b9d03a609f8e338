"""Peak memory: a child's own spike, whatever its parent's peak was."""

from __future__ import annotations

import json
import mmap
import os
import sys
from collections.abc import Callable

import pytest

from harness.measure import memory
from harness.measure.memory import HIGH_WATER_MARK, MAXIMUM_RSS, POLLED, PeakMemory, PeakMeter

MEBIBYTE = 2**20


def touch(mebibytes: int) -> mmap.mmap:
    """Take fresh memory from the system (an allocator may give back what it kept) and write to each page."""
    block = mmap.mmap(-1, mebibytes * MEBIBYTE)
    block[::4096] = b"x" * (len(block) // 4096)
    return block


def spike(mebibytes: int) -> None:
    touch(mebibytes).close()


def in_forked_child(work: Callable[[], PeakMemory]) -> PeakMemory:
    """Run in a fork of this process, as jobs are, and bring the result back through a pipe."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(vars(work())).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return PeakMemory(**json.loads(pipe.read()))


def measured_spike(mebibytes: int) -> PeakMemory:
    with PeakMeter("cpu") as meter:
        spike(mebibytes)
    spike(2 * mebibytes)  # after the block: must not count
    return meter.read()


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset its high-water mark")


@linux
def test_a_child_reports_its_own_spike_and_not_its_parents() -> None:
    spike(600)
    peak = in_forked_child(lambda: measured_spike(200))
    assert peak.method == HIGH_WATER_MARK
    assert 195 <= (peak.peak_rss_bytes - peak.start_rss_bytes) / MEBIBYTE < 230
    assert peak.allocated_bytes is None
    assert peak.reserved_bytes is None


@linux
def test_a_second_meter_forgets_the_first_ones_peak() -> None:
    def twice() -> PeakMemory:
        measured_spike(300)
        return measured_spike(50)

    peak = in_forked_child(twice)
    assert 45 <= (peak.peak_rss_bytes - peak.start_rss_bytes) / MEBIBYTE < 80


@linux
@pytest.mark.parametrize(("loaded", "wanted"), [(0, 50), (120, 120)])
@pytest.mark.parametrize("polled", [False, True])
def test_work_that_failed_does_not_count(
    loaded: int, wanted: int, polled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if polled:
        monkeypatch.setattr(memory, "_reset_high_water_mark", lambda: False)
        monkeypatch.setattr(memory, "_maximum_rss_bytes", lambda: 0)

    def held(mebibytes: int) -> None:
        block = touch(mebibytes)
        memory.threading.Event().wait(0.1 if polled else 0)
        block.close()

    def again() -> PeakMemory:
        with PeakMeter("cpu") as meter:
            if loaded:
                held(loaded)
                meter.mark()
            held(300)
            meter.restart()
            held(50)
        return meter.read()

    peak = in_forked_child(again)
    assert wanted - 5 <= (peak.peak_rss_bytes - peak.start_rss_bytes) / MEBIBYTE < wanted + 30


@linux
def test_what_is_added_is_what_was_held_after_loading() -> None:
    """Loading takes 200 MiB, of which 40 stay, and 30 more are taken while it answers: 70 are the model's."""

    def loaded_then_asked() -> PeakMemory:
        with PeakMeter("cpu") as meter:
            spike(200)
            held = touch(40)
            meter.mark()
            spike(30)
            held.close()
        return meter.read()

    peak = in_forked_child(loaded_then_asked)
    assert 65 <= peak.added_bytes / MEBIBYTE < 85
    assert (peak.peak_rss_bytes - peak.start_rss_bytes) / MEBIBYTE >= 195


@linux
def test_what_was_free_before_the_job_is_not_taken_from_what_it_adds() -> None:
    """An allocator keeps what a process has freed, and its fork inherits it: here 150 MiB in small pieces."""

    def with_a_heap_kept_free() -> PeakMemory:
        pieces = [bytearray(2**12) for _ in range(150 * 256)]
        last = bytearray(2**12)  # stands at the end of the heap, so that it cannot shrink by itself
        del pieces
        with PeakMeter("cpu") as meter:
            meter.mark()
            held = touch(40)
            held.close()
        assert last
        return meter.read()

    assert 35 <= in_forked_child(with_a_heap_kept_free).added_bytes / MEBIBYTE < 55


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_without_a_mark_to_reset_it_polls_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_reset_high_water_mark", lambda: False)
    monkeypatch.setattr(memory, "_maximum_rss_bytes", lambda: 0)

    def held() -> PeakMemory:
        with PeakMeter("cpu") as meter:
            block = touch(200)
            memory.threading.Event().wait(0.1)
            block.close()
        return meter.read()

    peak = in_forked_child(held)
    assert peak.method == POLLED
    assert 195 <= (peak.peak_rss_bytes - peak.start_rss_bytes) / MEBIBYTE < 230


def test_the_systems_maximum_is_taken_when_it_rose_during_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([100, 10**12])
    monkeypatch.setattr(memory, "_reset_high_water_mark", lambda: False)
    monkeypatch.setattr(memory, "_maximum_rss_bytes", lambda: next(answers))
    with PeakMeter("cpu") as meter:
        pass
    assert (meter.read().peak_rss_bytes, meter.read().method) == (10**12, MAXIMUM_RSS)


def test_a_system_without_the_files_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CLEAR_REFS", memory.Path("/nowhere/clear_refs"))
    assert not memory._reset_high_water_mark()
    with PeakMeter("cpu") as meter:
        pass
    assert meter.read().peak_rss_bytes > 0


def test_reading_before_the_block_is_a_bug_that_is_named() -> None:
    with pytest.raises(RuntimeError, match="before its `with` block"):
        PeakMeter("cpu").read()

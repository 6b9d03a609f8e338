"""Peak memory of one job alone: resident memory of its process, and of its accelerator.

`ru_maxrss` will not do: it is inherited from whoever started the process, and it cannot be reset (a
child of 9 MB was seen to report its parent's 1,176 MB). Linux can reset its own high-water mark.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from harness.measure.device import DevicePeak, peak_memory, reset_peak_memory

HIGH_WATER_MARK = "VmHWM, reset before the job"
MAXIMUM_RSS = "ru_maxrss, which rose during the job"
POLLED = "resident memory polled every 10 ms: a shorter spike can be missed"

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_HIGH_WATER_MARK = "5"  # Linux, Documentation/filesystems/proc: clear_refs
_POLL_SECONDS = 0.01
_RESET_SLACK_BYTES = 32 * 2**20  # a mark further above the resident memory was not reset


@dataclass(frozen=True)
class PeakMemory:
    """Bytes at most while a job ran; `method` says how `peak_rss_bytes` was found.

    `start_rss_bytes` was resident before (the interpreter and its libraries), and is part of the peak.
    `marked_rss_bytes` is the peak since the last mark alone, when what loading took had been given back.
    `allocated_bytes` and `reserved_bytes` are of the accelerator, None on a CPU.
    """

    peak_rss_bytes: int
    start_rss_bytes: int
    method: str
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    marked_rss_bytes: int = 0

    @property
    def added_bytes(self) -> int:
        """What was resident at most since the mark, less what was before: the job's own, with libraries it imports."""
        return max(0, (self.marked_rss_bytes or self.peak_rss_bytes) - self.start_rss_bytes)

    @property
    def bytes(self) -> int:
        """What the job's own tensors took on an accelerator; on a CPU the resident memory of its process."""
        return self.peak_rss_bytes if self.allocated_bytes is None else self.allocated_bytes


Result = TypeVar("Result")


def with_device_peak(device: str, work: Callable[[], Result]) -> tuple[Result, DevicePeak | None]:
    """Do some work and say its own peak on an accelerator; None on a CPU, where nothing is reset.

    What was allocated before counts, if it is still there; the context of the device (some 500 MB) never does.
    """
    reset_peak_memory(device)
    result = work()
    return result, peak_memory(device)


class PeakMeter:
    """Measures the peak of what runs inside its `with` block; `read()` answers at any time after.

    The first `read` after the block has ended is the block's; one inside it is the peak so far. Of work that failed
    and is done again, `restart` forgets the peak: all that was after the last `mark`, or after the beginning.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._start_rss = self._marked_rss = 0
        self._read_rss: Callable[[], tuple[int, str]] | None = None
        self._poller: _Poller | None = None
        self._result: PeakMemory | None = None

    def __enter__(self) -> Self:
        self._result, self._marked_rss = None, 0
        _give_back()  # or the mark would give back what was kept before, and too little would count as added
        self._start_rss = _resident_bytes()
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._result = self._read_now()
        self._stop_polling()

    def mark(self) -> None:
        """Keep the peak of the process so far, whatever is forgotten later: what was loaded, and how.

        What loading leaves unused is given back to the system, so that the peak from here on is that of the work.
        """
        self._marked_rss = self._read_now().peak_rss_bytes
        _give_back()
        self.restart()

    def restart(self) -> None:
        """Forget the peak since the last mark."""
        self._stop_polling()
        self._begin()

    def read(self) -> PeakMemory:
        """Return the peak of the block, or so far."""
        return self._result if self._result is not None else self._read_now()

    def _begin(self) -> None:
        reset_peak_memory(self._device)
        if _reset_high_water_mark():
            self._read_rss = _read_high_water_mark
        else:
            self._poller = _Poller()
            self._read_rss = self._poller.read

    def _stop_polling(self) -> None:
        if self._poller is not None:
            self._poller.stop()
            self._poller = None

    def _read_now(self) -> PeakMemory:
        if self._read_rss is None:
            raise RuntimeError("PeakMeter.read() before its `with` block has begun")
        rss, method = self._read_rss()
        on_device = peak_memory(self._device)
        return PeakMemory(
            peak_rss_bytes=max(rss, self._start_rss, self._marked_rss),
            start_rss_bytes=self._start_rss,
            method=method,
            allocated_bytes=on_device.allocated_bytes if on_device else None,
            reserved_bytes=on_device.reserved_bytes if on_device else None,
            marked_rss_bytes=rss,
        )


class _Poller:
    """Watches the resident memory from a thread, where the system's own mark cannot be reset."""

    def __init__(self) -> None:
        self._highest = _resident_bytes()
        self._maximum_before = _maximum_rss_bytes()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)
        self._thread.start()

    def read(self) -> tuple[int, str]:
        """Prefer the system's own maximum when it rose meanwhile: then it is this job's, and exact."""
        maximum = _maximum_rss_bytes()
        if maximum > self._maximum_before:
            return maximum, MAXIMUM_RSS
        self._highest = max(self._highest, _resident_bytes())
        return self._highest, POLLED

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            self._highest = max(self._highest, _resident_bytes())


def _give_back() -> None:
    """Collect what nothing refers to, and have glibc return what it keeps free; other allocators decide themselves."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)


def _reset_high_water_mark() -> bool:
    """Bring VmHWM down to the present; False where the system does not let us."""
    try:
        _CLEAR_REFS.write_text(_RESET_HIGH_WATER_MARK, encoding="utf-8")
        return _status_bytes("VmHWM") <= _status_bytes("VmRSS") + _RESET_SLACK_BYTES
    except (OSError, KeyError):
        return False


def _read_high_water_mark() -> tuple[int, str]:
    return _status_bytes("VmHWM"), HIGH_WATER_MARK


def _status_bytes(key: str) -> int:
    """Read a size such as `VmHWM:   1234 kB`; KeyError where the kernel does not list it."""
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    raise KeyError(key)


def _resident_bytes() -> int:
    import psutil  # type: ignore[import-untyped]

    return int(psutil.Process().memory_info().rss)


def _maximum_rss_bytes() -> int:
    """Read `ru_maxrss`, which is in KiB on Linux and in bytes on macOS; 0 where there is none."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

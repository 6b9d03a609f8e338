"""`bench load` on a real server, on one that is killed under it, and on a model in its own process."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import KEY, Exported, Running, start_server


def loaded(bench: Any, *arguments: object) -> Any:
    return bench("load", *arguments, "--format", "json", "--late-ms", "1000", BENCH_SERVE_KEY=KEY)


def test_a_server_under_load(exported: Exported, running: Running) -> None:
    done = loaded(
        exported.bench, "--url", running.url, "--inputs", exported.folder, "--scenario", "server", "--rate", "20,40",
        "--seconds", "1.5", "--limit-ms", "5000",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    slow, fast = json.loads(done.stdout)["runs"]
    assert slow["answered"] == slow["queries"] > 10 and fast["queries"] > slow["queries"]
    assert slow["percentiles"]["p99"] is None and slow["percentiles"]["p50"]["value"] > 0
    assert json.loads(done.stdout)["knee"]["rate"] == 40.0
    (run,) = json.loads(
        loaded(
            exported.bench, "--url", running.url, "--inputs", exported.folder, "--scenario", "offline",
            "--seconds", "0.1", "--queries", "64", "--at-once", "6",
        ).stdout
    )["runs"]  # fmt: skip
    assert run["queries"] >= 64 and run["throughput"] > 0 and run["lateness_p99"] is None
    figures = running.ask("GET", "/metrics").body.decode()
    assert 'bench_batch_size_bucket{le="1.0"}' in figures


def test_the_client_of_a_killed_server_says_what_was_lost(exported: Exported) -> None:
    server = start_server(exported.bench, exported.folder)
    client = exported.bench.start(
        "load", "--url", server.url, "--inputs", exported.folder, "--scenario", "server", "--rate", "30", "--seconds",
        "6", BENCH_SERVE_KEY=KEY,
    )  # fmt: skip
    assert "30 queries a second" in client.stderr.readline()
    time.sleep(2)
    os.kill(server.process.pid, signal.SIGKILL)
    out, error = client.communicate(60)
    assert client.wait() == 1 and "Traceback" not in error and KEY not in out + error
    assert "queries have no answer (connection refused" in " ".join(out.split())
    assert "none was answered after that" in " ".join(out.split()) and "lost" in out
    server.process.communicate(60)


def test_a_model_in_this_process_and_what_makes_no_sense(exported: Exported, tmp_path: Path, running: Running) -> None:
    bench = exported.bench
    done = bench("load", "--model", exported.folder, "--scenario", "offline", "--seconds", "0.2", "--at-once", "4")
    assert done.returncode == 0 and "nearest-colour in this process" in done.stdout, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100
    for words, says in (
        (("--scenario", "server", "--model", exported.folder), "wants --rate"),
        (("--rate", "5", "--model", exported.folder), "wants --rate"),
        (("--scenario", "server", "--rate", "-1", "--model", exported.folder), "wanted queries a second"),
        ((), "Give one of --url"),
        (("--url", running.url), "wants --inputs"),
        (("--url", running.url, "--inputs", tmp_path), "no folder with images"),
        (("--url", "localhost:80", "--inputs", exported.folder), "wanted http://"),
        (("--url", "http://127.0.0.1:9", "--inputs", exported.folder), "connection refused"),
        (("--url", running.url, "--inputs", exported.folder), "Set BENCH_SERVE_KEY"),
    ):
        refused = bench("load", *words)
        assert refused.returncode == 2 and says in refused.stderr and refused.stderr.count("\n") == 1, refused.stderr


@pytest.mark.parametrize("name", ["--key", "--api-key"])
def test_no_flag_takes_a_key(exported: Exported, name: str) -> None:
    """A command line is seen by all users of a machine."""
    assert "No such option" in exported.bench("load", name, "x").stderr

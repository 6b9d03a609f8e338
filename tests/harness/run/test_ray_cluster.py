"""Cells on a Ray cluster of two nodes on this machine, while workers, a node and a run are killed at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.record import RunRecord
from harness.records.conflicts import deterministic_digest
from harness.records.store import Store

pytest.importorskip("ray", reason="the extra 'ray' is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # Ray leaves its logs' files open
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]

_SEEDS = 4
_CELLS = (
    "--task", "word-caption", "--model", "most-common-caption", "--device", "cpu", "--profile", "smoke",
    "--set", "measure.warmups=1", "--set", "measure.runs=4", "--set", "evaluate.resamples=50",
    "--set", "model.outsider_fault=slow", "--set", "train.steps=3", "--seeds", str(_SEEDS),
)  # fmt: skip
_RAY = {
    "RAY_enable_metrics_collection": "0",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture
def cluster(tmp_path: Path, outsider: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one CPU each; what they start has a cache of its own and finds the outside package."""
    for name, value in {**_RAY, "BENCH_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(outsider)}.items():
        monkeypatch.setenv(name, value)
    made = _two_nodes()
    yield made
    made.shutdown()


def _two_nodes() -> Any:
    """Start them; Ray gives a node half a minute for that, which a busy machine may not have."""
    from ray.cluster_utils import Cluster

    for left in (2, 1, 0):
        try:
            made = Cluster(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
            made.add_node(wait=False, **_NODE)
            return made
        except Exception as error:
            if not left or "timed out during startup" not in str(error):
                raise
    raise AssertionError


def _start(results: Path, captions: Path, *more: str) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).with_name("bench")), "run", *_CELLS, "--data", str(captions), "--results"]
    return subprocess.Popen(
        [*command, str(results), *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _records(results: Path) -> dict[str, RunRecord]:
    return {record.fingerprint: record for record in Store(str(results)).read_records()}


def _workers_of(raylet: int) -> list[psutil.Process]:
    """The processes of a node that run a cell now: Ray gives them the cell's name."""
    children = psutil.Process(raylet).children()
    return [child for child in children if any("most-common-caption" in part for part in child.cmdline())]


def _wait_for(found: Callable[[], Any], seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return value


def test_two_runs_on_one_store_leave_the_serial_scores_whoever_is_killed(
    cluster: Any, captions: Path, tmp_path: Path, bench: Any
) -> None:
    rng, there = random.Random(), ("--executor", f"ray://{cluster.address}")
    first, second = (_start(tmp_path / "shared", captions, *there) for _ in range(2))
    try:
        raylets = [node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()]
        worker = _wait_for(lambda: _workers_of(raylets[0]) or _workers_of(raylets[1]))[0]
        time.sleep(rng.uniform(0, 2))
        worker.kill()
        _wait_for(lambda: _workers_of(raylets[1]))
        time.sleep(rng.uniform(0, 2))
        os.kill(raylets[1], signal.SIGKILL)
        cluster.add_node(wait=False, **_NODE)
        time.sleep(rng.uniform(0, 3))
        first.kill()
        bench("run", *_CELLS, "--data", captions, "--results", tmp_path / "serial")
        said, _ = second.communicate(timeout=240)
        again = bench("run", *_CELLS, "--data", captions, "--results", tmp_path / "shared", *there)
    finally:
        for run in (first, second):
            run.kill()
        before, _ = first.communicate()
    assert second.returncode == 0, said
    assert "was lost" in before + said, "whoever had sent the cell of the killed worker says so"
    assert "CONFLICT" not in before + said
    assert f"{_SEEDS} ok ({_SEEDS} found done)" in again.stdout, again.stderr
    shared, alone = _records(tmp_path / "shared"), _records(tmp_path / "serial")
    assert len(shared) == _SEEDS
    assert {name: deterministic_digest(r) for name, r in shared.items()} == {
        name: deterministic_digest(r) for name, r in alone.items()
    }
    left = [
        json.loads(path.read_text())["seconds"]
        for path in tmp_path.glob("shared/word-caption/training/*/training.json")
    ]
    recorded = [record.provenance["training"]["seconds"] for record in shared.values()]
    assert sorted(left) == sorted(recorded), "a cell was trained again although its record was there"

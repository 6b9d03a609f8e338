"""A results folder as a run leaves it, and a place that no library may call."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cell import Cell
from harness.measure.choose_devices import Devices
from harness.plan.run_plan import Plan
from harness.record import Efficiency, Estimate, RunRecord
from harness.records.store import Store
from harness.report.page.sources import ReportOptions

LOG = [
    {"step": 5, "loss": 0.75, "seconds": 1.5},
    {"step": 5, "validation_score": 0.25},
    {"step": 7, "warning": "out of memory: 2 micro-batches a step from here"},
    {"step": 10, "loss": 0.5, "seconds": 3.0},
    {"step": 10, "validation_score": 0.375},
]
OPTIONS = ReportOptions(tasks=("a-task",), metrics={"a-task": ("main",)})


@dataclass(frozen=True)
class Results:
    """A store with one trained cell, one that failed and one that was skipped."""

    store: Store
    plan: Plan
    options: ReportOptions
    trained: RunRecord
    failed: RunRecord

    @property
    def folder(self) -> Path:
        return Path(self.store.url)


@pytest.fixture
def results(tmp_path: Path, cell: Cell, record: Callable[..., RunRecord]) -> Results:
    """Write what a run leaves behind: records, a training log."""
    store = Store(str(tmp_path / "results"))
    broken = replace(cell, training=replace(cell.training, model="b-model", control="C1", seed=1))
    trained = record(
        "a-model", fingerprint=cell.fingerprint, created="2026-01-01T00:00:00+00:00",
        metrics={
            "main": Estimate(0.5, 0.4, 0.6, 48), "main[night honest]": Estimate(0.25, 0.1, 0.4, 12),
            "main:cat": Estimate(0.1, 0.0, 0.2, 5), "gone": None,
        },
        efficiency=Efficiency(parameters_total=7, latency_p50_seconds=0.5, latency_runs=8),
        provenance={"python": "3.11", "training": {"learnable": True}},
    )  # fmt: skip
    failed = record(
        "b-model", control="C1", seed=1, fingerprint=broken.fingerprint, status="failed", error="it broke",
        created="2026-01-01T00:00:01+00:00",
    )  # fmt: skip
    skipped = record("c-model", status="skipped", error="no weights", created="2026-01-01T00:00:02+00:00")
    for made in (trained, failed, skipped):
        store.write_record(made)
    name = f"a-task/training/{cell.training.fingerprint}/log.jsonl"
    store.write_bytes(name, "".join(f"{json.dumps(entry)}\n" for entry in LOG).encode())
    data = replace(cell.training.data, digest="d1", name="tiny")
    task: Any = SimpleNamespace(name="a-task", metrics=("main",))
    plan = Plan(task, data, "val", Devices("cpu"), (cell, broken), ())
    return Results(store, plan, OPTIONS, trained, failed)


@pytest.fixture
def nobody_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Stand in for the whole network, and fail the test when somebody connects; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "WANDB_BASE_URL"):
            monkeypatch.setenv(name, url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield url
        server.setblocking(False)
        try:
            caller, _ = server.accept()
        except BlockingIOError:
            return
        caller.close()
        pytest.fail("the network was called")

"""Small values for tests of the harness: a cell, a record, a learner on made-up features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cell import (
    Cell,
    DecodeOptions,
    EvaluateOptions,
    MeasureOptions,
    ModelOptions,
    TrainingJob,
    TrainOptions,
)
from harness.record import Efficiency, Estimate, RunRecord
from harness.sample import Dataset

DATA = Dataset("tiny", Path("/data/tiny"), "d1" * 32, "coco", ("train", "val"), "train", "train", "val")
JOB = TrainingJob(
    task="a-task",
    data=DATA,
    model="a-model",
    control=None,
    seed=0,
    device="cpu",
    options=ModelOptions(vision="resnet18", settings={"width": 3}),
    train=TrainOptions(),
    decode=DecodeOptions(),
    on_bad_sample="fail",
    recipe={"weights": "abc"},
    versions={"torch": "2"},
)


@pytest.fixture
def cell() -> Cell:
    """A cell with nothing special in it."""
    return Cell(JOB, "val", EvaluateOptions(), MeasureOptions())


@pytest.fixture
def record() -> Callable[..., RunRecord]:
    """Make a record: `record(model, value, seed=…, status=…, **fields)`."""

    def make(model: str, value: float | None = None, *, half: float = 0.1, **fields: Any) -> RunRecord:
        seed = fields.pop("seed", 0)
        content = {
            "training": {"model": model, "seed": seed, "steps": fields.pop("steps", 1), "data": {"root": "tiny"}},
            "evaluate": {"limit": fields.pop("limit", None)},
        }
        estimate = None if value is None else Estimate(value, value - half, value + half, 48)
        made = RunRecord(
            fingerprint=f"{model}-{seed}-{value}",
            task="a-task",
            data="tiny",
            data_digest="d1",
            split="val",
            model=model,
            control=None,
            seed=seed,
            status="ok",
            error=None,
            metrics={"main": estimate, "gone": None},
            signature="main:1",
            efficiency=Efficiency(parameters_total=7, latency_p50_seconds=0.5, latency_runs=8),
            device="a machine",
            provenance={},
            cell=content,
            created="2026-01-01T00:00:00+00:00",
        )
        if fields.get("status", "ok") != "ok":
            made = replace(made, metrics={}, signature=None, efficiency=Efficiency())
        return replace(made, **fields)

    return make

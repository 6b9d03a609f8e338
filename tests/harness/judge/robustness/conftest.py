"""Made-up robustness records: `record(model, clean=…, cells={(perturbation, severity): value or reason})`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from harness.judge.robustness.cells import STANDARD_CELLS
from harness.record import Efficiency, Estimate, PerturbedScore, RobustnessRecord, RunRecord

Cells = Mapping[tuple[str, int], float | str]
FAMILIES = {"blank-image": "modality", "noise-image": "modality", "wrong-image": "modality", "empty-text": "modality",
            "wrong-text": "modality", "pgd-linf": "attack"}  # fmt: skip


def estimate(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value, value - half, value + half, 1000)


def score(cell: tuple[str, int], content: float | str, metric: str, half: float) -> PerturbedScore:
    """A number is a score, "failed: …" and "skipped: …" are what they say."""
    name, severity = cell
    family, modality = FAMILIES.get(name, "noise"), "text" if "text" in name or "typo" in name else "image"
    if isinstance(content, str):
        status, _, error = content.partition(": ")
        return PerturbedScore(f"{name}-{severity}", name, severity, family, modality, status, error)
    metrics = {metric: estimate(content, half)}
    return PerturbedScore(f"{name}-{severity}", name, severity, family, modality, "ok", None, metrics)


@pytest.fixture
def record() -> Callable[..., RobustnessRecord]:
    def make(model: str, clean: float | str = 0.8, cells: Cells | None = None, **fields: Any) -> RobustnessRecord:
        metric, half = fields.get("metric", "top-1"), fields.pop("half", 0.02)
        content = {("clean", 0): clean, **(cells or {})}
        made = RobustnessRecord(
            fingerprint=f"{model}-{fields.get('control')}-{fields.get('seed', 0)}",
            task="a-task",
            data="tiny",
            data_digest="d1",
            split="test",
            model=model,
            control=None,
            seed=0,
            metric="top-1",
            signature="top-1:1",
            chance=0.1,
            limit=None,
            shortest_px=224,
            device="a machine",
            scores=tuple(score(cell, value, metric, half) for cell, value in content.items()),
            provenance={},
            created="2026-01-01",
        )
        return replace(made, **fields)

    return make


@pytest.fixture
def run() -> Callable[..., RunRecord]:
    """Make the run record of a robustness record."""

    def make(of: RobustnessRecord, steps: int = 1, code: str = "", **metrics: Estimate) -> RunRecord:
        return RunRecord(
            fingerprint=of.fingerprint,
            task=of.task,
            data=of.data,
            data_digest=of.data_digest,
            split=of.split,
            model=of.model,
            control=of.control,
            seed=of.seed,
            status="ok",
            error=None,
            metrics={"top-1": estimate(0.8), **metrics},
            signature=of.signature,
            efficiency=Efficiency(),
            device="a machine",
            provenance={},
            cell={
                "training": {"model": of.model, "seed": of.seed, "steps": steps, "versions": {"model": code}},
                "evaluate": {"limit": of.limit},
            },
            created=of.created,
        )

    return make


@pytest.fixture
def standard() -> Callable[[float], dict[tuple[str, int], float]]:
    """All 15 x 5 cells with one score."""
    return lambda value: dict.fromkeys(STANDARD_CELLS, value)

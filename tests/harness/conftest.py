"""Small values for tests of the harness: a cell, a record, a learner on made-up features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.cell import Cell, DecodeOptions, EvaluateOptions, MeasureOptions, ModelOptions, TrainingJob, TrainOptions
from harness.inputs.visual_tokens import VisualTokens
from harness.protocols import ParameterGroups
from harness.record import Efficiency, Estimate, RunRecord
from harness.sample import Batch, Dataset, Sample

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
            "training": {
                "model": model,
                "seed": seed,
                "steps": fields.pop("steps", 1),
                "data": {"root": "tiny"},
                "versions": {"model": fields.pop("code", "")},
                "options": fields.pop("options", {}),
            },
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


class Line(nn.Module):
    """Fits y = w x + b on texts that are numbers; `limit` is how many samples fit into memory."""

    loss_is_mean_over_samples = True

    def __init__(self, limit: int = 10**9) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.vision, self.vision_frozen = None, True
        self.limit, self.sizes = limit, list[int]()
        self.language, self.new = nn.Linear(1, 1), nn.Linear(1, 1)
        self.untouched = nn.Parameter(torch.ones(3), requires_grad=False)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, batch: Batch) -> Tensor:
        self.sizes.append(len(batch))
        if len(batch) > self.limit:
            raise torch.OutOfMemoryError("planted")
        inputs = torch.tensor([[float(text or 0)] for text in batch.texts])
        outputs: Tensor = self.new(self.language(inputs)).squeeze(1)
        return outputs

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        mean: Tensor = ((self(batch) - torch.tensor(batch.targets)) ** 2).mean()
        return mean

    def predict(self, batch: Batch) -> list[float]:
        return [float(value) for value in self(batch)]

    def parameter_groups(self) -> ParameterGroups:
        named = [list(module.named_parameters()) for module in (self.language, self.new)]
        return ParameterGroups(language=named[0], vision=(), new=named[1])


@pytest.fixture
def line() -> type[Line]:
    """The smallest learner that trains."""
    return Line


@pytest.fixture
def visuals_of() -> Callable[..., VisualTokens]:
    """Let a learner see `count` samples of the line y = 2 x + 1."""

    def make(learner: Any, count: int = 10) -> VisualTokens:
        samples = tuple(Sample(str(n), Path(), 0.2 * n + 1, text=str(0.1 * n)) for n in range(count))
        return VisualTokens(learner, None, samples, None, "cpu")

    return make

"""A learner of two classes, and jobs that train it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.cell import Cell, Places, TrainOptions
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs import jobs, label_rounds
from harness.jobs.data_parallel import ONE_PROCESS
from harness.protocols import ParameterGroups
from harness.sample import Batch, Sample


class Chooser(nn.Module):
    """Tells two classes apart by texts that are numbers; it sees no images."""

    loss_is_mean_over_samples = True

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.vision, self.vision_frozen = None, True
        self.new = nn.Linear(1, 2)

    def forward(self, batch: Batch) -> Tensor:
        found: Tensor = self.new(torch.tensor([[float(text or 0)] for text in batch.texts]))
        return found

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return nn.functional.cross_entropy(self(batch), torch.tensor([target.label for target in batch.targets or ()]))

    def predict(self, batch: Batch) -> list[list[float]]:
        found: list[list[float]] = self(batch).softmax(dim=1).tolist()
        return found

    def parameter_groups(self) -> ParameterGroups:
        return ParameterGroups(language=(), vision=(), new=list(self.new.named_parameters()))


@pytest.fixture
def chooser() -> type[Any]:
    """The smallest learner of classes."""
    return Chooser


def numbered(number: int, label: int | None, **fields: Any) -> Sample:
    return Sample(str(number), Path(f"{number}.png"), SimpleNamespace(label=label), str(0.1 * number - 2), **fields)


class Classes:
    """Right answers, counted."""

    name = "classes"
    learnable_score = 0.5

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.split = samples

    def samples(self, data: Any, split: str) -> Sequence[Sample]:
        return self.split

    def moved(self, target: Any, affine: Any) -> Any:
        return target

    def validation_score(self, predictions: Any, targets: Any) -> float:
        return float(np.mean([np.argmax(p) == t.label for p, t in zip(predictions, targets, strict=True)]))


@pytest.fixture
def trained(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chooser: type[Any]
) -> Callable[..., tuple[dict[str, torch.Tensor], dict[str, Any]]]:
    """Train on samples with these labels, as a job does; gives its weights and what it tells."""

    def train(labels: Sequence[int], **options: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        samples = [numbered(number, label) for number, label in enumerate(labels)]
        monkeypatch.setattr(jobs, "training_split", lambda task, job: samples)
        for module in (jobs, label_rounds):
            monkeypatch.setattr(module, "build_learner", lambda *_: chooser())
            monkeypatch.setattr(
                module,
                "selection_tokens",
                lambda task, learner, *_: VisualTokens(
                    learner, None, tuple(numbered(n, int(n >= 20)) for n in (3, 15, 25, 37)), None, "cpu"
                ),
            )
        train = replace(TrainOptions(steps=25, batch_size=4, learning_rate=0.1, precision="fp32"), **options)
        job = replace(cell.training, train=train)
        places = Places(tmp_path, tmp_path / "training", None)
        task: Any = Classes(samples)
        found = jobs._trained(job, task, places, lambda *_: None, 1, ONE_PROCESS)
        return dict(found.state), dict(found.told)

    return train


@pytest.fixture
def classes() -> Classes:
    """A task of one class per image."""
    return Classes(())

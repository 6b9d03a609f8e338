"""Answers, measurements and conditions are made in the precision of the cell; trainings in fp16 scale their loss."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.cell import Cell, Places, TrainOptions
from harness.errors import TrainingDiverged
from harness.inputs.images import ImageSplit
from harness.jobs import jobs
from harness.jobs.loaded_model import LoadedModel
from harness.jobs.predict import SplitAnswers
from harness.jobs.profile_learner import _in_fp32
from harness.jobs.train import TrainingData, train_learner
from harness.protocols import Learner
from harness.record import Efficiency
from harness.sample import Preprocessing

KINDS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def computed_in(*_: Any) -> torch.dtype:
    """The number format of a product here."""
    return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.mark.parametrize("precision", list(KINDS))
def test_a_cell_is_answered_measured_and_perturbed_in_its_precision(
    precision: str, cell: Cell, line: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Any = precision
    cell = replace(cell, evaluate=replace(cell.evaluate, precision=asked, emap=0))
    images = ImageSplit((), {}, Preprocessing(1), None)
    seen: list[torch.dtype] = []
    monkeypatch.setattr(jobs, "load_trained", lambda *_: (None, line()))
    monkeypatch.setattr(jobs, "load_subject", lambda *_: (None, line(), 0.0))
    monkeypatch.setattr(jobs, "evaluation_images", lambda *_: images)
    monkeypatch.setattr(jobs, "answer_split", lambda *_: seen.append(computed_in()) or SplitAnswers())
    monkeypatch.setattr(
        jobs, "profile_learner", lambda *_, **__: seen.append(computed_in()) or Efficiency(notes={"a": 1})
    )
    places = Places(tmp_path, tmp_path, None)
    jobs.predict_job(cell, places, lambda *_: None)
    found = jobs.profile_job(cell, places, lambda *_: None)
    assert found.notes == {"a": 1, "numerics": {"precision": precision, "tf32": False}}
    subject: Any = SimpleNamespace(cell=cell)
    with LoadedModel(subject, line(), ()).precision:
        seen.append(computed_in())
    assert seen == [KINDS[precision]] * 3
    assert computed_in() == torch.float32


def test_features_are_kept_in_fp32_alone(
    cell: Cell, line: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Learner] = []
    monkeypatch.setattr(jobs, "open_visual_tokens", lambda learner, *_: opened.append(learner))
    images, places, learner = ImageSplit((), {}, Preprocessing(1), None), Places(tmp_path, tmp_path, None), line()
    jobs._evaluation_tokens(cell, learner, images, places, lambda *_: None)
    assert opened == [learner]
    reduced = replace(cell, evaluate=replace(cell.evaluate, precision="bf16"))
    assert jobs._evaluation_tokens(reduced, learner, images, places, lambda *_: None).features is None
    assert opened == [learner]


def test_what_latencies_are_divided_by_does_not_depend_on_the_precision() -> None:
    seen: list[torch.dtype] = []

    def workload() -> None:
        seen.append(computed_in())

    assert _in_fp32(workload, "cpu") is workload
    with torch.autocast("cpu", torch.bfloat16):
        _in_fp32(workload, "cpu")()
    assert seen == [torch.float32]


class Trained:
    """What a training in one precision leaves and says."""

    def __init__(self, line: Any, visuals_of: Any, precision: Any, factor: float = 1.0, steps: int = 60) -> None:
        self.learner, self.log = line(), list[Any]()
        plain = self.learner.loss
        self.learner.loss = lambda batch, generator: plain(batch, generator) * factor
        options = TrainOptions(steps=steps, precision=precision, learning_rate=0.02, dropout=0.0, batch_size=10)
        task: Any = SimpleNamespace(validation_score=lambda answers, targets: -abs(answers[0] - targets[0]))
        data = TrainingData(task, visuals_of(self.learner), visuals_of(self.learner))
        self.summary = train_learner(self.learner, data, options, 0, (lambda *_: None, self.log.append))

    @property
    def warnings(self) -> list[Any]:
        return [entry["warning"].rpartition("scaled by ")[2] for entry in self.log if "warning" in entry]


def test_fp16_trains_as_fp32_does(line: Any, visuals_of: Any) -> None:
    whole, half = (Trained(line, visuals_of, precision, 1 / 64) for precision in ("fp32", "fp16"))
    assert (whole.summary.precision, half.summary.precision) == ("fp32", "fp16")
    assert whole.warnings == half.warnings == []
    for plain, scaled in zip(whole.learner.parameters(), half.learner.parameters(), strict=True):
        assert scaled.dtype == torch.float32
        torch.testing.assert_close(scaled, plain, rtol=0.02, atol=0.01)
    assert not torch.equal(whole.learner.new.weight, half.learner.new.weight)


def test_a_step_whose_gradients_overflow_is_made_again_at_half_the_scale(line: Any, visuals_of: Any) -> None:
    trained = Trained(line, visuals_of, "fp16", factor=64.0)
    assert trained.warnings and {entry["step"] for entry in trained.log if "warning" in entry} == {1}
    expected = [f"{2**-n * 65536:g} from here" for n in range(1, len(trained.warnings) + 1)]
    assert trained.warnings == expected
    assert math.isfinite(trained.summary.final_loss or math.nan)
    assert not torch.equal(trained.learner.new.weight, line().new.weight)


def test_later_a_step_whose_gradients_overflow_is_left_out(line: Any, visuals_of: Any) -> None:
    """The third batch's gradients are a hundred thousand times the others': too large for the scale that held these."""
    calls = iter(range(9))

    def loss(self: Any, batch: Any, generator: Any) -> Any:
        return line.loss(self, batch, generator) / 4096 * (1e5 if next(calls) == 2 else 1)

    trained = Trained(type("Jumping", (line,), {"loss": loss}), visuals_of, "fp16", steps=6)
    (warning,) = [entry for entry in trained.log if "warning" in entry]
    assert warning["step"] == 3 and "the step is left out, losses are scaled by 32768 from here" in warning["warning"]
    assert next(calls) == 6, "six steps, none of them twice"


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_gradients_that_are_finite_at_no_scale_stop_the_training(steps: int, line: Any, visuals_of: Any) -> None:
    def loss(self: Any, batch: Any, generator: Any) -> Any:
        return torch.sqrt(self.new.weight.sum() * 0.0)

    broken = type("Broken", (line,), {"loss": loss})
    with pytest.raises(TrainingDiverged, match=r"gradient's norm.*train.precision=fp32"):
        Trained(broken, visuals_of, "fp16", steps=steps)

"""Whatever mode a plugin leaves its learner in, frozen towers answer as in evaluation and their weights stay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from harness.cell import Cell, Places, TrainOptions
from harness.errors import OutOfMemory, PluginError
from harness.inputs.modes import for_evaluation, for_training
from harness.jobs import built_learner, jobs
from harness.protocols import ParameterGroups
from harness.sample import Batch, Dataset, Preprocessing, Sample


class OutsiderTower(nn.Module):
    """As an author would write it: batch norm and dropout, and no thought of modes."""

    preprocessing, width, key = Preprocessing(8), 6, "outsider's tower"

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.convolution = nn.Conv2d(3, 6, 4, stride=4)
        self.norm = nn.BatchNorm2d(6)
        self.dropout = nn.Dropout(0.5)

    def forward(self, pixels: Tensor) -> Tensor:
        maps: Tensor = self.dropout(self.norm(self.convolution(pixels.float() / 255)))
        return maps.flatten(2).transpose(1, 2)


class OutsiderLearner(nn.Module):
    """A head with dropout and batch norm of its own on the tower; notes the modes that it is called in."""

    def __init__(self, frozen: bool = True, trains: str = "head") -> None:
        super().__init__()
        self.vision, self.vision_frozen, self.trains = OutsiderTower(), frozen, trains
        self.head = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
        self.modes: list[tuple[str, bool, bool]] = []

    def _scores(self, batch: Batch, what: str) -> Tensor:
        self.modes.append((what, self.head.training, self.vision.training))
        assert batch.visual is not None
        scores: Tensor = self.head(batch.visual.mean(dim=1))
        return scores

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return nn.functional.cross_entropy(self._scores(batch, "loss"), torch.tensor(batch.targets))

    def predict(self, batch: Batch) -> list[list[float]]:
        found: list[list[float]] = self._scores(batch, "predict").softmax(dim=1).tolist()
        return found

    def parameter_groups(self) -> ParameterGroups:
        part = {"head": (), "convolution": self.vision.convolution.named_parameters()}[self.trains]
        return ParameterGroups((), list(part), list(self.head.named_parameters()))


class OutsiderFitted(OutsiderLearner):
    """Remembers the mean tokens of each class."""

    def fit(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            self.modes.append(("fit", self.head.training, self.vision.training))
            assert batch.visual is not None
            self.means = batch.visual.mean(dim=(0, 1))

    def parameter_groups(self) -> ParameterGroups:
        return ParameterGroups((), (), ())


class OutsiderTask:
    learnable_score = 0.9

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.stored = samples

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        return self.stored

    def spec(self, data: Dataset, training: Any) -> Any:
        return SimpleNamespace(answers="labels", classes=None)

    def validation_score(self, predictions: Sequence[Sequence[float]], targets: Sequence[int]) -> float:
        return float(np.mean([np.argmax(p) == t for p, t in zip(predictions, targets, strict=True)]))


class Study:
    """Runs jobs with learners of an outsider, each in a training folder of its own and with one cache."""

    def __init__(self, cell: Cell, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        generator = np.random.default_rng(0)
        samples = []
        for number in range(24):
            pixels = generator.integers(0, 128, (8, 8, 3), np.uint8) + np.uint8(100 * (number % 2))
            Image.fromarray(pixels).save(folder / f"{number}.png")
            samples.append(Sample(str(number), folder / f"{number}.png", number % 2))
        train = TrainOptions(steps=6, batch_size=8, validations=2, gate_steps=4, precision="fp32")
        self.cell = replace(cell, training=replace(cell.training, train=train))
        self.built: list[OutsiderLearner] = []
        for module in (jobs, built_learner):
            monkeypatch.setattr(module, "load_task", lambda name: OutsiderTask(samples))
        monkeypatch.setattr(jobs, "attainable_score", lambda *_: None)

    def use(self, learner: type[OutsiderLearner] = OutsiderLearner, **options: Any) -> None:
        def build(spec: Any, context: Any) -> OutsiderLearner:
            self.built.append(learner(**options))
            return self.built[-1].train()

        model = SimpleNamespace(build=build, fused=False)
        for module in (jobs, built_learner):
            self.monkeypatch.setattr(module, "load_model", lambda name: model)

    def places(self, name: str) -> Places:
        return Places(self.folder / "cache", self.folder / name, None)

    def train(self, name: str) -> dict[str, Any]:
        return jobs.train_job(self.cell.training, self.places(name), lambda *_: None)

    def predict(self, name: str) -> list[Any]:
        found = jobs.predict_job(self.cell, self.places(name), lambda *_: None)
        return [outcome.prediction for outcome in found.outcomes]

    def features(self) -> set[str]:
        files = sorted((self.folder / "cache/features").glob("*.npy"))
        return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def study(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return Study(cell, tmp_path, monkeypatch)


def pristine() -> dict[str, Tensor]:
    return {f"vision.{name}": tensor for name, tensor in OutsiderTower().state_dict().items()}


def test_features_are_those_of_a_tower_in_evaluation_mode(study: Study) -> None:
    study.use()
    study.train("one")
    (path,) = (study.folder / "cache/features").glob("*.npy")
    pixels = [np.asarray(Image.open(study.folder / f"{n}.png")).transpose(2, 0, 1) for n in range(24)]
    with torch.no_grad():
        wanted = OutsiderTower().eval()(torch.from_numpy(np.stack(pixels)))
    np.testing.assert_allclose(np.load(path), wanted.numpy(), atol=1e-6)


def test_the_frozen_tower_stays_as_it_was_and_the_head_trains_with_dropout(study: Study) -> None:
    study.use()
    study.train("one")
    checkpoint = load_file(study.folder / "one/checkpoint.safetensors")
    for name, tensor in pristine().items():
        torch.testing.assert_close(checkpoint[name], tensor, rtol=0, atol=0)
    assert float(checkpoint["head.1.num_batches_tracked"]) > 0, "the head's own batch norm trains as usual"
    trained, gate = study.built
    assert set(trained.modes + gate.modes) == {("loss", True, False), ("predict", False, False)}


def test_scores_do_not_depend_on_what_came_first(study: Study, tmp_path: Path) -> None:
    study.use()
    first = study.train("one")
    answers, features = study.predict("one"), study.features()
    again = study.train("two")  # features are there
    assert again["checkpoint_sha256"] == first["checkpoint_sha256"]
    assert study.predict("two") == answers
    for path in (tmp_path / "cache/features").iterdir():
        path.unlink()
    assert study.predict("one") == answers  # features are made while predicting
    assert study.features() == features


def test_a_tower_too_large_to_keep_is_in_evaluation_mode_too(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study.use()
    first = study.train("kept")
    monkeypatch.setattr("harness.inputs.array_file.FREE_DISK_SHARE", 0.0)
    for path in (study.folder / "cache/features").iterdir():
        path.unlink()
    second = study.train("not kept")
    assert second["final_loss"] == pytest.approx(first["final_loss"], rel=1e-4)


def test_a_fitted_learner_fits_in_evaluation_mode(study: Study) -> None:
    study.use(OutsiderFitted)
    study.train("fitted")
    (learner,) = study.built
    assert set(learner.modes) == {("fit", False, False)}
    assert not learner.training


def test_a_tower_that_is_trained_trains_as_usual(study: Study) -> None:
    study.use(frozen=False, trains="convolution")
    study.train("trained")
    checkpoint = load_file(study.folder / "trained/checkpoint.safetensors")
    assert not torch.equal(checkpoint["vision.convolution.weight"], pristine()["vision.convolution.weight"])
    assert float(checkpoint["vision.norm.num_batches_tracked"]) > 0
    assert ("loss", True, True) in study.built[0].modes
    assert not (study.folder / "cache/features").exists()


def test_a_tower_is_not_frozen_and_trained_at_once(study: Study) -> None:
    study.use(frozen=True, trains="convolution")
    with pytest.raises(PluginError, match=r"vision_frozen=True.*2 parameters of the tower \(first: convolution.weight"):
        study.train("both")


@pytest.mark.parametrize("said", [True, False])
def test_a_killed_training_goes_on_in_parts_only_where_it_stays_the_same(said: bool, study: Study) -> None:
    class Said(OutsiderLearner):
        loss_is_mean_over_samples = said

    study.use(Said)
    job, places = study.cell.training, study.places("killed")
    if said:
        trained = jobs.train_in_parts_job(job, places, lambda *_: None)
        assert (trained["accumulation"], trained["restarted_in_parts"]) == (4, True)
        return
    with pytest.raises(OutOfMemory, match=r"The system ended the training.*Said is no mean.*train.accumulation=4"):
        jobs.train_in_parts_job(job, places, lambda *_: None)


def test_two_towers_of_one_name_and_other_weights_share_no_features(study: Study) -> None:
    class Other(OutsiderLearner):
        def __init__(self) -> None:
            super().__init__()
            with torch.no_grad():
                self.vision.convolution.weight.mul_(2)

    study.use()
    study.train("one")
    study.use(Other)
    study.train("other")
    assert len(study.features()) == 2


def test_a_tower_that_is_no_module_has_no_mode() -> None:
    learner: Any = nn.Module()
    learner.vision, learner.vision_frozen = object(), True
    for_training(learner)
    assert learner.training
    for_evaluation(learner)
    assert not learner.training

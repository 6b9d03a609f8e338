"""Checkpoints that do not fit are refused with their path, the reason and the remedy."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.cell import Cell, EvaluateOptions, MeasureOptions, Places
from harness.errors import CheckpointError, OutOfMemory
from harness.jobs import built_learner, jobs
from harness.jobs.checkpoints import read_checkpoint, write_checkpoint
from harness.jobs.jobs import _additive, _gate, _profile_with_retry
from harness.jobs.train import trained_state
from harness.record import Efficiency
from harness.records.trainings import read_training, why_unusable


@pytest.fixture
def checkpoint(tmp_path: Path, line: Any) -> tuple[Path, str]:
    path = tmp_path / "fingerprint" / "checkpoint.safetensors"
    return path, write_checkpoint(trained_state(line()), path)


def test_a_checkpoint_comes_back_whole(checkpoint: tuple[Path, str], line: Any) -> None:
    learner = line()
    with torch.no_grad():
        learner.new.weight += 1
    read_checkpoint(learner, *checkpoint)
    torch.testing.assert_close(learner.new.weight, line().new.weight)


def test_a_checkpoint_is_not_held_in_memory_to_be_digested(
    checkpoint: tuple[Path, str], line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checkpoint[1] == hashlib.sha256(checkpoint[0].read_bytes()).hexdigest()
    monkeypatch.delattr(Path, "read_bytes")
    read_checkpoint(line(), *checkpoint)
    assert write_checkpoint(trained_state(line()), checkpoint[0]) == checkpoint[1]


@pytest.mark.parametrize("damage", ["missing", "other bytes", "truncated", "pickle", "shapes", "names"])
def test_a_checkpoint_that_does_not_fit_is_refused(damage: str, checkpoint: tuple[Path, str], line: Any) -> None:
    path, digest = checkpoint
    state = dict(trained_state(line()))
    if damage == "missing":
        path.unlink()
    elif damage == "other bytes":
        path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    elif damage in ("truncated", "pickle"):
        path.write_bytes(path.read_bytes()[:20] if damage == "truncated" else pickle.dumps(state))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    elif damage == "shapes":
        digest = write_checkpoint({**state, "new.bias": torch.zeros(3)}, path)
    else:
        digest = write_checkpoint({**state, "more": torch.zeros(3)}, path)
    messages = {
        "missing": "is not there",
        "other bytes": "has sha256 .*, its training wrote",
        "truncated": "is not a safetensors file",
        "pickle": "is not a safetensors file",
        "shapes": "does not fit the model: 1 tensors, first 'new.bias'",
        "names": "does not fit the model: 1 tensors, first 'more'",
    }
    with pytest.raises(CheckpointError, match=f"{messages[damage]}.*Delete {path.parent} and run again"):
        read_checkpoint(line(), path, digest)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "null", '{"skipped": [], "seconds": 1}', "\x00"])
def test_a_broken_summary_is_named(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "training.json").write_text(content)
    with pytest.raises(CheckpointError, match=rf"training.json is not a training's summary.*Delete {tmp_path}"):
        read_training(tmp_path)


def test_a_whole_summary_is_read(tmp_path: Path) -> None:
    content = {"checkpoint_sha256": "a", "skipped": [], "seconds": 1.5}
    (tmp_path / "training.json").write_text(json.dumps(content))
    assert read_training(tmp_path) == content


def training_in(folder: Path, content: bytes = b"weights") -> Path:
    """A folder with a checkpoint and the summary that names it."""
    folder.mkdir(parents=True)
    (folder / "checkpoint.safetensors").write_bytes(content)
    summary = {"checkpoint_sha256": hashlib.sha256(content).hexdigest(), "skipped": [], "seconds": 1.0}
    (folder / "training.json").write_text(json.dumps(summary))
    return folder


@pytest.mark.parametrize("file", ["checkpoint.safetensors", "training.json"])
def test_what_a_model_builds_on_must_be_what_was_trained(file: str, cell: Cell, tmp_path: Path) -> None:
    folder = training_in(tmp_path / "prerequisite")
    assert why_unusable(folder) is None
    path = folder / file
    content = path.read_bytes()
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        reason = why_unusable(folder)
        if file == "checkpoint.safetensors":
            assert reason is not None and "has sha256" in reason
    path.write_bytes(content[:4])
    places = Places(tmp_path, tmp_path / "training", folder)
    with pytest.raises(CheckpointError, match=rf"{path.name}.*Delete {folder} and run again"):
        built_learner.prerequisite_digest(places)
    path.unlink()
    assert path.name in str(why_unusable(folder))


def test_a_training_upon_another_checkpoint_is_refused(
    cell: Cell, tmp_path: Path, line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(tmp_path, tmp_path / "training", training_in(tmp_path / "prerequisite"))
    training_in(places.training)
    summary = json.loads((places.training / "training.json").read_text())
    (places.training / "training.json").write_text(json.dumps({**summary, "prerequisite_sha256": "other"}))
    monkeypatch.setattr(built_learner, "load_task", lambda name: None)
    monkeypatch.setattr(built_learner, "build_learner", lambda *_: line())
    with pytest.raises(CheckpointError, match=rf"was trained on another checkpoint.*Delete {places.training}"):
        built_learner.load_trained(cell.training, places)


def test_measuring_takes_smaller_batches_when_memory_runs_out() -> None:
    notices: list[str] = []

    def attempt(options: MeasureOptions) -> Efficiency:
        if options.throughput_batch > 8:
            raise torch.OutOfMemoryError("planted")
        return Efficiency(throughput_batch=options.throughput_batch)

    forgotten: list[int] = []
    found = _profile_with_retry(
        MeasureOptions(), attempt, lambda: forgotten.append(len(notices)), lambda what, *_: notices.append(what)
    )
    assert found.throughput_batch == 8
    assert [notice.rpartition(" ")[2] for notice in notices] == ["16", "8"]
    assert forgotten == [0, 1]


def test_measuring_one_sample_must_fit() -> None:
    def attempt(options: MeasureOptions) -> Efficiency:
        raise MemoryError

    with pytest.raises(OutOfMemory, match="measuring one sample"):
        _profile_with_retry(MeasureOptions(throughput_batch=2), attempt, silent, silent)


def silent(*_: Any) -> None:
    return None


class LineTask:
    """Ranks by the mean squared error below 0: 0 is a perfect fit."""

    learnable_score = -0.01
    spec_of: dict[str, str] = {"answers": "labels"}  # noqa: RUF012

    def validation_score(self, predictions: list[float], targets: list[float]) -> float:
        return -sum((p - t) ** 2 for p, t in zip(predictions, targets, strict=True)) / len(targets)

    def spec(self, data: Any, training: Any) -> Any:
        return SimpleNamespace(answers=self.spec_of["answers"])


@pytest.fixture
def gate(cell: Cell, line: Any, visuals_of: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the gate with a learner of one's own: `gate(learner=None, count=40, **train)`; keeps what was built."""
    built: list[Any] = []

    def run(
        make: Any = None, count: int = 40, attainable: float | None = None, **options: Any
    ) -> tuple[dict[str, Any], list[Any]]:
        def build(job: Any, *_: Any) -> Any:
            learner = (make or line)()
            built.append(SimpleNamespace(job=job, learner=learner))
            return learner

        trained = (make or line)()
        train = replace(
            cell.training.train, **{"learning_rate": 0.1, "language_learning_rate": 0.1, "gate_steps": 300, **options}
        )
        job = replace(cell.training, train=train)
        images: Any = SimpleNamespace(samples=())
        monkeypatch.setattr(jobs, "attainable_score", lambda *_: attainable)
        task: Any = LineTask()
        found = _gate(job, task, images, visuals_of(trained, count), build, silent)
        assert not built or built[0].learner is not trained, "the checkpoint is left as it is"
        return found, built

    return run


def test_a_model_that_can_fit_32_samples_is_learnable(gate: Any) -> None:
    found, (built,) = gate()
    assert found["learnable"] is True
    assert -0.01 <= found["gate_score"] <= 0
    assert max(built.learner.sizes) == 32, "of 40 samples"


def test_a_model_that_cannot_is_not(gate: Any, line: Any) -> None:
    class Deaf(line):  # type: ignore[misc]
        def loss(self, batch: Any, generator: Any) -> Any:
            return 0 * super().loss(batch, generator)

    found, _ = gate(Deaf)
    assert found["learnable"] is False
    assert found["gate_score"] < -0.01


def test_no_more_is_asked_than_the_inputs_allow(gate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(LineTask):
        learnable_score = 0.9

        def validation_score(self, predictions: Any, targets: Any) -> float:
            return 0.55

    monkeypatch.setitem(globals(), "LineTask", Deaf)
    assert gate(attainable=None)[0]["learnable"] is False
    assert gate(attainable=0.62)[0]["learnable"] is False  # 0.9 of 0.62 is 0.558
    assert gate(attainable=0.61)[0] == {"gate_score": 0.55, "gate_attainable": 0.61, "learnable": True}


def test_nothing_holds_the_model_of_the_gate_back(gate: Any) -> None:
    hindered = {"dropout": 0.5, "weight_decay": 3.0, "beta": 100.0, "gamma": 100.0, "patience": 1, "limit": 3}
    found, (built,) = gate(**hindered, batch_size=64)
    assert found == gate()[0]
    train = built.job.train
    assert (train.steps, train.batch_size, train.dropout, train.weight_decay) == (300, 32, 0.0, 0.0)
    assert (train.beta, train.gamma, train.patience, train.limit) == (0.0, 0.0, 0, None)


def test_small_batches_of_the_budget_are_kept(gate: Any) -> None:
    _, (built,) = gate(batch_size=8)
    assert built.job.train.batch_size == 8


def test_the_gate_is_asked_for_and_needs_something_to_train(gate: Any, line: Any) -> None:
    class Fits(line):  # type: ignore[misc]
        def fit(self, batches: Any) -> None:
            raise AssertionError

    class Finished(line):  # type: ignore[misc]
        def parameter_groups(self) -> Any:
            return SimpleNamespace(language=(), vision=(), new=())

    assert gate(gate_steps=0) == ({}, [])
    assert gate(Fits) == ({}, [])
    assert gate(Finished)[0] == {}, "a zero-shot model is not said to be unable to learn"
    assert gate(count=5)[0]["learnable"] is True


@pytest.mark.parametrize(
    ("changes", "projected"),
    [
        ({}, 4), ({"emap": 0}, 0), ({"control": "C1"}, 0), ({"fused": False}, 0), ({"answers": "captions"}, 0),
        ({"text": None}, 0), ({"vision": None}, 0),
    ],
)  # fmt: skip
def test_only_fused_classifiers_of_image_and_text_are_projected(
    changes: dict[str, Any], projected: int, cell: Cell, line: Any, visuals_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sure(line):  # type: ignore[misc]
        def predict(self, batch: Any) -> Any:
            return [[0.25, 0.75]] * len(batch)

    learner = Sure()
    learner.vision = changes.get("vision", SimpleNamespace())
    visual_tokens = visuals_of(learner, 9)
    if "text" in changes:
        visual_tokens = replace(
            visual_tokens, samples=tuple(replace(sample, text=None) for sample in visual_tokens.samples)
        )
    training = replace(cell.training, control=changes.get("control"))
    asked = replace(cell, training=training, evaluate=EvaluateOptions(emap=changes.get("emap", 4)))
    monkeypatch.setattr(jobs, "load_model", lambda name: SimpleNamespace(fused=changes.get("fused", True)))
    monkeypatch.setattr(LineTask, "spec_of", {"answers": changes.get("answers", "labels")})
    task: Any = LineTask()
    outcomes = _additive(asked, task, learner, visual_tokens, silent)
    assert len(outcomes) == projected
    assert all(outcome.prediction == pytest.approx([0.25, 0.75]) for outcome in outcomes)

"""Models that learn nothing: no training image is opened, nothing is built twice, and no gate is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file

from harness.cell import Cell, Places
from harness.jobs import built_learner, jobs
from harness.jobs.built_learner import load_trained
from harness.jobs.jobs import train_job
from harness.jobs.train import learns, trained_state
from harness.records.trainings import read_training

Trained = Callable[..., tuple[dict[str, Any], Places]]


def groups_of(**named: Any) -> Any:
    return SimpleNamespace(**{"language": (), "vision": (), "new": (), **named})


@pytest.fixture
def trained(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """Train a learner class: `trained(make, evaluates_only=…)`; opening an image fails, buildings are counted."""

    def run(make: Any, *, evaluates_only: bool = False) -> tuple[dict[str, Any], Places]:
        def build(*_: Any) -> Any:
            builds.append(1)
            return make()

        def opened(*_: Any) -> Any:
            raise AssertionError("the images were opened")

        builds: list[int] = []
        task = SimpleNamespace(samples=lambda data, split: (), spec=lambda data, samples: None)
        for module in (jobs, built_learner):
            monkeypatch.setattr(module, "load_task", lambda name: task)
            monkeypatch.setattr(module, "job_model", lambda job: SimpleNamespace(evaluates_only=evaluates_only))
            monkeypatch.setattr(module, "build_learner", build)
        monkeypatch.setattr(jobs, "images_for", opened)
        job = replace(cell.training, train=replace(cell.training.train, gate_steps=3))
        places = Places(tmp_path, tmp_path / "training", None)
        content = train_job(job, places, lambda *_: None)
        load_trained(job, places)
        return {**content, "built": len(builds)}, places

    return run


def test_a_learner_without_parameters_to_train_is_built_once_a_job(trained: Trained, line: Any) -> None:
    class Finished(line):  # type: ignore[misc]
        def parameter_groups(self) -> Any:
            return groups_of()

    content, places = trained(Finished)
    assert content["built"] == 2, "in training, and where the training is loaded"
    assert (content["steps"], content["samples"], content["skipped"]) == (0, {}, [])
    assert "learnable" not in content
    assert load_file(places.training / "checkpoint.safetensors").keys() == trained_state(line()).keys()


def test_a_model_that_says_so_is_built_only_where_it_answers(trained: Trained, line: Any) -> None:
    content, places = trained(line, evaluates_only=True)
    assert content["built"] == 1
    assert load_file(places.training / "checkpoint.safetensors") == {}
    assert read_training(places.training)["checkpoint_sha256"] == content["checkpoint_sha256"]


def test_a_learner_that_fits_or_trains_learns(trained: Trained, line: Any) -> None:
    class Fits(line):  # type: ignore[misc]
        def parameter_groups(self) -> Any:
            return groups_of()

        def fit(self, batches: Any) -> None:
            """Take them."""

    class Sees(line):  # type: ignore[misc]
        def parameter_groups(self) -> Any:
            return groups_of(vision=[("weight", self.new.weight)])

    assert learns(Fits()) and learns(Sees()) and learns(line())
    for make in (Fits, Sees):
        with pytest.raises(AssertionError, match="the images were opened"):
            trained(make)

"""What a learner derives from the training split is kept beside its checkpoint, so that loading reads no sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cell import Cell, Places, TrainingJob
from harness.errors import CheckpointError
from harness.inputs.images import ImageSplit
from harness.jobs import built_learner, jobs
from harness.jobs.built_learner import load_trained
from harness.jobs.jobs import train_job
from harness.protocols import Derived
from harness.records.trainings import DERIVED, SUMMARY
from harness.sample import OnDemand, Preprocessing, Sample, TaskSpec, targets_of, texts_of

SAMPLES = [Sample(str(n), Path(), 0.2 * n + 1, text=str(0.1 * n)) for n in range(4)]


def test_a_value_is_made_once_and_is_what_json_gives_back() -> None:
    calls: list[int] = []

    def make() -> Any:
        calls.append(1)
        return {"words": ("a", "b")}

    derived = Derived({"known": [1]})
    assert derived.get("known", make) == [1] and not calls
    assert derived.get("new", make) == derived.get("new", make) == {"words": ["a", "b"]} and len(calls) == 1
    assert derived.to_json() == {"known": [1], "new": {"words": ["a", "b"]}}
    for unfit in (object(), float("nan")):
        with pytest.raises((TypeError, ValueError)):
            derived.get("unfit", lambda unfit=unfit: unfit)


def test_samples_on_demand_are_read_when_something_is_asked_of_them() -> None:
    reads: list[int] = []

    def read() -> Sequence[Sample]:
        reads.append(1)
        return [*SAMPLES, replace(SAMPLES[0], text=None)]

    samples = OnDemand(read)
    targets, texts = targets_of(samples), texts_of(samples)
    assert not reads
    assert tuple(targets) == (*targets_of(SAMPLES), 1.0) and targets[1:3] == (1.2, 1.4) and len(targets) == 5
    assert tuple(texts) == texts_of(SAMPLES) == ("0.0", "0.1", "0.2", "0.30000000000000004")
    assert len(reads) == 1


@pytest.fixture
def training(
    cell: Cell, tmp_path: Path, line: Any, visuals_of: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[TrainingJob, Places, list[int]]:
    """A finished training of a model that derives how many targets there are; with how often samples were read."""
    reads: list[int] = []

    def samples(data: Any, split: str) -> Sequence[Sample]:
        reads.append(1)
        return SAMPLES

    def build(spec: TaskSpec, context: Any) -> Any:
        learner = line()
        learner.known = context.derived.get("targets", lambda: len(spec.training_targets))
        return learner

    task = SimpleNamespace(
        samples=samples,
        spec=lambda data, training: TaskSpec("line", targets_of(training)),
        validation_score=lambda predictions, targets: 0.0,
        learnable_score=1.0,
    )
    for module in (jobs, built_learner):
        monkeypatch.setattr(module, "load_task", lambda name: task)
        monkeypatch.setattr(module, "job_model", lambda job: SimpleNamespace(build=build))
    monkeypatch.setattr(
        jobs, "images_for", lambda learner, samples, *_: ImageSplit(tuple(samples), {}, Preprocessing(1), None)
    )
    job = replace(cell.training, train=replace(cell.training.train, steps=2, batch_size=2, gate_steps=1))
    places = Places(tmp_path, tmp_path / "training", None)
    train_job(job, places, lambda *_: None)
    reads.clear()
    return job, places, reads


Training = tuple[TrainingJob, Places, list[int]]


def test_a_training_is_loaded_without_reading_a_sample(training: Training) -> None:
    job, places, reads = training
    assert json.loads((places.training / DERIVED).read_text()) == {"targets": 4}
    learner: Any = load_trained(job, places)[1]
    assert learner.known == 4 and not reads


def _forget(places: Places) -> None:
    """Make a training folder of an earlier version."""
    summary = json.loads((places.training / SUMMARY).read_text())
    del summary["derived_sha256"]
    (places.training / SUMMARY).write_text(json.dumps(summary))
    (places.training / DERIVED).unlink()


def test_a_training_that_kept_nothing_reads_its_samples(training: Training) -> None:
    job, places, reads = training
    _forget(places)
    learner: Any = load_trained(job, places)[1]
    assert learner.known == 4 and len(reads) == 1


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text('{"targets": 5}')])
def test_what_is_not_what_was_kept_is_refused(damage: Callable[[Path], Any], training: Training) -> None:
    job, places, _ = training
    damage(places.training / DERIVED)
    with pytest.raises(CheckpointError, match=rf"derived.json is not what.*Delete {places.training}"):
        load_trained(job, places)

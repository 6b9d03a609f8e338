"""Training on one domain after the other: what is parted, replayed, kept and scored."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.cell import DecodeOptions, Domain, ModelOptions, TrainingJob, TrainOptions
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.sequence import DomainSequence, Reading, average_weights, domain_parts
from harness.jobs.train import trained_state
from harness.sample import Dataset, Sample
from harness.stats.resampling import MeanStatistics

DATA = Dataset("d", Path(), "0" * 64, "x", ("train", "val", "test", "far"), "train", "val", "test")
DOMAINS = (Domain("base", DATA, "train", "val", "test"), Domain("far", DATA, "far", "far", "far"))
TRAIN = TrainOptions(steps=30, batch_size=8, learning_rate=0.1, language_learning_rate=0.1, precision="fp32")


def samples_of(data: Any, split: str) -> list[Sample]:
    """On split `far` the line is another one; two questions an image."""
    slope = -2.0 if split == "far" else 2.0
    return [Sample(f"{split}{n}", Path(f"{n // 2}.png"), slope * 0.1 * n + 1, text=str(0.1 * n)) for n in range(80)]


class Distance:
    """A task and its scorer in one: the squared distance from what is right, below 0."""

    metrics = ("closeness",)

    def samples(self, data: Any, split: str) -> list[Sample]:
        return samples_of(data, split)

    def chance(self, data: Any, samples: Any) -> float:
        return 0.25

    def shifts(self, data: Any) -> dict[str, str]:
        return {}

    def validation_score(self, predictions: Any, targets: Any) -> float:
        return -sum((p - t) ** 2 for p, t in zip(predictions, targets, strict=True))

    def score_condition(self, samples: Any, outcomes: Any) -> dict[str, Any]:
        right = {sample.sample_id: sample.target for sample in samples}
        far = [-abs(float(outcome.prediction) - right[outcome.sample_id]) for outcome in outcomes]
        return {"closeness": MeanStatistics(torch.tensor(far).double().numpy())}


class Sequence(DomainSequence):
    """One that is scored without a data set."""

    @contextmanager
    def _scorer(self, domain: Any, parts: Any) -> Any:
        yield self.task


def sequence(line: Any, **train: Any) -> Sequence:
    learner = line()
    job: Any = SimpleNamespace(domains=DOMAINS, train=replace(TRAIN, **train), seed=0)

    def read(samples: Any) -> VisualTokens:
        return VisualTokens(learner, None, tuple(samples), None, "cpu")

    return Sequence(Distance(), job, Path(), learner, Reading(read, read), lambda *_: None)  # type: ignore[arg-type]


def test_one_split_is_parted_by_image_and_alike_for_all() -> None:
    found = domain_parts(Distance(), DOMAINS[1], TRAIN)  # type: ignore[arg-type]
    images = [{sample.image for sample in part} for part in (found.training, found.selection, found.test)]
    assert set.union(*images) == {sample.image for sample in samples_of(None, "far")}
    assert sum(map(len, images)) == 40, "no image is in two parts"
    assert all(images) and len(images[0]) > len(images[2]) > len(images[1]) > 0
    assert found == domain_parts(Distance(), DOMAINS[1], TRAIN)  # type: ignore[arg-type]
    few = domain_parts(Distance(), DOMAINS[1], replace(TRAIN, limit=3, validation_limit=2, sequence_limit=4))  # type: ignore[arg-type]
    assert [len(part) for part in (few.training, few.selection, few.test)] == [3, 2, 4]
    whole = domain_parts(Distance(), DOMAINS[0], TRAIN)  # type: ignore[arg-type]
    assert [part[0].sample_id for part in (whole.training, whole.selection, whole.test)] == ["train0", "val0", "test0"]


def test_every_domain_is_scored_before_and_after_each_stage_and_replay_keeps_the_first(line: Any) -> None:
    found = {}
    for replay in (0.0, 0.5):
        each = sequence(line, replay=replay)
        each.score()
        each.train_on(0)  # stands for the training before the sequence
        each.stages.clear()
        found[replay] = each.go_on()
    plain = found[0.0]
    assert [len(row) for row in plain["scores"]] == [2, 2, 2] and [d["name"] for d in plain["domains"]] == [
        "base",
        "far",
    ]
    base = [row[0]["value"] for row in plain["scores"]]
    assert base[1] > base[0] and base[2] < base[1], "learnt, then forgotten"
    far = [row[1]["value"] for row in plain["scores"]]
    assert far[2] > far[1]
    values = [float(word) for word in plain["scores"][2][0]["per_sample"].split()]
    assert sum(values) / len(values) == pytest.approx(base[2], abs=1e-5)
    assert plain["domains"][0]["chance"] == 0.25 and plain["domains"][0]["clusters"] == ""
    assert plain["stages"][0]["replayed"] == 0 and found[0.5]["stages"][0]["replayed"] == plain["stages"][0]["trained"]
    assert found[0.5]["scores"][2][0]["value"] > base[2], "what is replayed is kept better"


def test_keeping_all_or_pulling_hard_leaves_the_weights(line: Any) -> None:
    for train in ({"keep": 0.999999}, {"pull": 9.9}):
        each = sequence(line, **train)
        before = {name: tensor.detach().clone() for name, tensor in trained_state(each.learner).items()}
        each.train_on(1)
        moved = sequence(line)
        moved.train_on(1)
        for name, tensor in trained_state(each.learner).items():
            if tensor.ndim > 1:
                far = (trained_state(moved.learner)[name] - before[name]).norm()
                assert (tensor - before[name]).norm() < 0.5 * far, train


def test_each_stage_is_trained_on_its_own_domain_without_labels(
    chooser: Any, classes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = [
        Sample(str(n), Path(f"{n}.png"), SimpleNamespace(label=int(n >= 40)), text=str(0.1 * n - 4)) for n in range(80)
    ]
    monkeypatch.setattr(classes, "split", split)
    found = []
    for unlabelled, scrambled in ((0.0, False), (0.6, False), (0.6, True)):
        learner = chooser()
        each = sequence(chooser, limit=8, unlabelled=unlabelled)
        each.task, each.learner = classes, learner
        parts = domain_parts(classes, DOMAINS[1], each.job.train)
        labelled = {sample.sample_id for sample in parts.training}
        if scrambled:  # labels that are hidden
            monkeypatch.setattr(classes, "split", [s if s.sample_id in labelled else replace(
                s, target=SimpleNamespace(label=1 - s.target.label)) for s in split])  # fmt: skip
            parts = domain_parts(classes, DOMAINS[1], each.job.train)
        each.parts = [parts, replace(parts, selection=parts.training)]
        each.train_on(1)
        found.append(learner.new.weight.detach().clone())
        rest = len(parts.whole) - len(parts.training)
        assert each.stages[0].get("unlabelled") == (rest if unlabelled else None) and rest > 20
    assert not torch.equal(found[0], found[1]), "they are trained on"
    assert torch.equal(found[1], found[2]), "and their labels move nothing"


def test_weights_are_averaged_by_hand(line: Any) -> None:
    learner = line()
    before = {name: torch.zeros_like(tensor) for name, tensor in trained_state(learner).items()}
    now = {name: tensor.detach().clone() for name, tensor in trained_state(learner).items()}
    average_weights(learner, before, 0.75)
    for name, tensor in trained_state(learner).items():
        torch.testing.assert_close(tensor, 0.25 * now[name])


def test_a_job_is_named_by_its_domains_wherever_they_lie() -> None:
    job = TrainingJob(
        "t", DATA, "m", None, 0, "cpu", ModelOptions(), TrainOptions(), DecodeOptions(), "fail", {}, {}
    )  # fmt: skip
    other = replace(job, domains=DOMAINS, train=replace(job.train, sequence="base,far"))
    moved = tuple(replace(domain, data=replace(DATA, root=Path("/elsewhere"))) for domain in DOMAINS)
    assert job.fingerprint != other.fingerprint == replace(other, domains=moved).fingerprint

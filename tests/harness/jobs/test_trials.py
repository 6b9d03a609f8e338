"""Trials: every arm tries the same points, the best on the selection split counts, and a killed job goes on."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.cell import Cell, Places, TrainingJob, TrainOptions
from harness.errors import TrainingDiverged, UsageError
from harness.inputs.images import ImageSplit
from harness.jobs import built_learner, jobs
from harness.jobs.jobs import train_job
from harness.jobs.training_summary import TrainingSummary
from harness.jobs.trials import Course, FinishedTrials, Tuned, at_the_edge, best_of_trials, search_space
from harness.plan.trials_check import check_trials
from harness.protocols import NOTICE
from harness.sample import Preprocessing, Sample, TaskSpec

OPTIONS = TrainOptions(trials=8, steps=40, validations=4)


class Rehearsal:
    """Stands for a training: scores rise to a value that the settings say, and the "weights" are that value."""

    def __init__(self, value: Callable[[TrainOptions], float]) -> None:
        self.value = value
        self.tried: list[TrainOptions] = []
        self.steps: list[int] = []

    def __call__(self, train: TrainOptions, course: Course) -> tuple[dict[str, torch.Tensor], TrainingSummary]:
        self.tried.append(train)
        best, step = self.value(train), 0
        for number in range(1, train.validations + 1):
            step = number * train.steps // train.validations
            course.take({"step": step, "validation_score": best * number / train.validations})
            if course.falls_behind():
                break
        self.steps.append(step)
        score = best * step / train.steps
        return {"w": torch.tensor([best])}, TrainingSummary(step, step, score, 1.0, "fp32", 1, 0.5)


def rate(train: TrainOptions) -> float:
    """A score that is best at a learning rate of 3e-3."""
    return math.exp(-abs(math.log(train.learning_rate / 3e-3)))


def run(
    tmp_path: Path, attempt: Any, options: TrainOptions = OPTIONS, seed: int = 0
) -> tuple[Tuned, list[dict[str, Any]], list[str]]:
    log: list[dict[str, Any]] = []
    notices: list[str] = []

    def progress(what: str, done: int, total: int) -> None:
        if total == NOTICE:
            notices.append(what)

    tmp_path.mkdir(exist_ok=True)
    finished = FinishedTrials(tmp_path, "key")
    return best_of_trials(options, seed, attempt, finished, (progress, lambda e: log.append(dict(e)))), log, notices


def test_the_best_of_all_trials_is_kept(tmp_path: Path) -> None:
    rehearsal = Rehearsal(rate)
    tuned, log, notices = run(tmp_path, rehearsal)
    assert len(rehearsal.tried) == 8 == len(tuned.told["trials"]) == len(notices)
    whole = [trial["score"] for trial in tuned.told["trials"] if trial["ended"] == "complete"]
    best = max(rehearsal.tried, key=rate)
    assert tuned.train == best
    assert tuned.told["trials"][tuned.told["chosen_trial"]]["score"] == max(whole) == rate(best)
    assert tuned.state["w"].item() == pytest.approx(rate(best))
    assert {entry["trial"] for entry in log} == set(range(8))


def test_the_first_trial_is_what_was_asked_for_and_nothing_else_changes(tmp_path: Path) -> None:
    rehearsal = Rehearsal(rate)
    run(tmp_path, rehearsal)
    assert rehearsal.tried[0] == OPTIONS
    for tried in rehearsal.tried[1:]:
        assert replace(tried, **{name: getattr(OPTIONS, name) for name in search_space(OPTIONS)}) == OPTIONS
        for name, (low, high, _) in search_space(OPTIONS).items():
            assert low <= getattr(tried, name) <= high


def test_arms_of_one_seed_try_the_same_points_and_seeds_others(tmp_path: Path) -> None:
    arms = [Rehearsal(rate), Rehearsal(lambda train: -rate(train)), Rehearsal(rate)]
    for number, arm in enumerate(arms):
        run(tmp_path / str(number), arm, seed=1 if number == 2 else 0)
    assert arms[0].tried == arms[1].tried
    assert arms[0].tried[1:] != arms[2].tried[1:]


def test_a_trial_of_the_worse_half_ends_at_the_next_rung(tmp_path: Path) -> None:
    """By hand: of two that reached a rung the better half is one; rungs are after 1, 2 and 4 validations."""
    values = iter([0.8, 0.4, 0.9])
    rehearsal = Rehearsal(lambda train: next(values))
    tuned = run(tmp_path, rehearsal, replace(OPTIONS, trials=3))[0]
    assert rehearsal.steps == [40, 10, 40]
    assert [trial["ended"] for trial in tuned.told["trials"]] == ["complete", "fell behind", "complete"]
    assert tuned.told["chosen_trial"] == 2


def test_one_trial_is_a_plain_training(tmp_path: Path) -> None:
    rehearsal = Rehearsal(rate)
    tuned, log, notices = run(tmp_path, rehearsal, replace(OPTIONS, trials=1))
    assert (tuned.train, dict(tuned.told), notices) == (replace(OPTIONS, trials=1), {}, [])
    assert not any("trial" in entry for entry in log) and not list(tmp_path.iterdir())


def test_a_training_that_diverges_is_a_trial_without_a_score(tmp_path: Path) -> None:
    def diverging(train: TrainOptions) -> float:
        if train.learning_rate > 1e-3:
            raise TrainingDiverged("The loss is nan.")
        return rate(train)

    tuned = run(tmp_path / "some", Rehearsal(diverging))[0]
    ended = [trial["ended"] for trial in tuned.told["trials"]]
    assert "The loss is nan." in ended and tuned.train.learning_rate <= 1e-3

    def never(train: TrainOptions) -> float:
        raise TrainingDiverged("The loss is nan.")

    with pytest.raises(TrainingDiverged, match=r"Of 8 trials none holds a score. The last: The loss is nan."):
        run(tmp_path / "none", Rehearsal(never))


@pytest.mark.parametrize("ended", [0, 1, 5, 7])
def test_killed_between_trials_it_goes_on_to_the_same_end(ended: int, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", Rehearsal(rate))[0]

    class Killed(Exception):
        pass

    def until(train: TrainOptions) -> float:
        if len(first.tried) > ended:
            raise Killed
        return rate(train)

    first = Rehearsal(until)
    with pytest.raises(Killed):
        run(tmp_path / "cut", first)
    rest = Rehearsal(rate)
    cut, _, notices = run(tmp_path / "cut", rest)
    assert len(rest.tried) == 8 - ended
    assert (f"goes on after {ended} trials" in notices) == (ended > 0)
    assert (cut.train, cut.summary, cut.told) == (whole.train, whole.summary, whole.told)
    assert torch.equal(cut.state["w"], whole.state["w"])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "best-trial.safetensors").write_bytes(b"x"), "not those that were written"),
        (lambda folder: (folder / "trials.json").write_text("{"), "trials in"),
        (lambda folder: (folder / "trials.json").write_text('{"key": "other", "trials": [], "best": null}'), "another"),
    ],
)
def test_what_is_not_whole_is_not_gone_on_from(damage: Callable[[Path], Any], reason: str, tmp_path: Path) -> None:
    run(tmp_path, Rehearsal(rate))
    damage(tmp_path)
    again = Rehearsal(rate)
    _, _, notices = run(tmp_path, again)
    assert len(again.tried) == 8 and reason in notices[0] and "not gone on from" in notices[0]


def test_the_edge_of_the_space_is_told_where_better_settings_may_lie_beyond() -> None:
    train = TrainOptions(learning_rate=1e-3, weight_decay=0.01, vision_learning_rate=0.0)
    assert "vision_learning_rate" not in search_space(train)
    inside = {"learning_rate": 1e-3, "weight_decay": 0.01, "dropout": 0.1}
    assert at_the_edge(train, inside) == []
    assert at_the_edge(train, {**inside, "learning_rate": 1.2e-4}) == ["learning_rate is low"]
    assert at_the_edge(train, {**inside, "learning_rate": 1.2e-4}, ["learning_rate"]) == []
    assert at_the_edge(train, {**inside, "weight_decay": 0.0011, "dropout": 0.01}) == [], "less is none of both"
    assert at_the_edge(train, {"weight_decay": 0.09, "dropout": 0.49}) == ["weight_decay is high", "dropout is high"]


@pytest.mark.parametrize(
    ("train", "split", "reason"),
    [
        ({}, None, "has no validation split"),
        ({"validations": 0}, "val", "train.validations=0"),
        ({"processes": 2}, "val", "processes=2"),
    ],
)
def test_trials_that_nothing_can_choose_among_are_refused(train: dict[str, int], split: Any, reason: str) -> None:
    data: Any = SimpleNamespace(name="mine", selection_split=split)
    with pytest.raises(UsageError, match=reason):
        check_trials(replace(OPTIONS, **train), data)
    check_trials(replace(OPTIONS, trials=1, **train), data)


SAMPLES = [Sample(str(number), None, float(number % 3)) for number in range(12)]


@pytest.fixture
def job(cell: Cell, line: Any, monkeypatch: pytest.MonkeyPatch) -> TrainingJob:
    """A training through the job itself, of a learner that draws dropout."""
    task = SimpleNamespace(
        samples=lambda data, split: SAMPLES,
        spec=lambda data, training: TaskSpec("line", ()),
        validation_score=lambda predictions, targets: -abs(sum(predictions) / len(predictions) - 0.07),
        learnable_score=1.0,
    )

    def opened(learner: Any, samples: Sequence[Sample], *_: Any) -> ImageSplit:
        return ImageSplit(tuple(samples), {}, Preprocessing(1), None)

    for module in (jobs, built_learner):
        monkeypatch.setattr(module, "load_task", lambda name: task)
        monkeypatch.setattr(module, "job_model", lambda job: SimpleNamespace(build=lambda spec, context: line()))
    monkeypatch.setattr(jobs, "images_for", opened)
    train = replace(cell.training.train, steps=8, batch_size=4, validations=4, trials=4, precision="fp32")
    return replace(cell.training, train=train)


def test_the_checkpoint_is_that_of_the_chosen_settings_alone(job: TrainingJob, tmp_path: Path) -> None:
    content = train_job(job, Places(tmp_path, tmp_path / "tuned", None), lambda *_: None)
    settings = content["trials"][content["chosen_trial"]]["settings"]
    alone = replace(job, train=replace(job.train, trials=1, **settings))
    plain = train_job(alone, Places(tmp_path, tmp_path / "plain", None), lambda *_: None)
    assert plain["checkpoint_sha256"] == content["checkpoint_sha256"]
    assert plain["best_score"] == content["best_score"] == content["trials"][content["chosen_trial"]]["score"]
    assert plain["best_score"] == max(trial["score"] for trial in content["trials"])
    assert "trials" not in plain
    assert sorted(path.name for path in (tmp_path / "tuned").iterdir()) == sorted(
        path.name for path in (tmp_path / "plain").iterdir()
    )


def test_a_job_killed_within_a_trial_ends_the_same(job: TrainingJob, tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "cut", None, keep_every_s=1e-9)

    def kill(what: str, done: int, total: int) -> None:
        seen.append(what)
        if seen.count("training") == 14:
            os.kill(os.getpid(), signal.SIGKILL)

    seen: list[str] = []
    child = os.fork()
    if child == 0:
        train_job(job, places, kill)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    kept = len(json.loads((places.training / "trials.json").read_text())["trials"])
    assert kept > 0
    told: list[str] = []
    cut = train_job(job, places, lambda what, done, total: told.append(what) if total == NOTICE else None)
    whole = train_job(job, Places(tmp_path, tmp_path / "whole", None), lambda *_: None)
    assert f"goes on after {kept} trials" in told
    assert cut["checkpoint_sha256"] == whole["checkpoint_sha256"]
    assert [t["scores"] for t in cut["trials"]] == [t["scores"] for t in whole["trials"]]
    first = load_file(tmp_path / "cut" / "checkpoint.safetensors")
    assert all(torch.equal(v, load_file(tmp_path / "whole" / "checkpoint.safetensors")[k]) for k, v in first.items())

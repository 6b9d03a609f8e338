"""Trials: the same training by other settings, of which the one that scores best on the selection split counts.

Settings are drawn at random from one space (Bergstra and Bengio 2012, JMLR 13:281) by the seed alone, so that a model
and its controls try the same points; the first trial is what was asked for. A training that falls behind the others
ends early (asynchronous successive halving, Li et al. 2020, arXiv 1810.05934).
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from safetensors import SafetensorError
from safetensors.torch import load_file

from harness.cell import TrainOptions
from harness.errors import TrainingDiverged
from harness.files import replace_atomically
from harness.jobs.checkpoints import write_checkpoint
from harness.jobs.train import Log
from harness.jobs.training_summary import TrainingSummary
from harness.protocols import NOTICE, Learner, Progress
from harness.records.trainings import BEST_TRIAL, TRIALS
from harness.storage.content import file_digest

if TYPE_CHECKING:
    import optuna
    from torch import Tensor

State = Mapping[str, "Tensor"]
RATES = ("learning_rate", "language_learning_rate", "vision_learning_rate")
TIMES = 10.0
"""Learning rates and weight decay are tried from what was asked for divided by this to as many times it."""
MOST_DROPOUT = 0.5
EDGE = 0.1
"""So much of a setting's range, on the scale that it is drawn on, is its edge on either side."""


@dataclass
class Course:
    """One trial while it runs: it takes the log of its training and knows whether it has fallen behind."""

    number: int
    log: Log
    trial: optuna.Trial | None = None
    scores: list[float] = field(default_factory=list)
    behind: bool = False

    def take(self, entry: Mapping[str, Any]) -> None:
        """Pass an entry on, and compare with the other trials where it is a validation."""
        if self.trial is None:
            self.log(entry)
            return
        if "validation_score" in entry:
            self.report(entry["validation_score"])
        self.log({"trial": self.number, **entry})

    def report(self, score: float) -> None:
        """Compare a validation with those of the other trials."""
        assert self.trial is not None
        self.scores.append(score)
        self.trial.report(score, len(self.scores))
        self.behind = self.trial.should_prune()

    def falls_behind(self) -> bool:
        """Whether its training may end."""
        return self.behind


class Attempt(Protocol):
    """Trains a new learner by some settings; gives the weights of its best validation."""

    def __call__(self, train: TrainOptions, course: Course, /) -> tuple[State, TrainingSummary]:
        """Train; raises TrainingDiverged."""
        ...


@dataclass(frozen=True)
class Tuned:
    """What the best trial has left; `told` is what the training says of all of them, nothing where there is one."""

    train: TrainOptions
    state: State
    summary: TrainingSummary
    settings: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class FinishedTrials:
    """Trials that have ended, kept on the disk with the weights of the best, for a job that is killed and runs again.

    `key` names the training; what is of another one, or not whole, is not read, which is said.
    """

    folder: Path
    key: str
    entries: list[dict[str, Any]] = field(default_factory=list)
    best: Mapping[str, Any] | None = None

    def read(self, progress: Progress) -> None:
        """Take up what is there."""
        try:
            content = json.loads((self.folder / TRIALS).read_text(encoding="utf-8"))
            best = content["best"]
            if content["key"] != self.key:
                raise ValueError("they are of another training")
            if best is not None and file_digest(self.folder / BEST_TRIAL) != best["sha256"]:
                raise ValueError("the weights of the best are not those that were written")
            self.entries, self.best = list(content["trials"]), best
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            progress(f"trials in {self.folder} are not gone on from: {error}", 0, NOTICE)
            return
        progress(f"goes on after {len(self.entries)} trials", 0, NOTICE)

    def add(self, entry: dict[str, Any], ended: tuple[State, TrainingSummary] | None) -> None:
        """Write one more down; the weights first, which the other file vouches for."""
        self.entries.append(entry)
        known = -math.inf if self.best is None else self.entries[self.best["trial"]]["score"]
        if ended is not None and entry["score"] is not None and entry["score"] > known:
            digest = write_checkpoint(ended[0], self.folder / BEST_TRIAL)
            number = len(self.entries) - 1
            self.best = {"trial": number, "summary": asdict(ended[1]), "sha256": digest}
        with replace_atomically(self.folder / TRIALS) as temporary:
            content = {"key": self.key, "trials": self.entries, "best": self.best}
            temporary.write_text(json.dumps(content), encoding="utf-8")

    def read_best(self) -> tuple[State, TrainingSummary]:
        """Read what the best has left."""
        assert self.best is not None
        return load_file(self.folder / BEST_TRIAL), TrainingSummary(**self.best["summary"])


def best_of_trials(
    train: TrainOptions, seed: int, attempt: Attempt, finished: FinishedTrials, report: tuple[Progress, Log]
) -> Tuned:
    """Train by as many settings as `train.trials` says, and keep the best; raises TrainingDiverged where none holds."""
    progress, log = report
    if train.trials == 1:
        state, summary = attempt(train, Course(0, log))
        return Tuned(train, state, summary)
    finished.read(progress)
    trials = _study_of(train, seed)
    for number, trial in enumerate(trials):
        settings = dict(trial.params)
        course = Course(number, log, trial)
        if number < len(finished.entries):
            for score in finished.entries[number]["scores"]:
                course.report(score)
            continue
        progress(f"trial {number + 1} of {train.trials}: {trial_settings_told(settings)}", 0, NOTICE)
        finished.add(*_tried(replace(train, **settings), settings, course, attempt))
    if finished.best is None:
        raise TrainingDiverged(
            f"Of {train.trials} trials none holds a score. The last: {finished.entries[-1]['ended']}"
        )
    chosen = finished.best["trial"]
    state, summary = finished.read_best()
    settings = finished.entries[chosen]["settings"]
    told = {"trials": finished.entries, "chosen_trial": chosen}
    return Tuned(replace(train, **settings), state, summary, settings, told)


def remove_trials(folder: Path) -> None:
    """Delete what is kept of trials in a training's folder, when the training itself is written."""
    for name in (TRIALS, BEST_TRIAL):
        (folder / name).unlink(missing_ok=True)


def search_space(train: TrainOptions) -> dict[str, tuple[float, float, bool]]:
    """The range of each setting that is tried: lowest, highest, and whether it is drawn on a logarithmic scale.

    What is 0 stays 0: a rate that was switched off.

    >>> search_space(TrainOptions(learning_rate=1e-3, vision_learning_rate=0.0))["learning_rate"]
    (0.0001, 0.01, True)
    """
    scaled = {name: getattr(train, name) for name in (*RATES, "weight_decay")}
    space = {name: (value / TIMES, value * TIMES, True) for name, value in scaled.items() if value > 0}
    return {**space, "dropout": (0.0, MOST_DROPOUT, False)}


def at_the_edge(train: TrainOptions, settings: Mapping[str, float], idle: Collection[str] = ()) -> list[str]:
    """Name the settings that lie at an edge of their range, beyond which better ones may be; `idle` ones move nothing.

    No dropout and little weight decay are no edges: below there is nothing.

    >>> at_the_edge(TrainOptions(learning_rate=1e-3), {"learning_rate": 9e-3, "dropout": 0.0})
    ['learning_rate is high']
    """
    found = []
    for name, (low, high, is_log) in search_space(train).items():
        if name not in settings or name in idle:
            continue
        place, ends = settings[name], (low, high)
        if is_log:
            place, ends = math.log(place), (math.log(low), math.log(high))
        share = (place - ends[0]) / (ends[1] - ends[0])
        if share > 1 - EDGE:
            found.append(f"{name} is high")
        elif share < EDGE and name in RATES:
            found.append(f"{name} is low")
    return found


def idle_rates(learner: Learner) -> list[str]:
    """Name the learning rates of weights that a learner does not train."""
    groups = learner.parameter_groups()
    return [name for name, own in zip(RATES, (groups.new, groups.language, groups.vision), strict=True) if not own]


def trial_settings_told(settings: Mapping[str, float]) -> str:
    """Say settings in a few words.

    >>> trial_settings_told({"learning_rate": 0.00123, "dropout": 0.25})
    'learning_rate 0.00123, dropout 0.25'
    """
    return ", ".join(f"{name} {value:.3g}" for name, value in settings.items())


def _study_of(train: TrainOptions, seed: int) -> Sequence[optuna.Trial]:
    """Draw all trials beforehand: the first is what was asked for, all others follow from the seed alone."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = search_space(train)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    )
    study.enqueue_trial({name: getattr(train, name) for name in space})
    draw = optuna.distributions.FloatDistribution
    ranges: dict[str, Any] = {name: draw(low, high, log=log) for name, (low, high, log) in space.items()}
    return [study.ask(ranges) for _ in range(train.trials)]


def _tried(
    train: TrainOptions, settings: Mapping[str, float], course: Course, attempt: Attempt
) -> tuple[dict[str, Any], tuple[State, TrainingSummary] | None]:
    """Run one trial; a training that diverges is one without a score."""
    entry: dict[str, Any] = {"settings": dict(settings), "score": None, "scores": course.scores}
    try:
        ended = attempt(train, course)
    except TrainingDiverged as error:
        return {**entry, "ended": str(error)}, None
    summary = ended[1]
    score = None if summary.best_score is None or math.isnan(summary.best_score) else summary.best_score
    told = "fell behind" if course.behind and summary.steps < train.steps else "complete"
    entry |= {"score": score, "steps": summary.steps, "seconds": summary.seconds, "ended": told}
    return entry, ended

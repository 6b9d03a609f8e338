"""Trains a model on one domain after the other, and scores all domains before and after each stage.

A domain that is one split of the data is parted by its images: half are trained on, a tenth selects the weights, the
rest is scored; which is drawn from the image's name alone, so that it is the same for every model and seed. Each stage
is a training of its own, with its own warm-up, that starts from the weights of the stage before.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cell import Domain, TrainingJob, TrainOptions
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.predict import predict_all
from harness.jobs.pseudo_labels import Unlabelled, unlabelled_data
from harness.jobs.train import TrainingData, train_learner, trained_state
from harness.jobs.training_subset import training_subset
from harness.protocols import HasChanceLevel, Learner, Progress, Task
from harness.records.scoring import Scoring
from harness.sample import Sample, limited
from harness.stats.estimates import estimate
from harness.stats.sample_scores import SampleScores, sample_scores

if TYPE_CHECKING:
    from torch import Tensor

_TRAINED, _SELECTS = 0.5, 0.1
_RESAMPLES = 0
"""Intervals of single scores are not made here: figures have theirs over seeds and samples."""


@dataclass(frozen=True)
class DomainParts:
    """The samples of a domain: those that are trained on, that select the weights, and that are scored.

    `whole` are those of training before their labels were limited.
    """

    training: Sequence[Sample]
    selection: Sequence[Sample]
    test: Sequence[Sample]
    whole: Sequence[Sample]


@dataclass(frozen=True)
class Reading:
    """How samples are opened for a learner: with features that are kept where its tower is frozen."""

    training: Callable[[Sequence[Sample]], VisualTokens]
    evaluation: Callable[[Sequence[Sample]], VisualTokens]


def domain_parts(task: Task, domain: Domain, train: TrainOptions, seed: int = 0) -> DomainParts:
    """Read the samples of a domain, as many as the options allow."""
    of_test = train.sequence_limit
    if domain.training != domain.test:
        chosen = () if domain.selection is None else task.samples(domain.data, domain.selection)
        whole = task.samples(domain.data, domain.training)
        return DomainParts(
            training_subset(whole, train, seed),
            limited(chosen, train.validation_limit),
            limited(task.samples(domain.data, domain.test), of_test),
            whole,
        )
    parted: tuple[list[Sample], list[Sample], list[Sample]] = ([], [], [])
    for sample in task.samples(domain.data, domain.test):
        place = _place(domain.name, sample)
        parted[0 if place < _TRAINED else 1 if place < _TRAINED + _SELECTS else 2].append(sample)
    few = training_subset(parted[0], train, seed)
    return DomainParts(few, limited(parted[1], train.validation_limit), limited(parted[2], of_test), parted[0])


def _place(domain: str, sample: Sample) -> float:
    """Where an image falls, 0..1: samples of one image fall together."""
    digest = hashlib.sha256(f"{domain} {sample.image.name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


@dataclass
class DomainSequence:
    """A sequence of stages of one learner, and what it has scored so far."""

    task: Task
    job: TrainingJob
    cache: Path
    learner: Learner
    reading: Reading
    progress: Progress

    def __post_init__(self) -> None:
        self.parts = [domain_parts(self.task, domain, self.job.train, self.job.seed) for domain in self.job.domains]
        self.rows: list[list[tuple[str, dict[str, Any], SampleScores]]] = []
        self.stages: list[dict[str, Any]] = []

    def score(self) -> None:
        """Score all domains with the weights as they are now; a row of the block."""
        row = []
        for domain, parts, tokens in zip(self.job.domains, self.parts, self._tested, strict=True):
            self.progress(f"scoring {domain.name}", len(self.rows), len(self.parts) + 1)
            outcomes = predict_all(self.learner, tokens, self.job.train.batch_size, lambda *_: None)
            with self._scorer(domain, parts) as scorer:
                statistics = scorer.score_condition(tokens.samples, outcomes)
            name = next(name for name in self.task.metrics if statistics.get(name) is not None)
            own = statistics[name]
            scores = sample_scores([sample.sample_id for sample in tokens.samples], {name: own}, (name,))
            found = estimate(own, _RESAMPLES)
            assert found is not None
            told = {"value": found.value, "per_sample": " ".join(f"{float(v):.6g}" for v in scores.metrics[name])}
            row.append((name, told, scores))
        self.rows.append(row)

    def train_on(self, number: int) -> None:
        """Train on the domain of a stage after the first, from the weights as they are."""
        train, parts = self.job.train, self.parts[number]
        samples = [*parts.training, *self._replayed(number)]
        own = self.reading.training(samples)
        selection = self.reading.evaluation(parts.selection or parts.training[: train.validation_limit])
        before = {name: tensor.detach().clone() for name, tensor in trained_state(self.learner).items()}
        options = replace(train, trials=1, beta=train.beta + train.pull, gamma=train.gamma + train.pull)
        unlabelled = self._unlabelled(parts)
        data = TrainingData(self.task, own, selection, unlabelled=unlabelled)
        summary = train_learner(self.learner, data, options, self.job.seed, (self.progress, lambda entry: None))
        if train.keep:
            average_weights(self.learner, before, train.keep)
        told = {"trained": len(parts.training), "replayed": len(samples) - len(parts.training)}
        told |= {} if unlabelled is None else {"unlabelled": len(unlabelled.tokens)}
        self.stages.append({**told, **asdict(summary)})

    def _unlabelled(self, parts: DomainParts) -> Unlabelled | None:
        """What is left of a domain where its labels are limited, to be trained on without them."""
        train = self.job.train
        if not train.unlabelled or len(parts.training) == len(parts.whole):
            return None
        split = parts.whole, parts.training
        return unlabelled_data(
            split, train, self.job.seed, self.task, self.learner, self.reading.training, self.progress
        )

    def go_on(self) -> Mapping[str, Any]:
        """Go through the stages after the first, which is done; returns what a record says of all."""
        self.score()
        for number in range(1, len(self.parts)):
            self.train_on(number)
            self.score()
        return self.block()

    def block(self) -> Mapping[str, Any]:
        """What the training's summary, and so the record, says of the sequence."""
        told = zip(self.job.domains, self.parts, self.rows[0], strict=True)
        domains = [
            {
                "name": domain.name,
                "samples": len(scores.sample_ids),
                "samples_sha256": hashlib.sha256("\n".join(scores.sample_ids).encode()).hexdigest(),
                "clusters": _numbered(scores),
                "chance": self._chance(domain, parts),
            }
            for domain, parts, (_, _, scores) in told
        ]
        scored = [[cell for _, cell, _ in row] for row in self.rows]
        return {"metric": self.rows[0][0][0], "domains": domains, "stages": self.stages, "scores": scored}

    @cached_property
    def _tested(self) -> list[VisualTokens]:
        return [self.reading.evaluation(parts.test) for parts in self.parts]

    @contextmanager
    def _scorer(self, domain: Domain, parts: DomainParts) -> Iterator[Scoring]:
        with Scoring(self.task, domain.data, self.cache) as scorer:
            scorer.prepare(parts.test)
            yield scorer

    def _chance(self, domain: Domain, parts: DomainParts) -> float:
        return float(self.task.chance(domain.data, parts.test)) if isinstance(self.task, HasChanceLevel) else 0.0

    def _replayed(self, number: int) -> list[Sample]:
        """Draw from earlier stages, from each as many, so many that they are the share of all that `replay` says."""
        share = self.job.train.replay
        wanted = round(share / (1 - share) * len(self.parts[number].training))
        draw, found = random.Random(f"{self.job.seed} {number}"), []
        for place, parts in enumerate(self.parts[:number]):
            count = wanted // number + (place < wanted % number)
            found += draw.sample(list(parts.training), min(count, len(parts.training)))
        return found


def _numbered(scores: SampleScores) -> str:
    """Number the clusters of samples in their order; "" where each sample is one."""
    if scores.clusters == scores.sample_ids:
        return ""
    places = {name: place for place, name in enumerate(dict.fromkeys(scores.clusters))}
    return " ".join(str(places[name]) for name in scores.clusters)


def average_weights(learner: Learner, before: Mapping[str, Tensor], share: float) -> None:
    """Put the mean of weights into a learner: `share` of those before, the rest of those that it has (WiSE-FT)."""
    module: Any = learner
    now = trained_state(learner)
    mixed = {
        name: tensor.lerp(before[name].to(tensor), share) if tensor.is_floating_point() else tensor
        for name, tensor in now.items()
    }
    module.load_state_dict(mixed, strict=False)

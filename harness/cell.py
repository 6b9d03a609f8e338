"""The grid: which (task, data, model, control, seed) to train and evaluate, and their fingerprints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from harness.option_fields import (
    Acquire,
    AtLeastOne,
    Augment,
    Fraction,
    Mix,
    Names,
    NoneOrMore,
    NotNegative,
    Positive,
    Precision,
    Range,
    Threads,
    WordEdit,
)
from harness.sample import Dataset
from harness.storage.portable import by_content


@dataclass(frozen=True)
class ModelOptions:
    """What a run asks of every model: the task, and the parts to compose, by name. None takes the default.

    `vision_args` are timm keywords plus mean, std, crop and size; `settings` are the model's own
    options of `--set model.KEY=VALUE`. `answers` is the kind of answer that the task wants.
    """

    vision: str | None = None
    vision_weights: str | None = None
    vision_args: Mapping[str, Any] = field(default_factory=dict)
    language: str | None = None
    tune: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    task: str = ""
    answers: str = ""


@dataclass(frozen=True)
class TrainOptions:
    """The training budget and recipe, counted in optimiser steps so that scores do not depend on speed."""

    steps: NoneOrMore = 200
    """Optimiser steps."""
    batch_size: AtLeastOne = 64
    """Samples per batch."""
    accumulation: AtLeastOne = 1
    """Batches whose gradients are summed for one step."""
    learning_rate: Positive = 1e-3
    """Highest learning rate of what is trained from scratch."""
    language_learning_rate: NotNegative = 3e-4
    """That of pretrained language weights."""
    vision_learning_rate: NotNegative = 1e-4
    """That of pretrained vision weights."""
    weight_decay: NotNegative = 0.01
    """Weight decay of AdamW."""
    warmup_fraction: Fraction = 0.1
    """Share of the steps in which the learning rate rises."""
    clip_norm: Positive = 1.0
    """Gradient norm above which gradients are scaled down."""
    dropout: Fraction = 0.1
    """Dropout probability."""
    beta: NotNegative = 0.0
    """Pull of language weights to their pretrained values (L2-SP, Li et al. 2018, arXiv 1802.01483)."""
    gamma: NotNegative = 0.0
    """The same pull of vision weights."""
    precision: Precision = "auto"
    """Number format of training."""
    deterministic: bool = False
    """Train and answer by operations alone that give the same bits each time, also on a GPU; some are slower."""
    processes: Threads = 1
    """Processes that share each batch, on as many devices; weights are those of one process but for rounding."""
    validations: NoneOrMore = 4
    """How often the validation split is scored, to keep the best checkpoint."""
    validation_limit: AtLeastOne = 200
    """Validation samples at most."""
    patience: NoneOrMore = 0
    """Validations without a gain after which training stops; 0: never."""
    augment: Augment | None = None
    """Random changes of training images: crop, left-right flip, RandAugment or AugMix; what is right goes along."""
    limit: AtLeastOne | None = None
    """Training samples at most."""
    shots: AtLeastOne | None = None
    """Training samples of each class at most, drawn by the seed; fewer are a part of more."""
    trials: AtLeastOne = 1
    """Settings that are tried, each in a training of its own; that which scores best on the validation split counts."""
    threads: Threads = 1
    """CPU threads of a job: part of the recipe, because the order of a sum depends on it."""
    gate_steps: NoneOrMore = 0
    """Steps on 32 samples after which a model that cannot fit them is marked not learnable here; 0: no gate."""
    mix: Mix | None = None
    """Mix images of classes in training: MixUp, CutMix."""
    adversarial: NotNegative = 0.0
    """Adversarial training: radius of the ball around the pixels, maximum norm, in 1/255; 0: none."""
    adversarial_steps: AtLeastOne = 3
    """Steps of PGD before each step of adversarial training."""
    words: WordEdit | None = None
    """Leave words of the texts beside training images out, or replace them by synonyms, anew at each visit."""
    soup: NoneOrMore = 0
    """Average the weights of so many of the best validations, where the mean validates no worse; 0 or 1: none."""
    ensemble: NoneOrMore = 0
    """Members that are trained at once from seeds of their own; the answer is the mean of theirs. 0 or 1: none."""
    unlabelled: Fraction = 0.0
    """Train on images beyond the labelled ones by own answers of this probability or more (FixMatch); 0: none."""
    acquire: Acquire | None = None
    """Rule by which as many images get a label as `limit` or `shots` allow: drawn, unsure answers, or far features."""
    acquire_rounds: AtLeastOne = 4
    """Rounds in which labels are acquired, each of as many; before each but the first a model is trained anew."""
    sequence: Names = ""
    """Domains to train on one after the other, after the training split: splits of the data, or other data sets."""
    sequence_limit: AtLeastOne = 200
    """Test samples of each domain that are scored before and after each stage of a sequence, at most."""
    replay: Fraction = 0.0
    """Share of the samples of a later stage that are taken from earlier ones."""
    pull: NotNegative = 0.0
    """Pull of all trained matrices to their values before a later stage (L2-SP)."""
    keep: Fraction = 0.0
    """Weight of the weights before a later stage in their mean with those after it (WiSE-FT)."""


FORMER_TRAINING: Mapping[str, Any] = MappingProxyType(
    {
        "deterministic": False, "processes": 1, "trials": 1, "shots": None, "unlabelled": 0.0, "acquire": None,
        "sequence": "", "sequence_limit": 200, "replay": 0.0, "pull": 0.0, "keep": 0.0, "acquire_rounds": 4,
        "mix": None, "adversarial": 0.0, "adversarial_steps": 3, "words": None, "soup": 0, "ensemble": 0,
    }
)  # fmt: skip
"""Options that came later, as all were trained before: so they are in no fingerprint, and those of old stay."""


@dataclass(frozen=True)
class DecodeOptions:
    """How text is generated; it moves scores, also those that select the checkpoint."""

    max_tokens: AtLeastOne = 30
    """Tokens of an answer at most."""
    beams: AtLeastOne = 1
    """Beams of beam search; 1: greedy."""


@dataclass(frozen=True)
class EvaluateOptions:
    """On how many samples and in which batches to predict, and how intervals are drawn; in a cell `limit` counts."""

    batch_size: AtLeastOne = 64
    """Samples per batch."""
    limit: AtLeastOne | None = None
    """Evaluate on the first samples only."""
    embedded_limit: AtLeastOne | None = None
    """The same for built-in data where `limit` is not given."""
    precision: Precision = "fp32"
    """Number format of evaluation, and of measuring."""
    resamples: Annotated[int, Range(ge=0, le=1_000_000)] = 1000
    """Bootstrap resamples behind the intervals; 0: no intervals."""
    emap: NoneOrMore = 200
    """Samples on which a model of image and text is projected to its additive part; 0: none."""


_OF_ANSWERS = ("batch_size", "limit", "emap", "precision")
"""Options of evaluation that move answers; the others move scores of them."""


@dataclass(frozen=True)
class MeasureOptions:
    """How often latency is timed, at which batch throughput is, and on how many CPU threads."""

    warmups: NoneOrMore = 10
    """Untimed runs before latency is timed."""
    runs: AtLeastOne = 130
    """Timed runs of one sample."""
    throughput_batch: AtLeastOne = 32
    """Samples per batch where throughput is timed."""
    throughput_runs: AtLeastOne = 3
    """Timed batches."""
    threads: Threads = 1
    """CPU threads."""
    timed: bool = True
    """Measure time and memory; parameters and FLOPs are counted all the same."""


@dataclass(frozen=True)
class PerturbOptions:
    """How trained models are perturbed."""

    limit: AtLeastOne | None = None
    """Samples at most; without it as many as were evaluated."""
    attack_limit: AtLeastOne = 100
    """Samples that are attacked at most."""
    shortest_px: NoneOrMore = 224
    """Shorter side that images are made smaller to, as strengths are published in pixels of that size; 0: as is."""
    scale: Literal["imagenet", "cifar"] = "imagenet"
    """Strengths for images of 224 px or of 32 px."""
    seed: NoneOrMore = 0
    """Seed of the perturbations."""
    threads: Threads = 1
    """CPU threads of each process."""


@dataclass(frozen=True)
class Domain:
    """A stage of a sequence of trainings: its data, and the splits that are trained on, select, and are scored.

    Where all three are one split, its images are parted (see `harness.jobs.sequence`).
    """

    name: str
    data: Dataset
    training: str
    selection: str | None
    test: str

    @property
    def content(self) -> dict[str, Any]:
        """What moves numbers: no places on a disk."""
        splits = [self.training, self.selection, self.test]
        return {"name": self.name, "data": self.data.name, "digest": self.data.digest, "splits": splits}


@dataclass(frozen=True)
class ExplainOptions:
    """How answers of trained models are explained."""

    limit: AtLeastOne = 100
    """Samples that are explained, spread over the split."""
    grid: Annotated[int, Range(ge=2, le=32)] = 8
    """Cells a side of an image's map."""
    reference: Literal["blur", "mean", "other"] = "blur"
    """What stands for parts that are taken away: the image blurred, its mean colour, or another sample's image."""
    points: AtLeastOne = 16
    """Points of integrated gradients."""
    draws: AtLeastOne = 8
    """Orders of all parts that Shapley values are the mean over."""
    curve: AtLeastOne = 8
    """Steps of insertion and deletion."""
    examples: NoneOrMore = 6
    """Samples whose maps are kept for the report."""
    seed: NoneOrMore = 0
    """Seed of all draws."""
    threads: Threads = 1
    """CPU threads of each process."""


@dataclass(frozen=True)
class TrainingJob:
    """One checkpoint to be trained: everything that can move its weights."""

    task: str
    data: Dataset
    model: str
    control: str | None
    seed: int
    device: str
    options: ModelOptions
    train: TrainOptions
    decode: DecodeOptions
    on_bad_sample: str
    recipe: Mapping[str, Any]
    versions: Mapping[str, str]
    prerequisite: str | None = None
    """Fingerprint of the training job whose checkpoint this one builds on."""
    domains: tuple[Domain, ...] = ()
    """The stages of `train.sequence`, the first of them on the job's own data; empty without a sequence."""

    @property
    def fingerprint(self) -> str:
        """Name the job by the digest of its content, 16 hexadecimal digits."""
        return fingerprint_of(_job_content(self))


@dataclass(frozen=True)
class ModelVariant:
    """What is done to a trained model before it is evaluated: modifiers in their order, as `prune:0.5+int8`.

    `versions` are those of the code and the packages that do it.
    """

    name: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Cell:
    """One row-to-be: a trained checkpoint, or a variant of it, evaluated and measured on one split.

    `scoring` names the code that makes metrics of its answers (see `harness.plan.code_digests`), and packages of that.
    """

    training: TrainingJob
    split: str
    evaluate: EvaluateOptions
    measure: MeasureOptions
    scoring: Mapping[str, str] = field(default_factory=dict)
    variant: ModelVariant | None = None

    @property
    def model(self) -> str:
        """The name of its row's model: that which was trained, with what was done to it then."""
        return self.training.model if self.variant is None else f"{self.training.model}+{self.variant.name}"

    @property
    def fingerprint(self) -> str:
        """Name the cell by the digest of its content, 16 hexadecimal digits."""
        return fingerprint_of(self.content)

    @property
    def content(self) -> dict[str, Any]:
        """Everything that can move a number of the cell's record, as JSON-able data; no places on a disk."""
        content = {"training": _job_content(self.training), "scored_by": by_content(self.training.data.scoring)}
        return self.told | content | {"evaluate": _evaluate_content(self.evaluate)}

    @property
    def told(self) -> dict[str, Any]:
        """All of its fields in plain types, but for what the task has read of its data."""
        plain = asdict(replace(self, training=_without_opened(replace(self.training, domains=()))))
        del plain["training"]["data"]["opened"]
        plain["training"]["domains"] = [domain.content for domain in self.training.domains]
        if self.variant is None:
            del plain["variant"]
        return plain

    @property
    def answers(self) -> str:
        """Name what its model answers, by all that can move that: not how answers are scored, nor what they cost."""
        evaluate = {name: value for name, value in _evaluate_content(self.evaluate).items() if name in _OF_ANSWERS}
        content = {"training": _job_content(self.training), "split": self.split, "evaluate": evaluate}
        return fingerprint_of(content | ({} if self.variant is None else {"variant": asdict(self.variant)}))

    @property
    def label(self) -> str:
        """Say in a few words which cell this is."""
        control = f" {self.training.control}" if self.training.control else ""
        prompt = self.training.options.settings.get("prompt_name", "")
        return f"{self.model}{control} seed {self.training.seed}{f' prompt {prompt}' if prompt else ''}"


@dataclass(frozen=True)
class Places:
    """Where a job reads and writes: the cache, its training folder, and its prerequisite's.

    Into the training folder it writes the state of a running training every `keep_every_s` seconds; 0: never. Where
    results lie on a URL, a copy goes to the training's folder there, `keep_url`: another machine may go on from it.
    """

    cache: Path
    training: Path
    prerequisite: Path | None
    keep_every_s: float = 0.0
    keep_url: str = ""


def fingerprint_of(content: Mapping[str, Any]) -> str:
    """Digest JSON-able content, the same on every machine and in every key order."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _job_content(job: TrainingJob) -> dict[str, Any]:
    """Leave out where data lies, what is said of it and how it is scored: its digest names it, files what they hold."""
    content = asdict(_without_opened(replace(job, domains=())))
    del content["domains"]
    if job.domains:
        content["domains"] = [domain.content for domain in job.domains]
    for name in ("root", "cache", "notes", "embedded", "scoring", "opened"):
        del content["data"][name]
    content["data"]["options"] = by_content(content["data"]["options"])
    content["options"] = options_content(job.options)
    for name, former in FORMER_TRAINING.items():
        if content["train"][name] == former:
            del content["train"][name]
    return content


def _evaluate_content(options: EvaluateOptions) -> dict[str, Any]:
    """Name a precision where it is not that of all evaluations before it could be chosen: their records stay theirs."""
    content = asdict(options)
    if content["precision"] == "fp32":
        del content["precision"]
    return content


def _without_opened(job: TrainingJob) -> TrainingJob:
    """Leave out what the task has read of the data: it says nothing more, and of a large folder takes long to copy."""
    return replace(job, data=replace(job.data, opened=None))


def options_content(options: ModelOptions) -> dict[str, Any]:
    """What is stored of options: files by what they hold, and no kind of answer, which the task says."""
    return {name: value for name, value in by_content(asdict(options)).items() if name != "answers"}

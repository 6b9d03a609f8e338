"""The grid: which (task, data, model, control, seed) to train and evaluate, and their fingerprints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.sample import Dataset
from harness.storage.portable import by_content


@dataclass(frozen=True)
class ModelOptions:
    """What a run asks of every model: the task, and the parts to compose, by name. None takes the default.

    `vision_args` are timm keywords plus mean, std, crop and size; `settings` are the model's own
    options of `--set model.KEY=VALUE`.
    """

    vision: str | None = None
    vision_weights: str | None = None
    vision_args: Mapping[str, Any] = field(default_factory=dict)
    language: str | None = None
    tune: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    task: str = ""


@dataclass(frozen=True)
class TrainOptions:
    """The training budget and recipe, counted in optimiser steps so that scores do not depend on speed.

    `beta` and `gamma` pull language and vision weights to their pretrained values (L2-SP, Li et al.
    2018, arXiv 1802.01483); `precision` is auto, fp32 or bf16; `patience` counts validations without
    a gain, 0 never stops early. On a CPU `threads` is part of the recipe, because the order of a sum
    depends on it; jobs side by side use the cores better than threads inside a small model.
    """

    steps: int = 200
    batch_size: int = 64
    accumulation: int = 1
    learning_rate: float = 1e-3
    language_learning_rate: float = 3e-4
    vision_learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup_fraction: float = 0.1
    clip_norm: float = 1.0
    dropout: float = 0.1
    beta: float = 0.0
    gamma: float = 0.0
    precision: str = "auto"
    validations: int = 4
    validation_limit: int = 200
    patience: int = 0
    limit: int | None = None
    threads: int = 1
    gate_steps: int = 0
    """Steps on 32 samples after which a model that cannot fit them is marked not learnable here; 0: no gate."""


@dataclass(frozen=True)
class DecodeOptions:
    """How text is generated; it moves scores, also those that select the checkpoint."""

    max_tokens: int = 30
    beams: int = 1


@dataclass(frozen=True)
class EvaluateOptions:
    """On how many samples and in which batches to predict, and how intervals are drawn.

    `limit` takes the first samples of any data, `embedded_limit` of embedded data where `limit` is None; a planned cell
    has the one that counts as its `limit`.

    `emap` is the number of samples on which a model of image and text is projected to its additive part, 0 for none.
    """

    batch_size: int = 64
    limit: int | None = None
    embedded_limit: int | None = None
    resamples: int = 1000
    emap: int = 200


@dataclass(frozen=True)
class MeasureOptions:
    """How often latency is timed, at which batch throughput is, and on how many CPU threads.

    Without `timed` neither time nor memory is measured; parameters and FLOPs are counted all the same.
    """

    warmups: int = 10
    runs: int = 130
    throughput_batch: int = 32
    throughput_runs: int = 3
    threads: int = 1
    timed: bool = True


@dataclass(frozen=True)
class PerturbOptions:
    """How trained models are perturbed.

    `limit` is the number of samples at most (None: as many as were evaluated), `attack_limit` that of attacked ones.
    Images are made smaller until their shorter side is `shortest_px`, since the published strengths are in pixels of
    images of 224 px, or with `scale` "cifar" of 32 px; 0 leaves them as they are. `threads` are those of each process.
    """

    limit: int | None = None
    attack_limit: int = 100
    shortest_px: int = 224
    scale: str = "imagenet"
    seed: int = 0
    threads: int = 1


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

    @property
    def fingerprint(self) -> str:
        """Name the job by the digest of its content, 16 hexadecimal digits."""
        return fingerprint_of(_job_content(self))


@dataclass(frozen=True)
class Cell:
    """One row-to-be: a trained checkpoint evaluated and measured on one split."""

    training: TrainingJob
    split: str
    evaluate: EvaluateOptions
    measure: MeasureOptions

    @property
    def fingerprint(self) -> str:
        """Name the cell by the digest of its content, 16 hexadecimal digits."""
        return fingerprint_of(asdict(self) | {"training": _job_content(self.training)})

    @property
    def label(self) -> str:
        """Say in a few words which cell this is."""
        control = f" {self.training.control}" if self.training.control else ""
        return f"{self.training.model}{control} seed {self.training.seed}"


@dataclass(frozen=True)
class Places:
    """Where a job reads and writes: the cache, its training folder, and its prerequisite's."""

    cache: Path
    training: Path
    prerequisite: Path | None


def fingerprint_of(content: Mapping[str, Any]) -> str:
    """Digest JSON-able content, the same on every machine and in every key order."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _job_content(job: TrainingJob) -> dict[str, Any]:
    """Leave out where the data lies and what is said of it: its digest names a cell, and files by what they hold."""
    content = asdict(job)
    for name in ("root", "cache", "notes", "embedded"):
        del content["data"][name]
    content["data"]["options"] = by_content(content["data"]["options"])
    content["options"] = by_content(content["options"])
    return content

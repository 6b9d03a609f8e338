"""What a test item becomes on its way: Sample -> Batch -> Prediction -> Outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Target: TypeAlias = Any
"""What is right for a sample; its type is the task's own (for captions: `CaptionTarget`)."""

Prediction: TypeAlias = Any
"""What a model answers; JSON-able, its type is the task's own (for captions: `str`)."""


@dataclass(frozen=True)
class Dataset:
    """A data set that has been found on disk, and which of its splits plays which role.

    `digest` is the sha256 of everything that defines its samples; records carry it, and
    rows with different digests are never ranked together.
    """

    name: str
    root: Path
    digest: str
    layout: str
    splits: tuple[str, ...]
    training_split: str
    selection_split: str
    default_split: str


@dataclass(frozen=True)
class Sample:
    """One item of a split: where its pixels are, the text beside them, and its target."""

    sample_id: str
    image: Path
    target: Target
    text: str | None = None


@dataclass(frozen=True)
class Batch:
    """What a learner sees at once.

    `visual` is float `[B, N, d]`: the visual tokens of the learner's own tower (cached when the
    tower is frozen), or None for a learner without one. `targets` is None outside training, so
    that no model can see a target at test time.
    """

    sample_ids: tuple[str, ...]
    visual: Tensor | None
    texts: tuple[str | None, ...]
    targets: tuple[Target, ...] | None = None

    def __len__(self) -> int:
        return len(self.sample_ids)


@dataclass(frozen=True)
class Outcome:
    """A prediction beside its sample, as it is stored and scored."""

    sample_id: str
    prediction: Prediction


@dataclass(frozen=True)
class Predicted:
    """The outcomes of a split; which samples were skipped as unreadable, and why; what the model saw."""

    outcomes: tuple[Outcome, ...]
    skipped: Mapping[str, str]
    preprocessing_hash: str | None


@dataclass(frozen=True)
class Preprocessing:
    """How a decoded RGB image becomes the uint8 pixels `[3, size, size]` that a tower takes.

    The shorter side is resized to `size / crop_fraction`, then the centre is cropped; with
    `squash` the whole image is resized to the square instead. `mean` and `std` (of values in
    0..1) are applied inside the tower, so perturbations always act on plain pixels.
    """

    size: int
    crop_fraction: float = 1.0
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    squash: bool = False


@dataclass(frozen=True)
class TaskSpec:
    """What a model must know of a task before it is built.

    `training_targets` are those of the training split in sample order: vocabularies and class
    names come from them. Nothing of any other split is here.
    """

    task: str
    training_targets: Sequence[Target]
    class_names: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)


def limited(samples: Sequence[Sample], limit: int | None) -> Sequence[Sample]:
    """Take the first `limit` samples, or all."""
    return samples if limit is None else samples[:limit]

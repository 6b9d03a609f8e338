"""What a model is: it names itself and builds a learner, which sees by a tower and names what is trained of it.

All are imported from `harness.protocols`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.protocols.derived import Derived
from harness.sample import Batch, Prediction, Preprocessing, TaskSpec

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class VisionTower(Protocol):
    """An image encoder: an `nn.Module` from pixels to visual tokens.

    `key` is the digest of its name, weights, keywords and preprocessing: cached features carry it. One that also
    fits `HasNormalizedPixels` has its normalisation checked.
    """

    key: str
    preprocessing: Preprocessing
    width: int

    def __call__(self, pixels: Tensor) -> Tensor:
        """Encode uint8 pixels `[B, 3, size, size]` to float tokens `[B, N, width]`."""
        ...


@runtime_checkable
class HasNormalizedPixels(Protocol):
    """A vision tower that shows what its network is given, so that this can be checked before anything is scored."""

    preprocessing: Preprocessing

    def normalized(self, pixels: Tensor) -> Tensor:
        """Turn pixels 0..255 `[B, 3, S, S]`, RGB, into (pixels / 255 - mean) / std of `preprocessing`, same shape."""
        ...


@dataclass(frozen=True)
class ParameterGroups:
    """A learner's trainable parameters by origin: pretrained language, pretrained vision, new."""

    language: Sequence[tuple[str, nn.Parameter]]
    vision: Sequence[tuple[str, nn.Parameter]]
    new: Sequence[tuple[str, nn.Parameter]]


@runtime_checkable
class Learner(Protocol):
    """A torch module built for one task; also an `nn.Module`.

    `vision` is None for a learner that sees no image. When `vision_frozen`, the tower's tokens are
    computed once a data set and shared with every learner whose tower has the same key.
    """

    vision_frozen: bool

    @property
    def vision(self) -> VisionTower | None:
        """What turns pixels into tokens."""
        ...

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Return the scalar training loss; all randomness beside dropout comes from `generator`."""
        ...

    def predict(self, batch: Batch) -> list[Prediction]:
        """Answer for each sample, in finite JSON values, tensors or arrays; not depending on the rest of the batch."""
        ...

    def parameter_groups(self) -> ParameterGroups:
        """Name the trainable parameters; an empty set means that nothing is trained by gradient."""
        ...


@dataclass(frozen=True)
class Prerequisite:
    """A network that must have been trained first: its task, model and budget, on built-in data."""

    task: str
    model: str
    train: TrainOptions


@dataclass(frozen=True)
class BuildContext:
    """What a model may use while it is built.

    `prerequisite` is the checkpoint folder of the model's prerequisite, if it has one. What a model takes from the
    training targets it asks of `derived`, so that they need not be read to load it. When it is built, a learner is
    moved to `device`.
    """

    options: ModelOptions
    train: TrainOptions
    decode: DecodeOptions
    seed: int
    cache: Path
    prerequisite: Path | None = None
    derived: Derived = field(default_factory=Derived)
    device: str = "cpu"


@runtime_checkable
class Model(Protocol):
    """A named composition that builds learners."""

    name: str
    summary: str
    answers: tuple[str, ...]
    """The kinds of answer that it gives (`harness.answers`): it serves every task that wants one of them."""
    fused: bool
    settings: tuple[str, ...]
    """Names that it takes in `--set model.NAME=VALUE`; others are not handed to it."""

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Name the controls that the tool can make of this model for a kind of answer, of C0 to C6."""
        ...

    def with_control(self, control: str) -> Model:
        """Make the control's model of this one; raises UsageError for one that is not offered."""
        ...

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say what is composed, JSON-able, digests of weights included: it enters the fingerprint.

        Raises WeightsUnavailable when weights are not there, UsageError for options that do not fit.
        Must not import torch.
        """
        ...

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Name the network that must be trained before this model can be built."""
        ...

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Build for a task; the same context always gives the same weights."""
        ...

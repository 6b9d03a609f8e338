"""What models and learners say that are taken whole: that they need no training, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@runtime_checkable
class EvaluatesOnly(Protocol):
    """A model that may be taken as it is: where `evaluates_only` is true, nothing of it is trained or fitted here.

    It runs on data without a training split too, its `TaskSpec` has no training targets, and it is not asked whether it
    can fit 32 samples. Models without this attribute are taken to need training.
    """

    evaluates_only: bool


@dataclass(frozen=True)
class StatedCosts:
    """What a learner costs by its own account; None where it does not say."""

    parameters: int | None = None
    flops: int | None = None
    """Of one sample; a multiplication and an addition are two."""


@runtime_checkable
class Costed(Protocol):
    """A learner whose costs torch cannot count, such as one that wraps an ONNX session: it states them itself."""

    def stated_costs(self) -> StatedCosts:
        """Say what it costs."""
        ...


def needs_training(model: object) -> bool:
    """Tell whether a model must be trained or fitted before it can answer."""
    return not (isinstance(model, EvaluatesOnly) and model.evaluates_only)

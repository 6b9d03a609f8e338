"""What an attack is asked and what it answers.

Unlike a perturbation an attack is made for each model by itself: on the model's own fitted pixels, scaled to 0..1
(normalisation is inside the tower), or on the texts that it reads. The result stays in 0..1 and is not rounded
unless that is asked for; what a tower pads an image with is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from harness.errors import UsageError
from harness.perturb.perturbation import Perturbation
from harness.sample import Prediction, Sample, Target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.protocols import Learner

ATTACK_FAMILY: Final = "attack"
LINF, L2 = "linf", "l2"
"""Norms: the largest change of a value, and the Euclidean length of the change."""
PGD, APGD, SQUARE = "pgd", "apgd", "square"
"""Algorithms; Square needs no gradient."""
LOWER_EFFORT: Final = "lower-effort attack"
"""What stands under `effort` in the notes of an attack that failed a gate: its score is no measure of robustness."""
LINF_EPS: Final = tuple(value / 255 for value in (0.5, 1.0, 2.0, 4.0, 8.0))
"""Radius in L-infinity by severity, of pixels in 0..1."""
L2_EPS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Radius in L2 by severity at 224 px; other sizes have the same change a value: eps * size / 224."""
_L2_SIZE_PX: Final = 224


@dataclass(frozen=True)
class AttackRequest:
    """The samples to attack and what the model sees of them.

    `pixels` are uint8 `[N, 3, S, S]` as the model's own preprocessing fits them, None for a model without vision;
    `sizes` width and height in px of the images on disk; `class_texts` the unchanged prompts of each class. `score`
    is the task's own quick score, higher is better (`Task.validation_score`): by it the gates see whether answers
    that are no labels become worthless; without it they go by losses alone.
    """

    pixels: npt.NDArray[np.uint8] | None
    samples: tuple[Sample, ...]
    sizes: tuple[tuple[int, int], ...]
    class_texts: tuple[tuple[str, ...], ...]
    batch_size: int
    seed: int
    device: str
    score: Callable[[Sequence[Prediction], Sequence[Target]], float] | None = None
    beat: Callable[[], None] = lambda: None
    """Called before each batch that the model is shown: an attack may take hours."""


@dataclass(frozen=True)
class AttackResult:
    """Answers to the attacked inputs in the order of the samples; `notes` are JSON-able.

    `skipped` says why the attack says nothing about this model; there are no predictions then.
    """

    predictions: list[Prediction]
    notes: Mapping[str, Any] = field(default_factory=dict)
    skipped: str | None = None


@runtime_checkable
class Attack(Perturbation, Protocol):
    """A perturbation that is sought for each model, with its losses, its gradients or its answers."""

    def predict(self, learner: Learner, request: AttackRequest, severity: int) -> AttackResult:
        """Attack and let the model answer; the model is left as it was, reading the request's class texts."""
        ...


@dataclass(frozen=True)
class AttackOptions:
    """How much an attack may try.

    `gate_steps` are the numbers of steps that the gates compare with the attack's own, `gate_queries` what Square may
    ask beside them; `text_draws` is how often each text perturbation is drawn for one edit; `class_queries` how many
    rewordings of classes are tried an edit, with the mean loss of the first `class_samples` samples. With `quantise`
    the model answers for attacked pixels in whole grey levels, as an image file has them.
    """

    pgd_steps: int = 20
    apgd_steps: int = 50
    queries: int = 500
    gate_samples: int = 8
    gate_steps: tuple[int, ...] = (10, 100)
    gate_queries: int = 200
    quantise: bool = False
    text_draws: int = 4
    class_queries: int = 48
    class_samples: int = 32


class ConfiguredAttack(Protocol):
    """An attack with a name and a budget."""

    @property
    def name(self) -> str:
        """As it is listed."""
        ...

    @property
    def options(self) -> AttackOptions:
        """How much it may try."""
        ...


class NormedAttack(ConfiguredAttack, Protocol):
    """An attack on pixels within a ball."""

    @property
    def norm(self) -> str:
        """LINF or L2."""
        ...


class MethodicalAttack(NormedAttack, Protocol):
    """An attack on pixels by one of the algorithms."""

    @property
    def method(self) -> str:
        """PGD, APGD or SQUARE."""
        ...


def epsilon(norm: str, severity: int, size_px: int) -> float:
    """Radius of the ball of a severity (1..5) for pixels in 0..1 of images `size_px` a side.

    >>> epsilon("linf", 5, 224) * 255, epsilon("l2", 3, 112)
    (8.0, 0.5)
    """
    if severity not in range(1, 6):
        raise UsageError(f"An attack has severities 1 to 5, not {severity}.")
    if norm == LINF:
        return LINF_EPS[severity - 1]
    return L2_EPS[severity - 1] * size_px / _L2_SIZE_PX

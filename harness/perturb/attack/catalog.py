"""The attacks that there are.

Imported whenever perturbations are listed; the algorithms beside this file import torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from harness.perturb.attack.request import (
    APGD,
    ATTACK_FAMILY,
    L2,
    LINF,
    PGD,
    SQUARE,
    AttackOptions,
    AttackRequest,
    AttackResult,
)
from harness.perturb.perturbation import IMAGE, TEXT

if TYPE_CHECKING:
    from harness.protocols import Learner


@dataclass(frozen=True)
class PixelAttack:
    """Changes pixels within a ball around the image."""

    name: str
    summary: str
    method: str
    norm: str
    options: AttackOptions = field(default_factory=AttackOptions)
    family: str = ATTACK_FAMILY
    modality: str = IMAGE
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    version: int = 2

    def predict(self, learner: Learner, request: AttackRequest, severity: int) -> AttackResult:
        """Attack batch by batch; skipped for a model without vision, or without the gradients that it needs."""
        from harness.perturb.attack.pixel_attack import attack_pixels

        return attack_pixels(self, learner, request, severity)


@dataclass(frozen=True)
class TextAttack:
    """Substitutes characters and words of the texts that the model reads; as many edits as the severity says."""

    name: str
    summary: str
    options: AttackOptions = field(default_factory=AttackOptions)
    family: str = ATTACK_FAMILY
    modality: str = TEXT
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    version: int = 2

    def predict(self, learner: Learner, request: AttackRequest, severity: int) -> AttackResult:
        """Attack the text beside each image, and class texts for all samples at once; skipped without a reader."""
        from harness.perturb.attack.text_attack import attack_texts

        return attack_texts(self, learner, request, severity)


@dataclass(frozen=True)
class JointAttack:
    """Alternates an edit of the texts and steps of PGD on the pixels, in L-infinity."""

    name: str
    summary: str
    norm: str = LINF
    options: AttackOptions = field(default_factory=AttackOptions)
    family: str = ATTACK_FAMILY
    modality: str = f"{IMAGE}+{TEXT}"
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    version: int = 2

    def predict(self, learner: Learner, request: AttackRequest, severity: int) -> AttackResult:
        """Attack both; skipped for a model that does not see and read, or has no gradients."""
        from harness.perturb.attack.joint_attack import attack_jointly

        return attack_jointly(self, learner, request, severity)


ATTACKS: Final = (
    PixelAttack("pgd-linf", "projected gradient ascent on the loss, L-infinity", PGD, LINF),
    PixelAttack("pgd-l2", "projected gradient ascent on the loss, L2", PGD, L2),
    PixelAttack("apgd-linf", "gradient ascent that chooses its own steps (APGD), L-infinity", APGD, LINF),
    PixelAttack("apgd-l2", "gradient ascent that chooses its own steps (APGD), L2", APGD, L2),
    PixelAttack("square-linf", "random squares of colour, black box, L-infinity", SQUARE, LINF),
    PixelAttack("square-l2", "random squares of colour, black box, L2", SQUARE, L2),
    TextAttack("text-attack", "substitutions in texts that raise the loss most, black box"),
    JointAttack("joint-attack", "substitutions in texts and gradient ascent on pixels in turn, L-infinity"),
)
"""All of them, severities 1 to 5."""

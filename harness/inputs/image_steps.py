"""Single changes of a training image: it is moved, recoloured, or mixed with changed copies of itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from harness.affine import Affine
from harness.perturb.image.geometry import apply_affine

if TYPE_CHECKING:
    from PIL.Image import Image

FLIP = Affine((-1, 0, 1, 0, 1, 0), mirrored=True)


@dataclass(frozen=True)
class Recolouring:
    """A function of `torchvision.transforms.v2.functional` that moves no pixel, and its arguments."""

    name: str
    arguments: tuple[float, ...] = ()


Single: TypeAlias = "Affine | Recolouring"


@dataclass(frozen=True)
class Mixture:
    """An image in the share `own`, and copies of it that went through chains of changes, in theirs; shares add to 1."""

    own: float
    chains: tuple[tuple[float, tuple[Single, ...]], ...]


def changed_image(step: Affine | Recolouring | Mixture, image: Image) -> Image:
    """Change an RGB image; its size stays."""
    from PIL import Image as pillow

    if isinstance(step, Recolouring):
        from torchvision.transforms.v2 import functional

        changed: Image = getattr(functional, step.name)(image, *step.arguments)
        return changed
    if isinstance(step, Mixture):
        return _mixed(step, image)
    if step == FLIP:
        return image.transpose(pillow.Transpose.FLIP_LEFT_RIGHT)
    return pillow.fromarray(apply_affine(np.asarray(image), step))


def _mixed(mixture: Mixture, image: Image) -> Image:
    from PIL import Image as pillow

    mixed = mixture.own * np.asarray(image, dtype=np.float32)
    for share, chain in mixture.chains:
        copy = image
        for step in chain:
            copy = changed_image(step, copy)
        mixed += share * np.asarray(copy, dtype=np.float32)
    return pillow.fromarray(mixed.clip(0, 255).astype(np.uint8))


def random_movement(name: str, level: float, aspect: float) -> Affine:
    """Say where places go at a level of -1..1: true in pixels, also where height / width is not 1.

    `name` is one of shear-x, shear-y, translate-x, translate-y and rotate, with 0.3, 150 / 331 and 30 degrees at most.
    """
    slant, offset, angle = 0.3 * level, 150 / 331 * level, math.radians(30 * level)
    if name == "shear-x":
        return Affine((1, slant * aspect, 0, 0, 1, 0))
    if name == "shear-y":
        return Affine((1, 0, 0, slant / aspect, 1, 0))
    if name == "translate-x":
        return Affine((1, 0, offset, 0, 1, 0))
    if name == "translate-y":
        return Affine((1, 0, 0, 0, 1, offset))
    cosine, sine = math.cos(angle), math.sin(angle)
    b, d = -sine * aspect, sine / aspect
    return Affine((cosine, b, 0.5 - 0.5 * (cosine + b), d, cosine, 0.5 - 0.5 * (d + cosine)))

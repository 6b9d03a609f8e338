"""For which size of images the strengths of corruptions are taken: `--perturb-scale`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.condition import Condition
from harness.perturb.perturbation import Perturbation

IMAGENET, CIFAR_SCALE = "imagenet", "cifar"
CANVAS_PX = {IMAGENET: 224, CIFAR_SCALE: 32}
"""The shorter side that images have, or are made smaller to, when they are perturbed."""
_SMALL_PX = 64
_LOOKED_AT = 16


def at_scale(known: Mapping[str, Perturbation], scale: str) -> dict[str, Perturbation]:
    """Take the corruptions with the strengths of a scale; all else is the same at each."""
    if scale == IMAGENET:
        return dict(known)
    from harness.perturb.image.cifar import CIFAR

    own: Mapping[str, Any] = {name: corruption for name, corruption in CIFAR.items() if name in known}
    return {**known, **own}


def small_image_warning(
    conditions: Sequence[Condition], known: Mapping[str, Perturbation], images: Sequence[Path]
) -> str | None:
    """Say that strengths for 224 px are far too strong for these images, None where they are not.

    A few of the images are looked at; one that cannot be read says nothing here.
    """
    names = {part.name for condition in conditions for part in condition.parts}
    if not any(getattr(known[name], "made_for_px", 0) > _SMALL_PX for name in names):
        return None
    sides = sorted(side for image in images[:_LOOKED_AT] if (side := _shorter_side(image)) is not None)
    if not sides or sides[len(sides) // 2] >= _SMALL_PX:
        return None
    return (
        f"The images have {sides[len(sides) // 2]} px, the strengths of these corruptions were published for 224 px: "
        "they are much stronger here than in the tables of CIFAR-10-C. Take --perturb-scale cifar for those of 32 px."
    )


def _shorter_side(path: Path) -> int | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return min(image.size)
    except (OSError, ValueError, SyntaxError):
        return None

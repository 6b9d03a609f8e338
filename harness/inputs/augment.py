"""Random changes of training images: crop, flip, RandAugment, AugMix; what is right for an image goes with it.

Draws depend on seed, sample and epoch alone, not on threads or on what else is drawn.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from harness.affine import Affine
from harness.errors import UsageError
from harness.inputs.augmix import drawn_mixture
from harness.inputs.image_steps import FLIP, Mixture, Recolouring, changed_image, random_movement
from harness.inputs.images import fit_image
from harness.protocols import MovesTargets, MovesTexts, Task
from harness.sample import Preprocessing, Sample
from harness.text.spelling import name_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

CropBox: TypeAlias = tuple[int, int, int, int]
Step: TypeAlias = "Affine | Recolouring | Mixture"

_AREAS, _LOG_RATIOS = (0.08, 1.0), (math.log(3 / 4), math.log(4 / 3))  # as in Inception (arXiv 1409.4842)
_TRIES = 10
_NUDGE = Affine((1, 0, 0.1, 0, 1, 0.1))
_OPERATIONS = 2
_LEVEL = 9 / 30
"""RandAugment's two operations at magnitude 9 of 30, the defaults of torchvision."""
_RECOLOURINGS = {
    "adjust_brightness": 0.9 * _LEVEL, "adjust_saturation": 0.9 * _LEVEL, "adjust_contrast": 0.9 * _LEVEL,
    "adjust_sharpness": 0.9 * _LEVEL, "posterize": None, "solarize": None, "autocontrast": None, "equalize": None,
}  # fmt: skip
_ARGUMENTS = {"posterize": (7,), "solarize": (255 * (1 - _LEVEL),)}
_MOVES = ("identity", "shear-x", "shear-y", "translate-x", "translate-y", "rotate")


@dataclass(frozen=True)
class Augmentation:
    """How one image is changed: the part that is kept, in px of the upright image (None: all), and what follows."""

    box: CropBox | None = None
    steps: tuple[Step, ...] = ()

    def movements(self, size: tuple[int, int]) -> tuple[Affine, ...]:
        """List where the places of an image of this width and height go, one movement after the other."""
        moved = tuple(step for step in self.steps if isinstance(step, Affine))
        return moved if self.box is None else (_cut(self.box, size), *moved)

    def fit(self, image: Image, preprocessing: Preprocessing) -> Image:
        """Make of an upright image the square that a tower takes, changed; resampled once, and for each movement."""
        from PIL import Image as pillow

        resampling = pillow.Resampling[preprocessing.interpolation.upper()]
        if self.box is None and preprocessing.fit != "pad":
            region = fit_image(image, preprocessing)
        else:
            box = self.box or (0, 0, *image.size)
            region = image.resize(preprocessing.extent(*image.size), resampling, box=box)
        for step in self.steps:
            region = changed_image(step, region)
        if preprocessing.fit != "pad":
            return region
        square = pillow.new("RGB", (preprocessing.size, preprocessing.size))
        square.paste(region)
        return square


@dataclass(frozen=True)
class Augmenter:
    """Draws changes of a task's images; `kinds` are some of crop, flip, randaugment and augmix."""

    kinds: frozenset[str]
    seed: int
    task: Task

    def draw(self, sample: Sample, epoch: int, size: tuple[int, int], preprocessing: Preprocessing) -> Augmentation:
        """Draw how a sample's image of this width and height is changed in an epoch."""
        name = int.from_bytes(hashlib.sha256(name_bytes(sample.sample_id)).digest()[:8], "big")
        rng = np.random.default_rng([self.seed, epoch, name])
        box = _random_box(size, rng) if "crop" in self.kinds else None
        steps: list[Step] = [FLIP] if "flip" in self.kinds and rng.random() < 0.5 else []
        if "randaugment" in self.kinds:
            extent = preprocessing.extent(*size)
            steps += [step for _ in range(_OPERATIONS) if (step := _random_step(extent, rng)) is not None]
        if "augmix" in self.kinds:
            steps.append(drawn_mixture(rng, preprocessing.extent(*size), moves=self._stays(sample)))
        return Augmentation(box, tuple(steps))

    def _stays(self, sample: Sample) -> bool:
        """Whether what is right for a sample has no place in the image: the same target is right where it is moved."""
        assert isinstance(self.task, MovesTargets)
        return self.task.moved(sample.target, _NUDGE) is sample.target

    def moved(self, sample: Sample, movements: tuple[Affine, ...]) -> Sample:
        """Have target and text of a sample follow its image."""
        assert isinstance(self.task, MovesTargets)
        target, text = sample.target, sample.text
        for movement in movements:
            target = self.task.moved(target, movement)
            if text is not None and isinstance(self.task, MovesTexts):
                text = self.task.moved_text(text, movement)
        return replace(sample, target=target, text=text)


def augmenter_for(wish: str | None, seed: int, task: Task) -> Augmenter | None:
    """Read `train.augment`; raises UsageError for a task whose targets do not follow a moved image."""
    if wish is None:
        return None
    if not isinstance(task, MovesTargets):
        raise UsageError(
            f"train.augment={wish} moves images, and {task.name} does not say what is right for an image that was "
            "moved. Leave train.augment out for it."
        )
    return Augmenter(frozenset(wish.split("+")), seed, task)


def _cut(box: CropBox, size: tuple[int, int]) -> Affine:
    """Map the places of an image to those of a part of it, made as large as the whole."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    return Affine((size[0] / width, 0, -left / width, 0, size[1] / height, -top / height))


def _random_box(size: tuple[int, int], rng: np.random.Generator) -> CropBox:
    """Draw a part of 8 to 100 % of the area and an aspect of 3/4 to 4/3; after 10 misses the largest central one."""
    width, height = size
    for _ in range(_TRIES):
        area, aspect = width * height * rng.uniform(*_AREAS), math.exp(rng.uniform(*_LOG_RATIOS))
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high <= height:
            left, top = (int(rng.integers(0, spare + 1)) for spare in (width - wide, height - high))
            return left, top, left + wide, top + high
    aspect = min(max(width / height, math.exp(_LOG_RATIOS[0])), math.exp(_LOG_RATIOS[1]))
    wide, high = max(1, min(width, round(height * aspect))), max(1, min(height, round(width / aspect)))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high


def _random_step(extent: tuple[int, int], rng: np.random.Generator) -> Step | None:
    """Draw one of RandAugment's 14 operations (Cubuk et al. 2020, arXiv 1909.13719), for an image of this size."""
    names = (*_MOVES, *_RECOLOURINGS)
    name, side = names[int(rng.integers(len(names)))], 1 if rng.random() < 0.5 else -1
    if name == "identity":
        return None
    if name in _RECOLOURINGS:
        strength = _RECOLOURINGS[name]
        return Recolouring(name, _ARGUMENTS.get(name, ()) if strength is None else (1 + side * strength,))
    return random_movement(name, side * _LEVEL, extent[1] / extent[0])

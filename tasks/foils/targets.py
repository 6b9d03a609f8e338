"""What a pair of caption and foil is, and how it becomes a sample."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from harness.sample import Sample
from harness.text.spelling import name_bytes

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class FoilTarget:
    """Which of a sample's choices is true, and in what the others are false.

    `slices` name the kind of foil; `image_id` says which samples share an image; `group` joins the two images whose
    captions are each other's foils ("" where there is no such pair). `references` are true captions of a training
    image: what models that write are trained on.
    """

    choice: int
    slices: tuple[str, ...] = ()
    image_id: str = ""
    group: str = ""
    references: tuple[str, ...] = ()


def foil_sample(sample_id: str, image: Path, texts: tuple[str, ...], target: FoilTarget) -> Sample:
    """Make a sample of a true text, the first, and its foils; where the true one stands is drawn by the sample's id."""
    place = true_place(sample_id, len(texts))
    choices = at_place(texts, place)
    placed = FoilTarget(place, target.slices, target.image_id, target.group, target.references)
    return Sample(sample_id, image, placed, choices=choices)


def true_place(sample_id: str, count: int) -> int:
    """Draw where the true one of so many texts stands: the same for a sample everywhere."""
    return hashlib.sha256(name_bytes(sample_id)).digest()[0] % count


def at_place(values: tuple[_Value, ...], place: int) -> tuple[_Value, ...]:
    """Move the first of some values to a place.

    >>> at_place(("true", "false"), 1)
    ('false', 'true')
    """
    return (*values[1 : place + 1], values[0], *values[place + 1 :])

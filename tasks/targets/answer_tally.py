"""What label images made elsewhere hold beside their score: pixels without a class, and values that are one off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.answers import IGNORED
from harness.sample import Note
from tasks.formats.label_maps import LabelScheme

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Map = npt.NDArray[np.integer[Any]]

_SHIFTS = (1, -1)
_PLAIN = 0.25
"""By how much of the pixels must shifted values agree more with the truth to be told."""


@dataclass(frozen=True)
class AnswerTally:
    """Pixels of an image that are asked for, those answered with no class, and those that are right.

    `shifted` are those that would be right if 1 were added to, or taken from, each stored value; 0 where not known.
    """

    asked: int
    without_class: int
    right: int
    shifted: tuple[int, int]


def is_consecutive(scheme: LabelScheme) -> bool:
    """Tell label values that follow each other, in the order of the classes."""
    return scheme.values == tuple(range(scheme.values[0], scheme.values[0] + len(scheme.values)))


def tally(truth: Map, labels: Map, stored: Map | None, scheme: LabelScheme) -> AnswerTally:
    """Compare class indices `[H, W]`, C where an answer is no class; `stored` are the values of the file."""
    asked = truth != IGNORED
    classes = len(scheme.class_names)
    shifted = (0, 0)
    if stored is not None:
        first, second = (int((asked & (stored + shift - scheme.values[0] == truth)).sum()) for shift in _SHIFTS)
        shifted = (first, second)
    right = int((asked & (labels == truth)).sum())
    return AnswerTally(int(asked.sum()), int((asked & (labels == classes)).sum()), right, shifted)


def tally_notes(tallies: Sequence[AnswerTally], scheme: LabelScheme) -> list[Note]:
    """Say the share of pixels without a class, and whether all values look one too low or too high."""
    asked = sum(tally.asked for tally in tallies)
    if not asked:
        return []
    without = sum(tally.without_class for tally in tallies)
    right = sum(tally.right for tally in tallies)
    found = []
    if without:
        values = " and ".join(map(str, sorted(scheme.ignored))) or "unlabelled"
        text = (
            f"{without / asked:.1%} of the pixels that are asked for are answered with no class ({values} "
            f"{'are none' if len(scheme.ignored) > 1 else 'is none'} here): they count as missed"
        )
        found.append(Note(text, None, without, asked))
    for place, word in enumerate(("one too low", "one too high")):
        better = sum(tally.shifted[place] for tally in tallies)
        if better - right >= _PLAIN * asked:
            first, last = scheme.values[0], scheme.values[-1]
            text = (
                f"the values of the label images look {word}: shifted by one they agree with {better / asked:.1%} of "
                f"the pixels, as they are with {right / asked:.1%}. The classes have the values {first}..{last} here "
                "(ADE20K counts from 1, 0 being no class); write the answers in them"
            )
            found.append(Note(text, None, better, asked))
    return found

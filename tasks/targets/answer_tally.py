"""Compares label images with the truth: pixels of each class, without a class, and of values that are one off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.answers import IGNORED
from harness.sample import Note
from tasks.formats.label_maps import BYTES, STRANGE, LabelScheme, values_and_places

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.stats.resampling import IntArray

    Map = npt.NDArray[np.integer[Any]]

_SHORT = 8  # pixels of a stretch on average below which pixels are counted one by one
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


@dataclass(frozen=True)
class ComparedMaps:
    """How many pixels of an image have each class in the truth and each value in an answer: one pass over them."""

    table: IntArray  # [C, V]; pixels that are not asked for are left out
    values: IntArray  # [V] what the answer may hold, ascending
    held: npt.NDArray[np.bool_]  # [V] which of these it does hold, at pixels that are not asked for too

    @classmethod
    def of(cls, truth: Map, answer: Map, classes: int) -> ComparedMaps:
        """Compare class indices `[H, W]` with an answer's values; what is not asked for in the truth is IGNORED."""
        import numpy as np

        values, place = values_and_places(answer)
        width = len(values)
        kind: type[np.integer[Any]] = np.uint16 if (classes + 1) * width <= IGNORED else np.int64
        row = np.minimum(truth, classes).astype(kind, copy=False)
        cells = np.bincount((row * kind(width) + place.astype(kind)).ravel(), minlength=(classes + 1) * width)
        table = cells.reshape(classes + 1, width)
        return cls(table[:classes], values, np.asarray(table.any(axis=0)))

    @classmethod
    def of_bytes(cls, truth: Map, answer: Map, meaning: IntArray, classes: int) -> ComparedMaps | None:
        """Compare stored values of 8 bits, `[H, W]` uint8 both; `meaning` [256] are the classes of the truth's.

        To look up 256 values is faster than 260,000 pixels. None where the truth has a value that is STRANGE.
        """
        import numpy as np

        cells = _count_pairs(truth, answer)
        there = np.flatnonzero(cells.any(axis=1))
        if (meaning[there] == STRANGE).any():
            return None
        asked = there[meaning[there] != IGNORED]
        table = np.zeros((classes, 256), np.int64)
        np.add.at(table, meaning[asked], cells[asked])
        return cls(table, BYTES, np.asarray(cells.any(axis=0)))

    def counts(self, meaning: IntArray) -> IntArray:
        """[C, 3] pixels of each class: true and found, true, predicted; `meaning` [V] are classes, C for none."""
        import numpy as np

        classes = len(self.table)
        found = np.zeros((classes + 1, 3), np.int64)
        np.add.at(found[:, 0], meaning, self._agreeing(meaning))
        found[:classes, 1] = self.table.sum(axis=1)
        np.add.at(found[:, 2], meaning, self.table.sum(axis=0))
        return found[:classes]

    def tally(self, meaning: IntArray, first: int | None) -> AnswerTally:
        """Count what is right; `first` is the value of class 0 where values follow each other."""
        right, without = self._agreeing(meaning).sum(), self.table[:, meaning == len(self.table)].sum()
        one, other = (
            0 if first is None else int(self._agreeing(self.values + shift - first).sum()) for shift in _SHIFTS
        )
        return AnswerTally(int(self.table.sum()), int(without), int(right), (one, other))

    def _agreeing(self, classes: IntArray) -> IntArray:
        """[V] pixels of each value whose class is right where it means these [V]; any other number is no class."""
        known = (classes >= 0) & (classes < len(self.table))
        found: IntArray = self.table[classes * known, range(len(classes))] * known
        return found


def _count_pairs(truth: Map, answer: Map) -> IntArray:
    """[256, 256] how many pixels have each value in the truth and each in the answer, uint8 both `[H, W]`.

    Neighbours are mostly alike, so stretches of one pair are counted rather than pixels, which takes a third.
    """
    import numpy as np

    pairs = truth.astype(np.uint16)
    pairs <<= 8
    pairs |= answer
    pairs = pairs.ravel()
    changes = pairs[1:] != pairs[:-1]
    if np.count_nonzero(changes) > len(pairs) // _SHORT:
        return np.bincount(pairs, minlength=2**16).reshape(256, 256)
    ends = np.append(np.flatnonzero(changes), len(pairs) - 1)
    cells = np.bincount(pairs[ends], weights=np.diff(ends, prepend=-1), minlength=2**16)
    return cells.astype(np.int64).reshape(256, 256)


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

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
    """The pairs of class and value that the pixels of an image have: one pass over them, and few numbers after it."""

    truth: IntArray  # [P] the class of each pair in the truth, 0..C-1: those that are not asked for are left out
    answer: IntArray  # [P] its place among the values
    pixels: IntArray  # [P] how many pixels have it
    classes: int
    values: IntArray  # [V] what the answer may hold, ascending
    held: IntArray  # places of those that it does hold, at pixels that are not asked for too

    @classmethod
    def of(cls, truth: Map, answer: Map, classes: int) -> ComparedMaps:
        """Compare class indices `[H, W]` with an answer's values; what is not asked for in the truth is IGNORED."""
        import numpy as np

        values, place = values_and_places(answer)
        width = len(values)
        kind: type[np.integer[Any]] = np.uint16 if (classes + 1) * width <= IGNORED else np.int64
        row = np.minimum(truth, classes).astype(kind, copy=False)
        cells = np.bincount((row * kind(width) + place.astype(kind)).ravel(), minlength=(classes + 1) * width)
        pairs = np.flatnonzero(cells > 0)
        return cls._asked(pairs // width, pairs % width, cells[pairs], (classes, values))

    @classmethod
    def of_bytes(cls, truth: Map, answer: Map, meaning: IntArray, classes: int) -> ComparedMaps | None:
        """Compare stored values of 8 bits, `[H, W]` uint8 both; `meaning` [256] are the classes of the truth's.

        To look up the pairs that there are is faster than 260,000 pixels. None where the truth has a value that is
        STRANGE.
        """
        pairs, pixels = _counted_pairs(truth, answer)
        row = meaning[pairs >> 8]
        if (row == STRANGE).any():
            return None
        return cls._asked(row, pairs & 255, pixels, (classes, BYTES))

    @classmethod
    def _asked(
        cls, truth: IntArray, answer: IntArray, pixels: IntArray, kinds: tuple[int, npt.NDArray[np.int64]]
    ) -> ComparedMaps:
        """Leave out pairs whose truth is no class."""
        import numpy as np

        classes, values = kinds
        asked = truth < classes
        return cls(truth[asked], answer[asked], pixels[asked], classes, values, np.unique(answer))

    def counts(self, meaning: IntArray) -> IntArray:
        """[C, 3] pixels of each class: true and found, true, predicted; `meaning` [V] are classes, C for none."""
        import numpy as np

        found = meaning[self.answer]
        columns = [
            np.bincount(classes, weights=pixels, minlength=self.classes + 1)[: self.classes]
            for classes, pixels in (
                (self.truth, self.pixels * (found == self.truth)), (self.truth, self.pixels), (found, self.pixels),
            )
        ]  # fmt: skip
        return np.stack(columns, axis=1).astype(np.int64)

    def tally(self, meaning: IntArray, first: int | None) -> AnswerTally:
        """Count what is right; `first` is the value of class 0 where values follow each other."""
        found = meaning[self.answer]
        without = int(self.pixels[found == self.classes].sum())
        one, other = (
            0 if first is None else self._right(self.values[self.answer] + shift - first) for shift in _SHIFTS
        )
        return AnswerTally(int(self.pixels.sum()), without, self._right(found), (one, other))

    def _right(self, found: IntArray) -> int:
        """Pixels whose class is the one that was found, [P] of each pair; any other number is no class."""
        return int(self.pixels[found == self.truth].sum())


def _counted_pairs(truth: Map, answer: Map) -> tuple[IntArray, IntArray]:
    """[P] the pairs that there are, 256 times the truth's value and the answer's, and [P] the pixels of each.

    Both are uint8 `[H, W]`. Neighbours are mostly alike, so stretches of one pair are counted rather than pixels, which
    takes a third.
    """
    import numpy as np

    pairs = truth.astype(np.uint16)
    pairs <<= 8
    pairs |= answer
    pairs = pairs.ravel()
    changes = pairs[1:] != pairs[:-1]
    if np.count_nonzero(changes) > len(pairs) // _SHORT:
        cells = np.bincount(pairs, minlength=2**16)
    else:
        ends = np.append(np.flatnonzero(changes), len(pairs) - 1)
        cells = np.bincount(pairs[ends], weights=np.diff(ends, prepend=-1), minlength=2**16)
    there = np.flatnonzero(cells > 0)  # of truth values, which NumPy finds far faster than numbers
    return there, cells[there].astype(np.int64)


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

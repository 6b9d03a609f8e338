"""What stands beside example images: answers of every kind in words, and what of them is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness.answers import (
    BOXES,
    CAPTIONS,
    CHOICES,
    IGNORED,
    LABELS,
    MAPS,
    decode_label_map,
    describe_answer,
    describe_target,
    encode_label_map,
)
from harness.run.drawable import drawable_answer, drawable_target
from harness.sample import Classes, Sample, TaskSpec


@dataclass(frozen=True)
class Target:
    """A target with the members of every kind."""

    label: int = 1
    boxes: tuple[tuple[float, float, float, float], ...] = ((0.1, 0.2, 0.3, 0.4), (0.5, 0.5, 0.25, 0.25))
    labels: tuple[int, ...] = (0, 1)
    crowd: tuple[bool, ...] = (False, True)
    choice: int = 1

    def label_map(self) -> np.ndarray:
        """One row of the first class, one that nobody is asked about."""
        labels = np.zeros((200, 400), dtype=np.uint16)
        labels[100:] = IGNORED
        return labels


def spec(answers: str) -> TaskSpec:
    return TaskSpec("a-task", (), answers, Classes(("cat", "dog")))


def test_boxes_keep_their_places_names_and_scores_and_weak_ones_are_left_out() -> None:
    drawn = drawable_target(Target(), spec(BOXES))
    assert drawn == {
        "boxes": [["cat", None, 0.1, 0.2, 0.3, 0.4], ["dog (crowd)", None, 0.5, 0.5, 0.25, 0.25]], "left_out": 0
    }  # fmt: skip
    answer = [[1, 0.29, 0, 0, 1, 1], [0, 0.5, 0, 0, 0.5, 0.5], [1, 0.9, 0.123456789, 0, 1, 1]]
    assert drawable_answer(answer, spec(BOXES)) == {
        "boxes": [["dog", 0.9, 0.12346, 0.0, 1.0, 1.0], ["cat", 0.5, 0.0, 0.0, 0.5, 0.5]], "left_out": 0
    }  # fmt: skip
    many = drawable_answer([[0, 0.5, 0, 0, 0.5, 0.5]] * 15, spec(BOXES))
    assert many is not None
    assert (len(many["boxes"]), many["left_out"]) == (12, 3)


def test_maps_are_made_small_and_keep_their_classes() -> None:
    drawn = drawable_target(Target(), spec(MAPS))
    assert drawn is not None
    small = decode_label_map(drawn)
    assert small.shape == (48, 96)
    assert (small[:24] == 0).all()
    assert (small[24:] == IGNORED).all()
    answer = encode_label_map(np.ones((4, 6), dtype=np.uint16))
    assert decode_label_map(drawable_answer(answer, spec(MAPS)) or {}).shape == (4, 6)


@pytest.mark.parametrize(
    ("answers", "answer", "said", "right"),
    [
        (CAPTIONS, "a cat", "a cat", ""),
        (CHOICES, [-3.0, 2.5], "a black dog (2.50)", "a black dog"),
        (BOXES, [[0, 0.5, 0, 0, 1, 1]], "cat (0.50)", "cat, dog"),
        (MAPS, encode_label_map(np.ones((2, 2), dtype=np.uint16)), "dog 100%", ""),
    ],
)
def test_each_kind_of_answer_has_words(answers: str, answer: object, said: str, right: str) -> None:
    sample = Sample("1", Path("1.png"), Target(), choices=("a white cat", "a black dog"))
    assert describe_answer(answer, spec(answers), sample.choices) == said
    assert describe_target(sample, spec(answers)) == right


@pytest.mark.parametrize("answers", [CAPTIONS, LABELS, CHOICES])
def test_words_are_not_drawn(answers: str) -> None:
    assert drawable_target(Target(), spec(answers)) is None

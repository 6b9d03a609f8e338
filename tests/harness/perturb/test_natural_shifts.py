"""A second data set: classes matched by name, answers turned into answers about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.answers import BOXES, CAPTIONS, LABELS, NO_CLASS
from harness.errors import DataError
from harness.perturb.natural_shifts import ShiftedSplit, matched_classes
from harness.sample import Classes, Dataset

DATA = Dataset("d", Path(), "x", "l", ("test",), "train", "val", "test")


def test_classes_are_matched_by_name_whatever_their_order_and_spelling() -> None:
    own = Classes(("great white shark", "goldfish", "hen"))
    assert matched_classes(own, Classes(("Hen", "great_white-shark")), ("a", "b")) == (2, 0)
    with pytest.raises(DataError, match="--shift b: 1 of its 2 classes are not among those of a, first 'cat'"):
        matched_classes(own, Classes(("hen", "cat")), ("a", "b"))


def test_probabilities_are_those_among_the_classes_that_both_have() -> None:
    target = ShiftedSplit(DATA, "test", LABELS, (2, 0))
    assert target.translate([0.3, 0.6, 0.1]) == pytest.approx([0.25, 0.75])
    assert target.translate([0.0, 1.0, 0.0]) == pytest.approx([0.5, 0.5])


def test_a_label_alone_is_one_of_the_others_classes_or_none() -> None:
    target = ShiftedSplit(DATA, "test", LABELS, (2, 0))
    assert [target.translate(answer) for answer in (2, 0, 1, NO_CLASS)] == [0, 1, NO_CLASS, NO_CLASS]
    assert ShiftedSplit(DATA, "test", LABELS).translate(1) == 1


def test_boxes_of_other_classes_are_dropped_and_captions_stay() -> None:
    boxes = [[0, 0.9, 0, 0, 1, 1], [1, 0.8, 0, 0, 1, 1], [2, 0.7, 0, 0, 1, 1]]
    assert ShiftedSplit(DATA, "test", BOXES, (2, 0)).translate(boxes) == [[1, 0.9, 0, 0, 1, 1], [0, 0.7, 0, 0, 1, 1]]
    assert ShiftedSplit(DATA, "test", CAPTIONS).translate("a cat") == "a cat"
    assert ShiftedSplit(DATA, "test", LABELS).translate([0.2, 0.8]) == [0.2, 0.8]

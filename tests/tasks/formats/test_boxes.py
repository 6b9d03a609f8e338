"""Boxes of any kind are either clipped into their image or refused with their place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from tasks.formats.boxes import TOLERANCE_PX, box_array, clip_boxes

WILD = st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=2), st.booleans())
NUMBERS = st.floats(-30, 60) | st.sampled_from([0.0, 5e-324, 1e-300, 19.999999999999996, 20.0, -1.0, 21.0])
SIZE = (20, 10)


def place(position: int) -> str:
    return f"file: annotation {position}"


def sizes(count: int) -> np.ndarray:
    return np.array([SIZE] * count, np.float64).reshape(-1, 2)


@given(boxes=st.lists(st.lists(WILD, max_size=5) | WILD, max_size=4))
def test_whatever_json_holds_becomes_boxes_or_is_named(boxes: list[object]) -> None:
    try:
        array = box_array(boxes, place)
    except DataError as error:
        assert "file: annotation" in str(error)
    else:
        assert array.shape == (len(boxes), 4)
        assert np.isfinite(array).all()
        assert array.tolist() == boxes or all(type(value) in (int, float) for box in boxes for value in box)


def verdict(box: list[float]) -> str:
    """The rule in plain words, for one box."""
    x, y, width, height = box
    if width < 0 or height < 0:
        return "negative"
    if width == 0 or height == 0:
        return "no area"
    if x >= SIZE[0] or y >= SIZE[1] or x + width <= 0 or y + height <= 0:
        return "outside"
    out = max(-x, -y, x + width - SIZE[0], y + height - SIZE[1])
    return "sticks out" if out > TOLERANCE_PX + 1e-6 else "fine"


@given(box=st.lists(NUMBERS, min_size=4, max_size=4))
def test_a_box_is_clipped_into_its_image_or_refused(box: list[float]) -> None:
    array = box_array([[1, 1, 2, 2], box], place)
    expected = verdict(box)
    try:
        clipped = clip_boxes(array, sizes(2), place)
    except DataError as error:
        assert "annotation 1" in str(error)
        assert expected in str(error) or (expected == "fine" and "no area inside" in str(error))
        return
    assert expected == "fine"
    assert clipped[0].tolist() == [1, 1, 2, 2]
    x, y, width, height = clipped[1]
    assert x >= 0
    assert y >= 0
    assert width > 0
    assert height > 0
    assert x + width <= SIZE[0] + 1e-9
    assert y + height <= SIZE[1] + 1e-9
    assert np.abs(clipped[1] - array[1]).max() <= 2 * TOLERANCE_PX + 1e-5


def test_a_box_that_is_inside_keeps_its_bits() -> None:
    box = [0.1, 0.2, 0.30000000000000004, 9.7]
    assert clip_boxes(box_array([box], place), sizes(1), place).tolist() == [box]


def test_no_boxes_are_no_error() -> None:
    assert clip_boxes(box_array([], place), sizes(0), place).shape == (0, 4)


def test_a_number_that_no_float_holds_is_refused() -> None:
    with pytest.raises(DataError, match="annotation 1 has the box"):
        box_array([[1, 2, 3, 4], [1, 2, 3, 10**400]], place)

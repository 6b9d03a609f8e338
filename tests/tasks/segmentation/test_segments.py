"""A label map's segments: one of each kind of stuff, and of things one a connected part."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.formats.coco_entries import Category
from tasks.segmentation.segments import PanopticClasses

CLASSES = PanopticClasses(
    (
        Category(4, "cat", {"isthing": 1}),
        Category(6, "sky", {"isthing": 0}),
        Category(9, "dog", {"isthing": 1}),
    )
)


def reference_segments(labels: np.ndarray) -> set[tuple[int, frozenset[tuple[int, int]]]]:
    """Category and pixels of each segment, by flooding from pixel to pixel."""
    found: set[tuple[int, frozenset[tuple[int, int]]]] = set()
    left = {(int(y), int(x)) for y, x in np.argwhere(labels < 3)}
    sky = frozenset(pixel for pixel in left if labels[pixel] == 1)
    if sky:
        found.add((6, sky))
    left -= sky
    while left:
        first = left.pop()
        part, edge = {first}, [first]
        while edge:
            y, x = edge.pop()
            for pixel in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if pixel in left and labels[pixel] == labels[first]:
                    left.remove(pixel)
                    part.add(pixel)
                    edge.append(pixel)
        if len(part) >= 16:
            found.add(((4, 6, 9)[labels[first]], frozenset(part)))
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 14))
def test_parts_of_things_are_those_of_flooding(seed: int, height: int, width: int) -> None:
    source = np.random.default_rng(seed)
    labels = np.kron(source.integers(0, 4, (height, width)), np.ones((3, 4), int)).astype(np.uint16)
    segments = CLASSES.segments_of_labels(labels)
    seen = {
        (info["category_id"], frozenset((int(y), int(x)) for y, x in np.argwhere(segments.ids == info["id"])))
        for info in segments.segments_info
    }
    assert seen == reference_segments(labels)
    assert set(np.unique(segments.ids)) - {0} == {info["id"] for info in segments.segments_info}


def test_parts_by_hand() -> None:
    labels = np.full((12, 12), 1, np.uint16)
    labels[0:4, 0:4], labels[4:8, 4:8], labels[9:12, 0:5] = 0, 0, 2  # two cats at a corner; a dog of 15 px
    segments = CLASSES.segments_of_labels(labels)
    assert [info["category_id"] for info in segments.segments_info] == [4, 4, 6]
    assert (segments.ids[0, 0], segments.ids[5, 5], segments.ids[10, 2], segments.ids[0, 11]) == (1, 2, 0, 3)

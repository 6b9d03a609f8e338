"""Run lengths are summed without drawing them, exactly as pycocotools counts pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as rle

from tasks.formats.segmentations import check_segmentations, mask_area, mask_run_totals

MASKS = st.lists(arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 1)))


@given(masks=MASKS, compressed=st.booleans())
def test_areas_and_totals_equal_those_of_the_pixels(masks: list[np.ndarray], compressed: bool) -> None:
    coded = [rle.encode(np.asfortranarray(mask)) for mask in masks]
    counts = [code["counts"] if compressed else runs(mask) for code, mask in zip(coded, masks, strict=True)]
    found = mask_run_totals(counts)
    assert not found.broken.any()
    assert found.areas.tolist() == [mask.sum() for mask in masks] == [rle.area(code) for code in coded]
    assert found.totals.tolist() == [mask.size for mask in masks]


def runs(mask: np.ndarray) -> list[int]:
    """Uncompressed run lengths, by hand."""
    counts, value = [0], 0
    for pixel in mask.flatten(order="F").tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def test_long_runs_and_many_runs() -> None:
    big = np.zeros((3000, 2500), np.uint8, order="F")
    big[100:2900, 1000:1500] = 1
    stripes = np.asfortranarray(np.arange(640 * 480).reshape(640, 480) % 3 == 0, dtype=np.uint8)
    found = mask_run_totals([rle.encode(mask)["counts"].decode() for mask in (big, stripes)])
    assert found.areas.tolist() == [2800 * 500, stripes.sum()]
    assert found.totals.tolist() == [big.size, stripes.size]


def test_more_masks_than_are_decoded_at_once() -> None:
    generator = np.random.default_rng(0)
    masks = [np.asfortranarray(generator.random((40, 50)) < 0.3, dtype=np.uint8) for _ in range(300)]
    coded = [rle.encode(mask)["counts"] for mask in masks]
    assert sum(map(len, coded)) > 3 * 2**16
    found = mask_run_totals([*coded, "", *coded[:2]])
    assert found.areas.tolist() == [int(mask.sum()) for mask in [*masks, np.zeros(1), *masks[:2]]]
    assert found.broken.tolist() == [False] * 300 + [True, False, False]


def test_a_string_worked_by_hand() -> None:
    # runs 3, 40, 5, 38: "3" is 3; 40 = 8 + 32 * 1 is "X1"; "5"; 38 - 40 = -2 is 30 with the sign, "N"
    found = mask_run_totals(["3X15N"])
    assert (found.areas[0], found.totals[0], found.broken[0]) == (78, 86, False)


@given(texts=st.lists(st.text(st.characters(max_codepoint=130), max_size=20), max_size=5))
def test_any_string_is_summed_or_broken_and_spoils_no_other(texts: list[str]) -> None:
    found = mask_run_totals([*texts, "3X15N"])
    assert (found.areas[-1], found.totals[-1], found.broken[-1]) == (78, 86, False)
    alone = [mask_run_totals([text]) for text in texts]
    assert found.broken[:-1].tolist() == [one.broken[0] for one in alone]
    assert found.totals[:-1].tolist() == [one.totals[0] for one in alone]


def test_strings_that_mean_nothing_are_broken() -> None:
    assert mask_run_totals(["", "X", "\x01", "é", "0ooooooo0", "N"]).broken.all()


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of pycocotools, in decode
@given(points=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 10)), min_size=3, max_size=8))
def test_polygon_areas_are_those_of_pycocotools(points: list[tuple[float, float]]) -> None:
    polygon = [value for point in points for value in point]
    assert np.isnan(check_segmentations([[polygon], None], [(20, 10)] * 2, str)).all()
    code = rle.merge(rle.frPyObjects([polygon, polygon], 10, 20))
    assert mask_area([polygon, polygon], 20, 10) == rle.decode(code).sum()

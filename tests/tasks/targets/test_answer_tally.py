"""Label images compared as they are stored count what maps of classes count."""

from __future__ import annotations

import numpy as np
import pytest

from harness.answers import IGNORED
from tasks.formats.label_maps import BYTES, STRANGE, LabelScheme
from tasks.targets.answer_tally import ComparedMaps

SCHEME = LabelScheme(("a", "b", "c"), (1, 7, 200), frozenset({0, 255}))


@pytest.mark.parametrize("left_out", [(), (1,)])
@pytest.mark.parametrize("wide", [1, 50])
def test_stored_bytes_are_compared_as_their_classes(wide: int, left_out: tuple[int, ...]) -> None:
    source = np.random.default_rng(0)
    truth, answer = source.choice([0, 1, 7, 200, 255], (2, 19, 23)).astype(np.uint8).repeat(wide, axis=2)
    meaning = SCHEME.meaning(BYTES, IGNORED)
    meaning[np.isin(meaning, left_out)] = IGNORED
    found = ComparedMaps.of_bytes(truth, answer, meaning, 3)
    expected = ComparedMaps.of(meaning[truth].astype(np.uint16), answer, 3)
    assert found is not None
    np.testing.assert_array_equal(found.table, expected.table)
    np.testing.assert_array_equal(found.held, expected.held)
    assert np.flatnonzero(found.held).tolist() == [0, 1, 7, 200, 255]
    of_answer = SCHEME.meaning(BYTES, 3)
    of_answer[of_answer == STRANGE] = 3
    np.testing.assert_array_equal(found.counts(of_answer), expected.counts(of_answer))


def test_a_value_of_the_truth_that_means_nothing_is_not_compared() -> None:
    truth = np.array([[1, 9]], np.uint8)
    assert ComparedMaps.of_bytes(truth, truth, SCHEME.meaning(BYTES, IGNORED), 3) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1)])
def test_images_of_one_stretch(shape: tuple[int, int]) -> None:
    truth, answer = np.full(shape, 7, np.uint8), np.full(shape, 1, np.uint8)
    found = ComparedMaps.of_bytes(truth, answer, SCHEME.meaning(BYTES, IGNORED), 3)
    assert found is not None and found.table.sum() == found.table[1, 1] == truth.size

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
    assert pairs_of(found) == pairs_of(expected)
    assert found.values[found.held].tolist() == expected.values[expected.held].tolist() == [0, 1, 7, 200, 255]
    of_answer = SCHEME.meaning(BYTES, 3)
    of_answer[of_answer == STRANGE] = 3
    np.testing.assert_array_equal(found.counts(of_answer), expected.counts(of_answer))


def pairs_of(compared: ComparedMaps) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for truth, place, pixels in zip(compared.truth, compared.answer, compared.pixels, strict=True):
        pair = int(truth), int(compared.values[place])
        found[pair] = found.get(pair, 0) + int(pixels)
    return found


@pytest.mark.parametrize("values", [BYTES, np.arange(-3, 9)])
def test_counts_and_tallies_are_those_of_pixels(values: np.ndarray) -> None:
    source = np.random.default_rng(1)
    truth = source.choice([0, 1, 2, IGNORED], (31, 17)).astype(np.uint16)
    answer = source.choice(values[:9], truth.shape).astype(np.uint8 if values is BYTES else np.int32)
    compared = ComparedMaps.of(truth, answer, 3)
    meaning = np.where((compared.values >= 1) & (compared.values <= 3), compared.values - 1, 3)
    found, asked = meaning[answer - compared.values[0]], truth != IGNORED
    right = asked & (found == truth)
    expected = [[(right & (truth == c)).sum(), (truth == c).sum(), (asked & (found == c)).sum()] for c in range(3)]
    assert compared.counts(meaning).tolist() == np.array(expected).tolist()
    tally = compared.tally(meaning, first=1)
    shifted = [int((asked & (answer.astype(int) + shift - 1 == truth)).sum()) for shift in (1, -1)]
    assert (tally.asked, tally.without_class, tally.right) == (asked.sum(), (asked & (found == 3)).sum(), right.sum())
    assert list(tally.shifted) == shifted


def test_a_value_of_the_truth_that_means_nothing_is_not_compared() -> None:
    truth = np.array([[1, 9]], np.uint8)
    assert ComparedMaps.of_bytes(truth, truth, SCHEME.meaning(BYTES, IGNORED), 3) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1)])
def test_images_of_one_stretch(shape: tuple[int, int]) -> None:
    truth, answer = np.full(shape, 7, np.uint8), np.full(shape, 1, np.uint8)
    found = ComparedMaps.of_bytes(truth, answer, SCHEME.meaning(BYTES, IGNORED), 3)
    assert found is not None and pairs_of(found) == {(1, 1): truth.size}

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.perturb.image.glass_blur import glass_blur, shuffle_sources


def walked(size: tuple[int, int], reach: int, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The published loop: what each place holds after the walk, when it held its own number before."""
    height, width = size
    held = np.arange(height * width).reshape(size)
    for row, h in enumerate(range(height - reach, reach, -1)):
        for column, w in enumerate(range(width - reach, reach, -1)):
            dx, dy = offsets[row, column]
            held[h, w] = held[h + dy, w + dx]
    return held.ravel()


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 30), st.integers(3, 30), st.integers(1, 4), st.integers(0, 2**32))
def test_sources_are_those_of_the_walk(height: int, width: int, reach: int, seed: int) -> None:
    inner = (max(0, height - 2 * reach), max(0, width - 2 * reach))
    if not min(inner):
        return
    offsets = np.random.default_rng(seed).integers(-reach, reach, (*inner, 2))
    sources = shuffle_sources((height, width), reach, offsets)
    np.testing.assert_array_equal(sources, walked((height, width), reach, offsets))


def test_a_value_that_is_handed_on_far() -> None:
    # Every pixel takes the one to its right, which was walked over before: the value from behind the last inner one
    # (its offset is -2) wanders through the whole row.
    offsets = np.zeros((1, 6, 2), np.int64)
    offsets[0, :, 0] = 1
    offsets[0, 0, 0] = -2
    sources = shuffle_sources((5, 10), 2, offsets).reshape(5, 10)
    assert sources[3].tolist() == [30, 31, 32, 36, 36, 36, 36, 36, 36, 39]
    assert sources[:3].ravel().tolist() == list(range(30)) and sources[4].tolist() == list(range(40, 50))


def test_by_hand() -> None:
    # Inner pixels (3, 4) and then (3, 3) of a 5 x 6 image. The first takes (3, 3); the second takes (3, 4), which by
    # then holds the second's own value.
    offsets = np.array([[[-1, 0], [1, 0]]])
    sources = shuffle_sources((5, 6), 2, offsets).reshape(5, 6)
    assert sources[3].tolist() == [18, 19, 20, 21, 21, 23]


def test_an_image_too_small_to_shuffle_is_blurred_alike_for_all_seeds() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 30, 3), dtype=np.uint8)
    one, other = (glass_blur(pixels, 5, np.random.default_rng(seed)) for seed in (1, 2))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, pixels)

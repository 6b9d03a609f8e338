from __future__ import annotations

import numpy as np
import pytest

from harness.perturb.image.blur import enlarged_centre, smear
from harness.perturb.image.frost_textures import TEXTURES, frost_texture
from harness.perturb.image.weather import brightness, fog, frost, plasma, snow


def test_brightness_by_hand() -> None:
    # Value 100 goes up by 51 to 151: channels times 1.51. 230 would go to 281: stays at 255, channels times 255/230.
    pixels = np.array([[[100, 50, 0], [230, 115, 23], [0, 0, 0], [255, 255, 255]]], np.uint8)
    result = brightness(pixels, 2, np.random.default_rng(0))
    assert result.tolist() == [[[151, 75, 0], [255, 127, 25], [51, 51, 51], [255, 255, 255]]]


def test_fog_keeps_the_range_and_black() -> None:
    rng = np.random.default_rng(0)
    assert not fog(np.zeros((20, 30, 3), np.uint8), 5, rng).any()
    pixels = np.full((256, 256, 3), 120, np.uint8)
    # 120 / (120 + 1.5 * 255) of the grey where there is no fog, all of it where fog is thickest.
    foggy = fog(pixels, 1, rng)
    assert (foggy.min(), foggy.max()) == (28, 120)
    assert (foggy[..., 0] == foggy[..., 2]).all()


def test_plasma_of_one_place_and_range() -> None:
    assert plasma(1, 2.0, np.random.default_rng(0)).tolist() == [[0.0]]
    heights = plasma(256, 2.0, np.random.default_rng(0))
    assert heights.min() == 0 and heights.max() == 1


def test_snow_only_adds_light() -> None:
    pixels = np.full((60, 60, 3), 40, np.uint8)
    # Severity 1: .8 * 40 + .2 * (1.5 * 40 + 127.5) = 69.5 where no flake falls.
    assert snow(pixels, 1, np.random.default_rng(0)).min() == 69


def test_smear_by_hand() -> None:
    # Weights of five places with sigma 1: 1, e^-.5, e^-2, ... of their sum; from left to right at angle 0.
    row = np.zeros((1, 9), np.float32)
    row[0, 6] = 1
    weights = np.exp(-(np.arange(5.0) ** 2) / 2)
    expected = np.zeros(9)
    expected[6:1:-1] = weights / weights.sum()
    np.testing.assert_allclose(smear(row, 2, 1, 0.0)[0], expected, atol=1e-7)
    np.testing.assert_allclose(smear(row.T.copy(), 2, 1, 90.0)[:, 0], expected, atol=1e-7)


def test_smear_beyond_a_small_image_repeats_its_border() -> None:
    np.testing.assert_allclose(smear(np.full((3, 2), 7, np.float32), 20, 15, 30.0), 7, atol=1e-5)


def test_enlarged_centre_by_hand() -> None:
    # By 2, of six places the middle three: 1, 2, 3 -> from end to end in steps of 2/5.
    row = np.arange(6, dtype=np.float32)[None]
    np.testing.assert_allclose(enlarged_centre(row, (1, 6), 2.0)[0], 1 + 0.4 * np.arange(6), atol=1e-4)


@pytest.mark.parametrize("number", range(TEXTURES))
def test_frost_textures(number: int) -> None:
    texture = frost_texture(number)
    assert texture is frost_texture(number) and not texture.flags.writeable
    fresh = frost_texture.__wrapped__(number)
    np.testing.assert_array_equal(texture, fresh)
    assert all(not np.array_equal(texture, frost_texture(other)) for other in range(number))
    # Means and deviations of the photographs that it stands for.
    colours = ((78, 149, 166), (201, 205, 215), (201, 205, 215), (141, 158, 172), (102, 113, 125))
    np.testing.assert_allclose(texture.mean(axis=(0, 1)), colours[number], atol=2)
    assert texture.mean(axis=2).std() == pytest.approx((16, 20, 20, 27, 38)[number], rel=0.12)
    # Crystals have edges, and no place is bare.
    steps = np.abs(np.diff(texture.mean(axis=2), axis=1, prepend=0))
    assert steps.reshape(12, 40, 18, 40).mean(axis=(1, 3)).min() > 0.3 and steps.mean() > 1


def test_frost_of_an_image_larger_than_the_textures() -> None:
    for height, width in ((900, 40), (30, 1000), (481, 721)):
        pixels = np.zeros((height, width, 3), np.uint8)
        frosty = frost(pixels, 1, np.random.default_rng(0))
        assert frosty.shape == pixels.shape and frosty.min() < 0.4 * 255 and frosty.std() > 2

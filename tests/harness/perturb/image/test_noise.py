from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import poisson

from harness.perturb.image.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from harness.perturb.image.poisson_draws import alias_tables, draw_photons

Pixels = npt.NDArray[np.uint8]


@pytest.mark.parametrize("photons", [60, 25, 12, 5, 3])
def test_alias_tables_hold_the_poisson_distribution(photons: int) -> None:
    tables = alias_tables(photons)
    share = tables.fraction.reshape(256, 64) / 2**26
    chance = np.zeros((256, 256))
    for level in range(256):
        np.add.at(chance[level], tables.own, share[level] / 64)
        np.add.at(chance[level], tables.alias.reshape(256, 64)[level], (1 - share[level]) / 64)
    counts = np.arange(photons + 1)
    expected = poisson.pmf(counts, np.arange(256)[:, None] / 255 * photons)
    expected[:, -1] = poisson.sf(photons - 1, np.arange(256) / 255 * photons)
    np.testing.assert_allclose(chance[:, (counts / photons * 255).astype(np.uint8)], expected, atol=1e-7)
    np.testing.assert_allclose(chance.sum(axis=1), 1, atol=1e-12)


def test_draws_follow_the_table(picture: Callable[..., Pixels]) -> None:
    # Level 51 with 5 photons for white: a mean of 1 photon. P(0) = P(1) = 1/e, P(2) = 1/2e, P(5 or more) = .0037.
    drawn = draw_photons(np.full((400, 500, 3), 51, np.uint8), 5, np.random.default_rng(0))
    levels, counts = np.unique(drawn, return_counts=True)
    assert levels.tolist() == [0, 51, 102, 153, 204, 255]
    expected = np.array([1, 1, 1 / 2, 1 / 6, 1 / 24, 0]) / np.e
    expected[-1] = 1 - expected.sum()
    np.testing.assert_allclose(counts / drawn.size, expected, atol=4 * (0.25 / drawn.size) ** 0.5)


def test_black_has_no_shot_or_speckle_noise() -> None:
    black = np.zeros((50, 60, 3), np.uint8)
    for noise in (shot_noise, speckle_noise):
        assert not noise(black, 5, np.random.default_rng(0)).any()


def test_impulses_by_hand() -> None:
    grey = np.full((300, 400, 3), 77, np.uint8)
    noisy = impulse_noise(grey, 5, np.random.default_rng(1))
    assert set(np.unique(noisy).tolist()) == {0, 77, 255}
    for level in (0, 255):  # a share of 0.27, half of it each
        assert (noisy == level).mean() == pytest.approx(0.135, abs=4 * (0.135 / noisy.size) ** 0.5)
    single = (noisy != 77).sum(axis=2)  # each channel by itself
    assert (single == 1).mean() == pytest.approx(3 * 0.27 * 0.73**2, abs=0.01)


@pytest.mark.parametrize(("severity", "deviation"), [(1, 0.08), (5, 0.38)])
def test_deviation_of_gaussian_noise(severity: int, deviation: float) -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = gaussian_noise(grey, severity, np.random.default_rng(2)).astype(float)
    inside = noisy[(noisy > 0) & (noisy < 255)]  # of what is not clipped: a share of a normal curve
    share = np.array([1, 2]) if severity == 1 else np.array([0.5, 1])
    for reach in share * deviation * 255:
        from scipy.stats import norm

        expected = 2 * norm.cdf(reach / (255 * deviation)) - 1
        assert (np.abs(inside - 127.5) < reach).sum() / noisy.size == pytest.approx(expected, abs=0.01)

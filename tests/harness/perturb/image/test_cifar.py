"""CIFAR-10-C's strengths: equal to its published formulas written out, given the same draws; apart from 224 px."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from harness.condition import Condition, Part
from harness.errors import UsageError
from harness.inputs.perturbed_inputs import _runs_on_device
from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.perturb.image.cifar import CIFAR
from harness.perturb.scales import at_scale, small_image_warning
from harness.plan.config import build_config
from harness.plan.plugins import load_perturbations

Pixels = npt.NDArray[np.uint8]
SEVERITIES = (1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def picture() -> Pixels:
    smooth = gaussian_filter(np.random.default_rng(0).uniform(-900, 1100, (32, 32, 3)), (3, 3, 0))
    return np.clip(smooth + 60, 0, 255).astype(np.uint8)


def ours(name: str, pixels: Pixels, severity: int) -> npt.NDArray[np.float64]:
    return CIFAR[name].apply(pixels, severity, np.random.default_rng(severity)).astype(np.float64)


def clipped(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.clip(values, 0, 1) * 255


@pytest.mark.parametrize("severity", SEVERITIES)
def test_strengths_that_are_a_line_of_arithmetic(severity: int, picture: Pixels) -> None:
    x = picture / 255
    noise = np.random.default_rng(severity).standard_normal(x.shape, dtype=np.float32)
    gaussian = clipped(x + noise * [0.04, 0.06, 0.08, 0.09, 0.10][severity - 1])
    speckle = clipped(x + x * noise * [0.06, 0.1, 0.12, 0.16, 0.2][severity - 1])
    c = [500, 250, 100, 75, 50][severity - 1]
    shot = clipped(np.random.default_rng(severity).poisson(x * c) / c)
    mean = x.mean(axis=(0, 1), keepdims=True)
    contrast = clipped((x - mean) * [0.75, 0.5, 0.4, 0.3, 0.15][severity - 1] + mean)
    top = x.max(axis=2, keepdims=True)
    brightness = clipped(x * np.clip(top + [0.05, 0.1, 0.15, 0.2, 0.3][severity - 1], 0, 1) / np.maximum(top, 1e-9))
    blur = gaussian_filter(x, (*[[0.4, 0.6, 0.7, 0.8, 1][severity - 1]] * 2, 0), mode="nearest", truncate=4) * 255
    wanted = {
        "gaussian-noise": gaussian, "speckle-noise": speckle, "shot-noise": shot, "contrast": contrast,
        "brightness": brightness, "gaussian-blur": blur,
    }  # fmt: skip
    for name, values in wanted.items():
        assert np.abs(ours(name, picture, severity) - np.floor(values)).max() <= 1, name


@pytest.mark.parametrize("severity", SEVERITIES)
def test_strengths_of_blur_and_places(severity: int, picture: Pixels, tmp_path: Path) -> None:
    x = picture / 255
    radius, alias = [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)][severity - 1]
    across, down = np.meshgrid(np.arange(-8, 9), np.arange(-8, 9))
    kernel = np.array(across**2 + down**2 <= radius**2, dtype=np.float32)
    kernel = cv2.GaussianBlur(kernel / kernel.sum(), (3, 3), alias)
    defocus = clipped(np.stack([cv2.filter2D(x[:, :, d], -1, kernel) for d in range(3)], axis=-1))
    assert np.abs(ours("defocus-blur", picture, severity) - np.floor(defocus)).max() <= 1
    factors = np.arange(1, [1.06, 1.11, 1.16, 1.21, 1.26][severity - 1], 0.01)
    out = np.zeros_like(x)
    for factor in factors:
        part = int(np.ceil(32 / factor))
        top = (32 - part) // 2
        large = zoom(x[top : top + part, top : top + part], (factor, factor, 1), order=1)
        trim = (large.shape[0] - 32) // 2
        out += large[trim : trim + 32, trim : trim + 32]
    zoomed = clipped((x + out) / (len(factors) + 1))
    assert np.abs(ours("zoom-blur", picture, severity) - np.floor(zoomed)).max() <= 1
    share = [0.95, 0.9, 0.85, 0.75, 0.65][severity - 1]
    small = Image.fromarray(picture).resize((int(32 * share),) * 2, Image.Resampling.BOX)
    assert np.array_equal(ours("pixelate", picture, severity), np.array(small.resize((32, 32), Image.Resampling.BOX)))
    Image.fromarray(picture).save(tmp_path / "a.jpg", quality=[80, 65, 58, 50, 40][severity - 1])
    assert np.array_equal(ours("jpeg", picture, severity), np.array(Image.open(tmp_path / "a.jpg")))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_elastic_transform_as_published(severity: int, picture: Pixels) -> None:
    a, s, t = (
        np.array([(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)])[
            severity - 1
        ]
        * 32
    )
    rng = np.random.default_rng(severity)
    centre, square = np.float32((32, 32)) // 2, 32 // 3
    one = np.float32([centre + square, [centre[0] + square, centre[1] - square], centre - square])
    matrix = cv2.getAffineTransform(one, one + rng.uniform(-t, t, size=one.shape).astype(np.float32))
    image = cv2.warpAffine(picture.astype(np.float32) / 255, matrix, (32, 32), borderMode=cv2.BORDER_REFLECT_101)
    dx = gaussian_filter(rng.uniform(-1, 1, (32, 32)), s, mode="reflect", truncate=3) * a
    dy = gaussian_filter(rng.uniform(-1, 1, (32, 32)), s, mode="reflect", truncate=3) * a
    x, y, z = np.meshgrid(np.arange(32), np.arange(32), np.arange(3))
    indices = (y + dy[..., None]).reshape(-1, 1), (x + dx[..., None]).reshape(-1, 1), z.reshape(-1, 1)
    wanted = clipped(map_coordinates(image, indices, order=1, mode="reflect").reshape(32, 32, 3))
    assert np.abs(ours("elastic-transform", picture, severity) - np.floor(wanted)).max() <= 1


def test_every_corruption_has_strengths_for_32_px_that_are_milder(picture: Pixels) -> None:
    known = load_perturbations()
    small = at_scale(known, "cifar")
    assert set(CIFAR) >= set(STANDARD_CORRUPTIONS) and set(small) == set(known)
    for name, corruption in CIFAR.items():
        change = [
            np.abs(c.apply(picture, 3, np.random.default_rng(1)).astype(int) - picture).mean()  # type: ignore[attr-defined]
            for c in (corruption, known[name])
        ]
        assert change[0] < change[1] or name == "spatter", name  # of that, how many drops there are is chance
        assert not _runs_on_device(small[name]) and small[name].made_for_px == 32  # type: ignore[attr-defined]


@pytest.mark.parametrize(("side", "name", "warned"), [(32, "fog", True), (224, "fog", False), (32, "flip", False)])
def test_small_images_are_warned_of(side: int, name: str, warned: bool, tmp_path: Path) -> None:
    Image.new("RGB", (side, side)).save(tmp_path / "a.png")
    known = load_perturbations()
    conditions = (Condition((Part(name, 1),)),)
    told = small_image_warning(conditions, known, [tmp_path / "a.png", tmp_path / "gone.png"])
    assert (told is not None and "--perturb-scale cifar" in told) is warned
    assert small_image_warning(conditions, at_scale(known, "cifar"), [tmp_path / "a.png"]) is None


def test_the_scale_decides_the_canvas() -> None:
    assert build_config({}).perturb.shortest_px == 224
    config = build_config({"perturb_scale": "cifar"})
    assert (config.perturb.scale, config.perturb.shortest_px) == ("cifar", 32)
    with pytest.raises(UsageError, match="cifar is for 32 px"):
        build_config({"perturb_scale": "cifar"}, ["perturb.shortest_px=64"])
    with pytest.raises(UsageError, match="take --perturb-scale cifar"):
        build_config({}, ["perturb.shortest_px=32"])
    with pytest.raises(UsageError, match="Did you mean 'cifar'"):
        build_config({"perturb_scale": "cifr"})

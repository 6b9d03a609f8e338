"""The golden pixels are what the filters' formulas give; towers are held to the normalisation that they name."""

from __future__ import annotations

import importlib
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.pretrained.processor_tower import ProcessorTower, RawTower
from harness.cell import Cell, Places
from harness.inputs import images
from harness.inputs.golden_preprocessing import (
    GOLDEN_HEIGHT_PX,
    GOLDEN_LEVELS,
    GOLDEN_WIDTH_PX,
    PreprocessingDrift,
    check_resizing,
    check_tower,
    golden_image,
    golden_pairs,
    golden_pixels,
    golden_preprocessing,
)
from harness.jobs import built_learner
from harness.protocols import ParameterGroups
from harness.sample import Preprocessing

Kernel = Callable[[np.ndarray], np.ndarray]


def cubic(t: np.ndarray) -> np.ndarray:
    """Keys 1981 with a = -0.5."""
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * (t**3 - 5 * t**2 + 8 * t - 4)
    return np.where(t < 1, near, np.where(t < 2, far, 0))


KERNELS: dict[str, tuple[float, Kernel]] = {
    "box": (0.5, lambda t: np.ones_like(t)),
    "bilinear": (1, lambda t: np.clip(1 - t, 0, None)),
    "hamming": (1, lambda t: np.where(t < 1, np.sinc(t) * (0.54 + 0.46 * np.cos(np.pi * t)), 0)),
    "bicubic": (2, cubic),
    "lanczos": (3, lambda t: np.where(t < 3, np.sinc(t) * np.sinc(t / 3), 0)),
}


def weights(before: int, after: int, interpolation: str) -> np.ndarray:
    """[after, before] of a filter that is stretched by the scale, so that it smooths."""
    scale, matrix = before / after, np.zeros((after, before))
    for row in range(after):
        centre = (row + 0.5) * scale
        if interpolation == "nearest":
            matrix[row, int(centre)] = 1
            continue
        support, kernel = KERNELS[interpolation]
        first = max(int(centre - support * scale + 0.5), 0)
        last = min(int(centre + support * scale + 0.5), before)
        columns = np.arange(first, last)
        values = kernel(np.abs(columns + 0.5 - centre) / scale)
        matrix[row, first:last] = values / values.sum()
    return matrix


def resized(width: int, height: int, interpolation: str) -> np.ndarray:
    def levels(values: np.ndarray) -> np.ndarray:
        return np.clip(np.floor(values + 0.5), 0, 255)

    whole = golden_image().astype(float)
    rows = levels(np.einsum("wx,yxc->ywc", weights(GOLDEN_WIDTH_PX, width, interpolation), whole))
    return levels(np.einsum("hy,ywc->hwc", weights(GOLDEN_HEIGHT_PX, height, interpolation), rows))


@pytest.mark.parametrize(("fit", "interpolation"), golden_pairs())
def test_the_golden_pixels_are_what_the_filters_formula_gives(fit: str, interpolation: str) -> None:
    if fit == "squash":
        wanted = resized(4, 4, interpolation)
    elif fit == "pad":  # 13 x 9 becomes 4 x 2.77
        wanted = np.zeros((4, 4, 3))
        wanted[:3] = resized(4, 3, interpolation)
    else:  # the shorter side becomes 4 / 0.8, the longer one 13 * 5 / 9, and the middle is cut out
        wanted = resized(7, 5, interpolation)[0:4, 2:6]
    known = golden_pixels(fit, interpolation).transpose(1, 2, 0).astype(int)
    assert np.abs(known - wanted).max() <= 1


def test_two_pixels_by_hand() -> None:
    """The nearest filter takes the pixel beneath the middle of each new one: columns 1 and 11, rows 1 and 7."""
    image, known = golden_image(), golden_pixels("squash", "nearest")
    assert image[1, 1].tolist() == [37 + 11 + 5, 3 + 29 + 90, 255 - 24]
    assert image[7, 11].tolist() == [(407 + 77 + 385) % 256, (363 + 203 + 90) % 256, 255 - (187 + 343) % 256]
    assert known[:, 0, 0].tolist() == image[1, 1].tolist()
    assert known[:, 3, 3].tolist() == image[7, 11].tolist()


def test_no_two_known_results_are_alike() -> None:
    """So that a wrong filter, fit or order of channels is found however another Pillow rounds."""
    for one, other in itertools.combinations(golden_pairs(), 2):
        assert np.abs(golden_pixels(*one).astype(int) - golden_pixels(*other)).max() > 4
    for pair in golden_pairs():
        known = golden_pixels(*pair).astype(int)
        for order in itertools.permutations(range(3)):
            assert order == (0, 1, 2) or np.abs(known - known[list(order)]).max() > 50
        for turned in (known[:, ::-1], known[:, :, ::-1], known.transpose(0, 2, 1)):
            assert np.abs(known - turned).max() > 50


def test_it_is_cheap() -> None:
    check_resizing()
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        check_resizing()
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.02


def test_one_grey_level_is_forgiven_and_two_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    real = images.to_channels_first
    monkeypatch.setattr(images, "to_channels_first", lambda image: np.maximum(real(image), 1) - 1)
    check_resizing()
    monkeypatch.setattr(images, "to_channels_first", lambda image: np.maximum(real(image), 2) - 2)
    with pytest.raises(
        PreprocessingDrift, match=r"(red|green|blue) in row \d, column \d is \d+, known is \d+\. Models"
    ):
        check_resizing()


def test_other_shapes_and_types_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = images.to_channels_first
    monkeypatch.setattr(images, "to_channels_first", lambda image: real(image).transpose(1, 2, 0))
    with pytest.raises(PreprocessingDrift, match=r"the whole is uint8 of shape \[4, 4, 3\], known is uint8 of shape"):
        check_resizing()
    monkeypatch.setattr(images, "to_channels_first", lambda image: real(image).astype(np.float32))
    with pytest.raises(PreprocessingDrift, match="the whole is float32"):
        check_resizing()


def test_a_fit_that_is_not_known_is_a_bug_of_ours() -> None:
    assert {fit for fit, _ in golden_pairs()} == {"crop", "squash", "pad"}
    assert golden_preprocessing("pad", "box").extent(GOLDEN_WIDTH_PX, GOLDEN_HEIGHT_PX) == (4, 3)


class Tower(nn.Module):
    """Normalises in a number format of its own."""

    key, width = "tower", 3

    def __init__(self, preprocessing: Preprocessing, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.preprocessing, self.dtype = preprocessing, dtype
        self.shapes: list[tuple[int, ...]] = []

    def normalized(self, pixels: Tensor) -> Tensor:
        self.shapes.append(tuple(pixels.shape))
        mean, std = (
            torch.tensor(v).view(3, 1, 1).to(self.dtype) for v in (self.preprocessing.mean, self.preprocessing.std)
        )
        return (pixels.to(self.dtype) / 255 - mean) / std


MEAN, STD = (0.2, 0.4, 0.6), (0.5, 0.25, 0.1)


def test_known_values_of_an_asymmetric_mean_and_std() -> None:
    """By hand: red 51 is 0.2 of the range, so 0 above its mean; green 204 is .8, so .4 / .25; blue 0 is -.6 / .1."""
    tower = ProcessorTower(Preprocessing(1, mean=MEAN, std=STD), "digest")
    pixels = torch.tensor([51, 204, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    assert tower.normalized(pixels).flatten().tolist() == pytest.approx([0.0, 1.6, -6.0], abs=1e-5)
    check_tower(tower, "cpu")


@pytest.mark.parametrize("size", [1, 2, 5, 32])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_right_towers_pass_in_any_size_and_precision(size: int, dtype: torch.dtype) -> None:
    tower: Any = Tower(Preprocessing(size, mean=(0.48, 0.46, 0.41), std=(0.27, 0.26, 0.28)), dtype)
    check_tower(tower, "cpu")
    assert tower.shapes == [(1, 3, size, size)]


def test_raw_pixels_pass_where_that_is_what_the_tower_names() -> None:
    check_tower(RawTower(8, "digest"), "cpu")


def test_a_tower_that_does_not_show_its_normalisation_is_not_refused() -> None:
    check_tower(SimpleNamespace(preprocessing=Preprocessing(8), key="other", width=3), "cpu")  # type: ignore[arg-type]


def test_a_fault_of_the_right_half_alone_is_found() -> None:
    class Half(Tower):
        def normalized(self, pixels: Tensor) -> Tensor:
            given = super().normalized(pixels)
            given[..., 1:] = 0
            return given

    level = GOLDEN_LEVELS[1][0]
    with pytest.raises(PreprocessingDrift, match=rf"Half normalises red {level} to 0 instead of"):
        check_tower(Half(Preprocessing(4, mean=MEAN, std=STD)), "cpu")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_found(value: float) -> None:
    class Broken(Tower):
        def normalized(self, pixels: Tensor) -> Tensor:
            return super().normalized(pixels) * value

    with pytest.raises(PreprocessingDrift, match="Broken normalises"):
        check_tower(Broken(Preprocessing(4, mean=MEAN, std=STD)), "cpu")


def test_another_shape_is_found() -> None:
    class Flat(Tower):
        def normalized(self, pixels: Tensor) -> Tensor:
            return super().normalized(pixels).flatten(2)

    with pytest.raises(PreprocessingDrift, match=r"Flat turns .*\[1, 3, 4, 4\] into \[1, 3, 16\]"):
        check_tower(Flat(Preprocessing(4)), "cpu")


@pytest.fixture
def build(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Let a job build a learner with this tower."""

    def make(tower: Any) -> Any:
        class Learner(nn.Module):
            vision, vision_frozen = tower, True

            def parameter_groups(self) -> ParameterGroups:
                return ParameterGroups((), (), ())

        model = SimpleNamespace(build=lambda spec, context: Learner())
        monkeypatch.setattr(built_learner, "load_model", lambda name: model)
        task: Any = SimpleNamespace(spec=lambda data, samples: None)
        return built_learner.build_learner(cell.training, task, (), Places(Path(), Path(), None))

    return make


def test_a_job_checks_before_it_trains_or_predicts(
    build: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Tower(Preprocessing(4, mean=MEAN, std=STD))
    assert build(plain).vision is plain
    swapped = Tower(Preprocessing(4, mean=MEAN, std=STD))
    monkeypatch.setattr(swapped, "normalized", Tower(Preprocessing(4, mean=STD, std=MEAN)).normalized)
    with pytest.raises(PreprocessingDrift, match=r"Tower normalises .* Look whether mean and std"):
        build(swapped)
    real = images.to_channels_first
    monkeypatch.setattr(images, "to_channels_first", lambda image: real(image)[::-1])
    with pytest.raises(PreprocessingDrift, match="BGR for RGB"):
        build(plain)
    assert build(None).vision is None, "a model that sees no image has nothing to check"


def test_a_run_stops_before_its_metrics_are_even_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    run: Any = importlib.import_module("harness.run.runner")
    runner = object.__new__(run._Runner)
    told: list[str] = []
    runner.reporter = SimpleNamespace(progress=lambda what, done, total: told.append(what))
    real = images.fit_image
    monkeypatch.setattr(images, "fit_image", lambda image, wish: real(image.transpose(1), wish))
    with pytest.raises(PreprocessingDrift, match="golden image resized by fit crop and filter nearest differs"):
        runner.prepare([])
    assert told == ["checking preprocessing and metrics on golden vectors"]

"""Pictures made by code, and the published corruptions to compare with."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def picture() -> Callable[..., Pixels]:
    """Make a picture with waves of all lengths as photographs have, flat shapes and edges: `picture(seed, h, w)`."""
    return make_picture


def make_picture(seed: int, height: int, width: int) -> Pixels:
    rng = np.random.default_rng(seed)
    down, across = np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width) * width
    spectrum = rng.normal(size=(3, height, width // 2 + 1)) + 1j * rng.normal(size=(3, height, width // 2 + 1))
    spectrum /= np.maximum(1, np.hypot(down, across)) ** 1.2
    waves = np.fft.irfft2(spectrum[:1] + 0.3 * spectrum, s=(height, width)).transpose(1, 2, 0)
    image = rng.uniform(90, 150, 3) + 45 * (waves - waves.mean()) / max(waves.std(), 1e-9)
    row, column = np.mgrid[:height, :width]
    for _ in range(5):
        y, x, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0.05, 0.2) * min(height, width)
        image[(row - y) ** 2 + (column - x) ** 2 < radius**2] = rng.integers(0, 256, 3)
    pixels: Pixels = np.clip(image, 0, 255).astype(np.uint8)
    return pixels


@pytest.fixture(scope="session")
def peer() -> ModuleType:
    """The module `published.py`, which stands beside this one."""
    path = Path(__file__).with_name("published.py")
    specification = importlib.util.spec_from_file_location("published_corruptions", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module

"""The published corruptions (`imagecorruptions` 1.1.2) made to run, and to draw from a generator that is handed in.

The package wants `pkg_resources`, `np.float_` and skimage's `multichannel`, none of which are left. They are given to
its module alone: NumPy, SciPy and scikit-image stay as they are for everyone else.
"""

from __future__ import annotations

import functools
import importlib
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
OTHER_NAMES = {"jpeg": "jpeg_compression"}
"""Ours to theirs, where they are not the same but for the hyphens."""


class Draws:
    """What the package takes from `np.random`, drawn from a generator.

    Also what it takes from nowhere: skimage's salt and pepper, which does not obey `np.random.seed`.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def normal(self, loc: float = 0.0, scale: float = 1.0, size: Any = None) -> Any:
        return loc + scale * self.rng.standard_normal(size, dtype=np.float32).astype(np.float64)

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None) -> Any:
        return self.rng.uniform(low, high, size)

    def poisson(self, lam: Any) -> Any:
        return self.rng.poisson(lam)

    def randint(self, low: int, high: int | None = None, size: Any = None) -> Any:
        return self.rng.integers(low, high, size)


class _Numpy:
    """NumPy with the names that have gone, and with draws of one's own."""

    float_ = np.float64

    def __init__(self) -> None:
        self.random: Any = np.random

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def published(name: str, pixels: Pixels, severity: int, draws: Any) -> Pixels:
    """Corrupt an image `[H, W, 3]` with the package's function for our name.

    `draws` is a `Draws`, looks like one, or is `np.random`.
    """
    module = load()
    module.np.random = draws
    if name == "impulse-noise":
        module.sk.util.random_noise = functools.partial(_salt_and_pepper, getattr(draws, "rng", None))
    function = getattr(module, OTHER_NAMES.get(name, name.replace("-", "_")))
    from PIL import Image

    # As the package's own `corrupt` does, which refuses sides below 32.
    return np.asarray(function(Image.fromarray(pixels), severity)).astype(np.uint8)


@functools.lru_cache(1)
def load() -> Any:
    """Import the package's module once, with what it misses."""
    import scipy.ndimage
    import skimage
    from skimage.filters import gaussian

    resources = types.ModuleType("pkg_resources")
    interpolation = types.ModuleType("scipy.ndimage.interpolation")
    interpolation.map_coordinates = scipy.ndimage.map_coordinates  # type: ignore[attr-defined]
    resources.resource_filename = lambda module, name: str(  # type: ignore[attr-defined]
        Path(sys.modules[module].__file__ or "").parent / name
    )
    stand_ins = {"pkg_resources": resources, "scipy.ndimage.interpolation": interpolation}
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module: Any = importlib.import_module("imagecorruptions.corruptions")
    finally:
        for name, old in before.items():
            if old is None:
                del sys.modules[name]
            else:
                sys.modules[name] = old
    module.np = _Numpy()
    module.sk = types.SimpleNamespace(color=skimage.color, util=types.SimpleNamespace())
    module.gaussian = lambda image, sigma, multichannel=False, **more: gaussian(
        image, sigma=sigma, channel_axis=-1 if multichannel else None, **more
    )
    return module


def _salt_and_pepper(rng: np.random.Generator | None, image: Any, mode: str, amount: float) -> Any:
    from skimage.util import random_noise

    return random_noise(image, mode=mode, amount=amount, rng=rng)

"""Corruptions of batches where they are, by torch: for images that are on a GPU already.

Each takes uint8 images `[B, 3, H, W]`, RGB, of one size, and a generator an image, draws from it what the one for
NumPy draws, in the same order and on the CPU, and gives the same pixels to one grey level (brightness, impulse and
shot noise: the very same). Those whose work is mostly drawing gain little from a GPU; blurs and zoom gain most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import DataError, UsageError, nearest
from harness.perturb.image import blur, digital, noise, poisson_draws, weather

if TYPE_CHECKING:
    from torch import Tensor

Generators: TypeAlias = Sequence[np.random.Generator]
DeviceChange: TypeAlias = "Callable[[Tensor, int, Generators], Tensor]"
_HAIR: Final = 1 / 1024


MADE_FOR_PX = 224
"""The images that its strengths were published for."""


def corrupt_on_device(name: str, pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    """Return new images, uint8 `[B, 3, H, W]`; `rngs` has a generator for each.

    Raises UsageError for a name or severity that is not there, DataError for other tensors or too few generators.
    """
    if name not in ON_DEVICE:
        raise UsageError(f"No corruption '{name}' for devices. {nearest(name, ON_DEVICE)}")
    if severity not in (1, 2, 3, 4, 5):
        raise UsageError(f"{name} has no severity {severity}. Take 1 to 5.")
    if str(pixels.dtype) != "torch.uint8" or pixels.ndim != 4 or pixels.shape[1] != 3 or len(pixels) != len(rngs):
        raise DataError(
            f"{name} got images of {pixels.dtype} {list(pixels.shape)} and {len(rngs)} generators; "
            "wanted uint8 [B, 3, H, W] and B generators."
        )
    return ON_DEVICE[name](pixels, severity, rngs)


def _gaussian_noise(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    return _to_pixels(_normal(pixels, rngs) * (255 * noise.GAUSSIAN_DEVIATIONS[severity - 1]) + pixels)


def _speckle_noise(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    return _to_pixels((_normal(pixels, rngs) * noise.SPECKLE_DEVIATIONS[severity - 1] + 1) * pixels)


def _shot_noise(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    import torch

    tables = poisson_draws.alias_tables(noise.PHOTONS[severity - 1])
    bits = _drawn(pixels, rngs, lambda rng, shape: rng.integers(0, 2**32, shape, dtype=np.uint32).astype(np.int64))
    column = bits % poisson_draws.DRAW_COLUMNS
    place = pixels.long() * poisson_draws.DRAW_COLUMNS + column
    fraction, own, alias = (
        torch.from_numpy(table).to(pixels.device)
        for table in (tables.fraction.astype(np.int64), tables.own, tables.alias)
    )
    drawn = (bits >> (32 - poisson_draws.FRACTION_BITS)) < fraction[place]
    return torch.where(drawn, own[column], alias[place])


def _impulse_noise(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    share = round(65536 * noise.IMPULSE_SHARES[severity - 1])
    bits = _drawn(pixels, rngs, lambda rng, shape: rng.integers(0, 65536, shape, dtype=np.uint16).astype(np.int32))
    return pixels.masked_fill(bits < share, 255).masked_fill(bits < share // 2, 0)


def _defocus_blur(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    kernel = blur.disk(*blur.DISKS[severity - 1])
    return _to_pixels(_filtered(_padded(pixels.float(), len(kernel) // 2, "reflect"), kernel))


def _gaussian_blur(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    sigma = blur.SIGMAS[severity - 1]
    reach = int(4 * sigma + 0.5)
    curve = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    curve = (curve / curve.sum()).astype(np.float32)
    values = _padded(pixels.float(), reach, "edge")
    return _to_pixels(_filtered(_filtered(values, curve[None]), curve[:, None]))


def _zoom_blur(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    import torch

    values = pixels.float()
    height, width = pixels.shape[2:]
    total = values.clone()
    factors = blur.zoom_factors(severity)
    for factor in factors:
        (top, rows, _), (left, columns, _) = (blur.centre(side, factor) for side in (height, width))
        part = values[:, :, top : top + rows, left : left + columns]
        down, across = (
            torch.from_numpy(weather.interpolation(length, round(length * factor))[:side]).to(pixels.device)
            for length, side in ((rows, height), (columns, width))
        )
        total += down @ part @ across.T
    return _to_pixels(total / (len(factors) + 1))


def _fog(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    import torch

    density, decay = weather.FOG[severity - 1]
    height, width = pixels.shape[2:]
    side = weather.plasma_side(height, width)
    clouds = np.stack([weather.plasma(side, decay, rng)[None, :height, :width] for rng in rngs]).astype(np.float32)
    brightest = pixels.amax(dim=(1, 2, 3), keepdim=True).float()
    layer = torch.from_numpy(clouds).to(pixels.device) * (255 * density)
    return _to_pixels((pixels + layer) * (brightest / (brightest + 255 * density)))


def _brightness(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    import torch

    table = torch.from_numpy(weather.brightened(severity)).to(pixels.device)
    return table[pixels.amax(dim=1, keepdim=True).int() * 256 + pixels]


def _contrast(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    values = pixels.float()
    mean = values.double().mean(dim=(2, 3), keepdim=True).float()
    return _to_pixels((values - mean) * digital.CONTRAST[severity - 1] + mean)


def _pixelate(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    import torch

    share = digital.PIXELATE[severity - 1]
    boxes, shown = zip(*(_box_weights(side, max(1, int(side * share))) for side in pixels.shape[2:]), strict=True)
    down, across = (torch.from_numpy(weights).to(pixels.device) for weights in boxes)
    small = torch.floor(pixels.float() @ across.T + 0.5)  # Pillow rounds after each direction, width first
    small = torch.floor(down @ small + 0.5).clamp(0, 255).byte()
    rows, columns = (torch.from_numpy(places).to(pixels.device) for places in shown)
    return small[:, :, rows][:, :, :, columns]


def _box_weights(side: int, wanted: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Ask Pillow for its box weights `[wanted, side]`, and which box each place `[side]` shows."""
    from PIL import Image

    one_hot = Image.fromarray(np.eye(side, dtype=np.float32))
    weights = np.array(one_hot.resize((side, wanted), Image.Resampling.BOX))
    numbers = Image.fromarray(np.arange(wanted, dtype=np.float32)[None])
    return weights, np.array(numbers.resize((side, 1), Image.Resampling.NEAREST))[0].astype(np.int64)


def _saturate(pixels: Tensor, severity: int, rngs: Generators) -> Tensor:
    import torch

    factor, addend = digital.SATURATE[severity - 1]
    value = pixels.amax(dim=1, keepdim=True).float()
    spread = value - pixels.amin(dim=1, keepdim=True)
    wanted = (spread / value.clamp(min=1) * factor + addend).clamp(0, 1)
    changed = value - (value - pixels) * (wanted * value / spread.clamp(min=1))
    red = torch.cat([value, value * (1 - wanted), value * (1 - wanted)], dim=1)
    return _to_pixels(torch.where(spread == 0, red, changed))


def _normal(pixels: Tensor, rngs: Generators) -> Tensor:
    return _drawn(pixels, rngs, lambda rng, shape: rng.standard_normal(shape, dtype=np.float32))


def _drawn(
    pixels: Tensor, rngs: Generators, draw: Callable[[np.random.Generator, tuple[int, int, int]], npt.NDArray[Any]]
) -> Tensor:
    """Draw `[H, W, 3]` for each image and move them to the images' device as `[B, 3, H, W]`."""
    import torch

    height, width = pixels.shape[2:]
    draws = np.stack([draw(rng, (height, width, 3)) for rng in rngs])
    return torch.from_numpy(draws).to(pixels.device).permute(0, 3, 1, 2)


def _padded(values: Tensor, reach: int, mode: str) -> Tensor:
    """Repeat the border (edge) or mirror at it (reflect), also further than the image is large."""
    import torch

    for axis in (2, 3):
        places = np.pad(np.arange(values.shape[axis]), reach, mode=mode)  # type: ignore[call-overload]
        values = values.index_select(axis, torch.from_numpy(places).to(values.device))
    return values


def _filtered(values: Tensor, kernel: npt.NDArray[np.float32]) -> Tensor:
    """Correlate every channel with a kernel where it fits."""
    import torch

    batch, channels, height, width = values.shape
    weights = torch.from_numpy(kernel).to(values.device)[None, None]
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        flat = torch.nn.functional.conv2d(values.reshape(batch * channels, 1, height, width), weights)
    return flat.reshape(batch, channels, *flat.shape[2:])


def _to_pixels(values: Tensor) -> Tensor:
    """As `harness.perturb.image.corruption.to_pixels`."""
    return (values + _HAIR).clamp(0, 255).byte()


ON_DEVICE: Final[Mapping[str, DeviceChange]] = {
    "gaussian-noise": _gaussian_noise, "shot-noise": _shot_noise, "impulse-noise": _impulse_noise,
    "speckle-noise": _speckle_noise, "defocus-blur": _defocus_blur, "gaussian-blur": _gaussian_blur,
    "zoom-blur": _zoom_blur, "fog": _fog, "brightness": _brightness, "contrast": _contrast, "pixelate": _pixelate,
    "saturate": _saturate,
}  # fmt: skip
"""Those that are offered, by the name of the corruption."""

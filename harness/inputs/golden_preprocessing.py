"""The preprocessing passport: a golden image with known pixels after each fit and filter, and known normalisation.

The image is made by integer arithmetic, noisy and different in red, green and blue, so that another filter, fit or
order of channels moves some value by 7 grey levels or more. The known values are Pillow 13's; a resampler written
from the filters' formulas (tests/harness/test_preprocessing_passport.py) agrees to one grey level, and so much another
Pillow may differ too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import BenchError
from harness.protocols import HasNormalizedPixels, VisionTower
from harness.sample import Preprocessing, Sample

if TYPE_CHECKING:
    from harness.inputs.images import Pixels

PREPROCESSING_VERSION = 1
"""Of the golden image and its known values: raise it whenever they change."""
GOLDEN_WIDTH_PX, GOLDEN_HEIGHT_PX = 13, 9
GOLDEN_SIDE_PX = 4
GOLDEN_CROP_FRACTION = 0.8
TOLERANCE_LEVELS = 1
CHANNELS = ("red", "green", "blue")
GOLDEN_PIXELS: Mapping[str, Mapping[str, str]] = {
    "crop": {
        "nearest": "94de2872d2308eec1082f4664ed45ae08ac61a86c40054c0fe3a8efa3874c834bb9977559f7d5b394b2907e5bf9d7b59",
        "box": "b8732e7d7b458fb22d82d84a5fc061a2a7d55379e10f4db38c3a78de3866a48ab0967d5b866c5331432910ee9ec4ab89",
        "bilinear": "a47142889d4190a16882a97460a565959fb04d8acc5c55a99e4a8ba63871b773b59473549776553658625ea48ca48382",
        "hamming": "a77a3a82a23c91b05182b8665aab59a79cbe4683cf4354b1ab4388c0376fba71b696765795755536525246bb95ab8b7b",
        "bicubic": "ae74308ca0309aaa6282b36a59ad5e9f9dbc458adc5348b79c3e8db02a6fc76fb79777579670502d52625bab8aab8585",
        "lanczos": "b4752394a521a4ae5f81ba6154b456a59ac13d8eea503bc29a3893b1216bd36cb79a7b5c966a4e26516660ad84ae828a",
    },
    "squash": {
        "nearest": "35b35bd955f1c15d752f27e1956d8d657aa737e2b4e1711cee1bab562855e590e7b4703daf7c38053f0cc895976420ed",
        "box": "2d98428e5576a5797d7f6b829d827c866eaa5581b69d73907f3bbc67397576a1ebb07441aa6f50726e9ea26f63886cb9",
        "bilinear": "44895d86677e8c7e7c7c878588867f7f7ca06c8ab6a56e8b8e5a8f7e3469898adeab7542a87854616f7d9094738e7a98",
        "hamming": "3a9a4d8d607e9a737e70828a94897f7d75a6618fb4b862899d499972356b8d8fe4af7742ad784a5969829c8f6c8f70aa",
        "bicubic": "3e915589687b907f7c7c8a8489887d7f75a66988c2ac6393924d987d296b8a89e7b2763aaa734a646c7d93976f947998",
        "lanczos": "3d92538a6e7b8d8479808c80858a7c7e6ca76c84d0ab5e9a94479c7e1e6e8987ebb67733a87049676b7a929b6f9a7a92",
    },
    "pad": {
        "nearest": "35b35bd96510f49f956d8d65000000007aa737e2d1fe8e392855e59000000000e7b4703d7e4b07d4976420ed00000000",
        "box": "35885b8465829f83957c7181000000007ca3558fd37a90742a66929200000000e2a76b38796974967697719300000000",
        "bilinear": "4c876883737a8e848585817f0000000088a3698cb1837f8542608e8600000000d6a36d4184727086758d809400000000",
        "hamming": "41925b8671719a858e837b7b0000000081aa5a96c2877e7c355f978800000000dca76f3e7e6969937b92729b00000000",
        "bicubic": "468b6385747b928286857f7f0000000086ac648dbb7e7e87385b928500000000dfa6673b826e6e886f94849500000000",
        "lanczos": "478c6188767c918283887e7e0000000085b2638cc2787d8d325a948200000000e3a66338836d6c8869968a9500000000",
    },
}
"""By fit and filter: uint8 `[3, 4, 4]`, RGB, in hexadecimal digits; red's four rows come first."""
GOLDEN_LEVELS = ((10, 120, 230), (200, 60, 30))
"""Red, green and blue of a pixel at the left and of one at the right, for the normalisation."""


class PreprocessingDrift(BenchError):
    """An image or a normalisation that does not give its known values."""


def golden_image() -> Pixels:
    """Make the image, uint8 `[9, 13, 3]`, RGB."""
    import numpy as np

    y, x = np.mgrid[:GOLDEN_HEIGHT_PX, :GOLDEN_WIDTH_PX]
    red, green, blue = 37 * x + 11 * y + 5 * x * y, 3 * x * x + 29 * y + 90, -1 - 17 * x - 7 * y * y
    return np.stack([red % 256, green % 256, blue % 256], axis=2).astype(np.uint8)


def golden_pixels(fit: str, interpolation: str) -> Pixels:
    """Give the known pixels, uint8 `[3, 4, 4]`, RGB."""
    import numpy as np

    known = np.frombuffer(bytes.fromhex(GOLDEN_PIXELS[fit][interpolation]), dtype=np.uint8)
    return known.reshape(3, GOLDEN_SIDE_PX, GOLDEN_SIDE_PX)


def golden_pairs() -> list[tuple[str, str]]:
    """List fits and filters."""
    return [(fit, interpolation) for fit, known in GOLDEN_PIXELS.items() for interpolation in known]


def golden_preprocessing(fit: str, interpolation: str) -> Preprocessing:
    """Say how the golden image is fitted."""
    crop = GOLDEN_CROP_FRACTION if fit == "crop" else 1.0
    return Preprocessing(GOLDEN_SIDE_PX, crop, interpolation, fit=fit)


def check_resizing() -> str:
    """Read the golden image from a file by each fit and filter, and return the signature.

    Raises PreprocessingDrift at the first pixel that is off by more than one grey level.
    """
    from PIL import Image

    from harness.inputs.images import DECODER, ImageSplit

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "golden.png"
        Image.fromarray(golden_image()).save(path)
        sample = Sample("golden", path, None)
        for fit, interpolation in golden_pairs():
            preprocessing = golden_preprocessing(fit, interpolation)
            split = ImageSplit((sample,), {}, preprocessing, None, paths=(path,), rows=(0,))
            _compare(split.read([0])[0], fit, interpolation)
    fits, filters = ",".join(GOLDEN_PIXELS), ",".join(GOLDEN_PIXELS["crop"])
    return f"preprocessing:v{PREPROCESSING_VERSION}|decoder:{DECODER}|rgb|{fits}|{filters}"


def check_tower(tower: VisionTower, device: str) -> None:
    """Compare what a tower's network is given with (level / 255 - mean) / std; raises PreprocessingDrift.

    A tower that does not show it (`harness.protocols.HasNormalizedPixels`) passes: it is not refused for that.
    """
    import torch

    if not isinstance(tower, HasNormalizedPixels):
        return
    side = tower.preprocessing.size
    pixels = torch.tensor(GOLDEN_LEVELS, dtype=torch.uint8).T[None, :, None, :]  # [1, 3, 1, 2]
    pixels = pixels.repeat_interleave(-(-side // 2), dim=3)[..., :side].expand(1, 3, side, side).contiguous()
    with torch.no_grad():
        given = tower.normalized(pixels.to(device))
    if tuple(given.shape) != tuple(pixels.shape):
        raise PreprocessingDrift(
            f"The normalisation of {type(tower).__name__} turns pixels of shape {list(pixels.shape)} into "
            f"{list(given.shape)}; wanted the same shape. Mend its `normalized`."
        )
    ends = given[0, :, 0, [0, -1] if side > 1 else [0]].float().cpu().T.tolist()
    off = 0.1 if given.dtype in (torch.float32, torch.float64) else 2.0  # in grey levels; bfloat16 has 8 bits
    for levels, seen in zip(GOLDEN_LEVELS, ends, strict=False):
        _compare_normalised(tower, levels, seen, off)


def _compare(seen: Pixels, fit: str, interpolation: str) -> None:
    import numpy as np

    known = golden_pixels(fit, interpolation)
    if _close(seen, known):
        return
    place = "the whole"
    what = f"is {seen.dtype} of shape {list(seen.shape)}, known is uint8 of shape {list(known.shape)}"
    if seen.shape == known.shape and seen.dtype == known.dtype:
        difference = np.abs(seen.astype(int) - known)
        channel, row, column = (int(index) for index in np.unravel_index(difference.argmax(), known.shape))
        place = f"{CHANNELS[channel]} in row {row}, column {column}"
        what = f"is {seen[channel, row, column]}, known is {known[channel, row, column]}"
    raise PreprocessingDrift(
        f"The golden image resized by fit {fit} and filter {interpolation} differs: {place} {what}"
        f"{_likeness(seen, (fit, interpolation))}. Models would not see the images that they are scored on: restore "
        "the installed versions (Pillow) with `uv sync`, and the code of harness/inputs/images.py."
    )


def _likeness(seen: Pixels, asked: tuple[str, str]) -> str:
    """Say which fault explains what was seen: other channels, another filter or another fit."""
    if seen.ndim == 3 and _close(seen[::-1], golden_pixels(*asked)):
        return "; red and blue are exchanged (BGR for RGB)"
    for fit, interpolation in golden_pairs():
        if (fit, interpolation) != asked and _close(seen, golden_pixels(fit, interpolation)):
            return f"; it is what fit {fit} and filter {interpolation} give"
    return ""


def _close(seen: Pixels, known: Pixels) -> bool:
    import numpy as np

    same_kind = seen.shape == known.shape and seen.dtype == known.dtype
    return same_kind and int(np.abs(seen.astype(int) - known).max()) <= TOLERANCE_LEVELS


def _compare_normalised(tower: Any, levels: Sequence[int], seen: Sequence[float], off: float) -> None:
    mean, std = tower.preprocessing.mean, tower.preprocessing.std
    for channel, (name, level, value) in enumerate(zip(CHANNELS, levels, seen, strict=True)):
        wanted = (level / 255 - mean[channel]) / std[channel]
        if not abs(value - wanted) <= off / 255 / std[channel]:
            raise PreprocessingDrift(
                f"{type(tower).__name__} normalises {name} {level} to {value:.6g} instead of {wanted:.6g}: wanted "
                f"(level / 255 - mean) / std, in the order red, green, blue, with mean {tuple(mean)} and std "
                f"{tuple(std)}. Look whether mean and std, or red and blue, are exchanged in the tower."
            )

"""What is odd about the image files of a split, and a perceptual hash of each.

The hash is the signs of differences between neighbours of the image as 9 x 8 and 8 x 9 greys, across and down: 128
bits (difference hash, N. Krawetz 2013). It hardly changes with size, compression and brightness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from harness.errors import BadSample
from harness.inputs.images import upright_image

Progress = Callable[[str, int, int], None]
Bits = npt.NDArray[np.uint8]
HASH_BITS = 128
_SMALLEST_PX = 32
_LONGEST_ASPECT = 8.0
_LEAST_DEVIATION = 2.0
"""Of grey values 0..255: below it an image is one colour, and its hash says nothing."""
_AT_ONCE = 256


@dataclass(frozen=True)
class CheckedImages:
    """The images of a split: which cannot be read and why, which are odd and how, and the hashes of the others.

    `bits` is `[N, 128]` of 0 and 1, a row for each of `hashed`.
    """

    unreadable: Mapping[Path, str]
    odd: Mapping[Path, str]
    hashed: tuple[Path, ...]
    bits: Bits


def check_images(paths: Sequence[Path], split: str, progress: Progress, threads: int = 2) -> CheckedImages:
    """Decode every image of a split once."""
    unreadable, odd, hashed, bits = {}, {}, [], []
    unique = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(unique), _AT_ONCE):
            part = unique[start : start + _AT_ONCE]
            for path, (why_not, oddity, found) in zip(part, pool.map(_check, part), strict=True):
                if why_not:
                    unreadable[path] = why_not
                    continue
                if oddity:
                    odd[path] = oddity
                if found is not None:
                    hashed.append(path)
                    bits.append(found)
            progress(f"looking at the images of {split}", min(start + _AT_ONCE, len(unique)), len(unique))
    stacked = np.stack(bits) if bits else np.zeros((0, HASH_BITS), np.uint8)
    return CheckedImages(unreadable, odd, tuple(hashed), stacked)


def _check(path: Path) -> tuple[str, str, Bits | None]:
    try:
        image = upright_image(path)
    except BadSample as error:
        return str(error), "", None
    grey = np.asarray(image.convert("L"))
    if grey.std() < _LEAST_DEVIATION:
        return "", "of one colour", None
    return "", _oddity(*image.size), difference_hash(image)


def _oddity(width: int, height: int) -> str:
    if min(width, height) < _SMALLEST_PX:
        return f"{width} x {height} pixels"
    if max(width, height) > _LONGEST_ASPECT * min(width, height):
        return f"{max(width, height) / min(width, height):.0f} times as long as wide ({width} x {height})"
    return ""


def difference_hash(image: Image.Image) -> Bits:
    """Hash an image to 128 bits of 0 and 1."""
    grey = image.convert("L")
    across = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), np.int16)
    down = np.asarray(grey.resize((8, 9), Image.Resampling.BOX), np.int16)
    found = (np.diff(across, axis=1) > 0).ravel(), (np.diff(down, axis=0) > 0).ravel()
    return np.concatenate(found).astype(np.uint8)

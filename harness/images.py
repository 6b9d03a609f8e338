"""Decodes the images of a split once and keeps them as uint8 pixels of the size that a tower wants."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.errors import BadSample
from harness.files import one_at_a_time, replace_atomically
from harness.protocols import Progress
from harness.sample import Preprocessing, Sample

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = npt.NDArray[np.uint8]
CACHE_LIMIT_BYTES = 8 * 2**30
"""A split whose pixels would take more than this is decoded batch by batch instead."""
_CHUNK = 64


@dataclass(frozen=True)
class ImageSplit:
    """The readable samples of a split with their pixels; `skipped` says which ones were left out, and why."""

    samples: tuple[Sample, ...]
    skipped: dict[str, str]
    preprocessing: Preprocessing
    cached: Pixels | None

    def read(self, indices: Sequence[int]) -> Pixels:
        """Read uint8 pixels `[B, 3, size, size]`, RGB."""
        if self.cached is not None:
            return np.ascontiguousarray(self.cached[list(indices)])
        paths = [self.samples[index].image for index in indices]
        return np.stack([read_image(path, self.preprocessing) for path in paths])


def open_images(
    samples: Sequence[Sample], preprocessing: Preprocessing, cache: Path, on_bad: str, progress: Progress
) -> ImageSplit:
    """Decode a split, or find it in the cache.

    An unreadable image raises BadSample when `on_bad` is fail, and is left out and named when it is skip.
    """
    key = _key(samples, preprocessing)
    path, notes = cache / "pixels" / f"{key}.npy", cache / "pixels" / f"{key}.json"
    with one_at_a_time(notes):
        if not notes.is_file():
            _decode_all(samples, preprocessing, (path, notes), progress)
    skipped: dict[str, str] = json.loads(notes.read_text())["skipped"]
    if skipped and on_bad == "fail":
        name, reason = next(iter(skipped.items()))
        raise BadSample(
            f"{reason} ({len(skipped)} of {len(samples)} images cannot be read; first: sample {name}). "
            "Mend the file, or leave such images out with --on-bad-sample skip."
        )
    kept = tuple(sample for sample in samples if sample.sample_id not in skipped)
    if not kept:
        raise BadSample(f"Not one of {len(samples)} images can be read; first: {next(iter(skipped.values()), 'none')}.")
    cached = np.load(path, mmap_mode="r") if path.is_file() else None
    return ImageSplit(kept, skipped, preprocessing, cached)


def read_image(path: Path, preprocessing: Preprocessing) -> Pixels:
    """Decode and fit one image to uint8 `[3, size, size]` RGB; raises BadSample naming the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            fitted = fit_image(image.convert("RGB"), preprocessing)
    except FileNotFoundError:
        raise BadSample(f"{path} is not there") from None
    except UnidentifiedImageError:
        raise BadSample(f"{path} is not an image") from None
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # a decoder may raise anything on broken bytes
        raise BadSample(f"{path} is a broken image: {error}") from None
    return np.ascontiguousarray(np.asarray(fitted).transpose(2, 0, 1))


def fit_image(image: Image, preprocessing: Preprocessing) -> Image:
    """Resize and crop an RGB image to the square that a tower wants, as torchvision and timm do."""
    from PIL import Image as pillow

    resampling = pillow.Resampling[preprocessing.interpolation.upper()]
    size = preprocessing.size
    if preprocessing.squash:
        return image.resize((size, size), resampling)
    shorter = int(size / preprocessing.crop_fraction)
    width, height = image.size
    scale = shorter / min(width, height)
    resized = (shorter, int(height * scale)) if width <= height else (int(width * scale), shorter)
    image = image if image.size == resized else image.resize(resized, resampling)
    left, top = round((resized[0] - size) / 2), round((resized[1] - size) / 2)
    return image.crop((left, top, left + size, top + size))


def _key(samples: Sequence[Sample], preprocessing: Preprocessing) -> str:
    digest = hashlib.sha256(repr((preprocessing.size, preprocessing.crop_fraction)).encode())
    digest.update(f"{preprocessing.interpolation} {preprocessing.squash}".encode())
    for sample in samples:
        stat = sample.image.stat() if sample.image.exists() else None
        changed = (stat.st_size, stat.st_mtime_ns) if stat else None
        digest.update(f"{sample.sample_id}\0{sample.image}\0{changed}\n".encode())
    return digest.hexdigest()[:24]


def _decode_all(
    samples: Sequence[Sample], preprocessing: Preprocessing, paths: tuple[Path, Path], progress: Progress
) -> None:
    """Decode every image once; the notes are written last, so that half a cache is never trusted."""
    pixels: list[Pixels] = []
    skipped: dict[str, str] = {}
    keep = len(samples) * 3 * preprocessing.size**2 <= CACHE_LIMIT_BYTES
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(samples), _CHUNK):
            chunk = samples[start : start + _CHUNK]
            for sample, result in zip(chunk, pool.map(lambda s: _try_read(s, preprocessing), chunk), strict=True):
                if isinstance(result, str):
                    skipped[sample.sample_id] = result
                elif keep:
                    pixels.append(result)
            progress("decoding images", start + len(chunk), len(samples))
    if keep:
        shape = (0, 3, preprocessing.size, preprocessing.size)
        array = np.stack(pixels) if pixels else np.zeros(shape, np.uint8)
        with replace_atomically(paths[0]) as temporary, temporary.open("wb") as file:
            np.save(file, array)
    with replace_atomically(paths[1]) as temporary:
        temporary.write_text(json.dumps({"skipped": skipped}))


def _try_read(sample: Sample, preprocessing: Preprocessing) -> Pixels | str:
    try:
        return read_image(sample.image, preprocessing)
    except BadSample as error:
        return str(error)

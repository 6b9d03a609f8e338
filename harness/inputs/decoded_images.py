"""The images of a split as perturbations find them: decoded and upright, at most so large, kept once for all models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import BadSample
from harness.inputs.decoding_memory import PixelBudget
from harness.inputs.images import DECODER, broken_of, keep_readable, upright_image
from harness.inputs.sealed_files import find_or_make
from harness.protocols import Progress
from harness.sample import Sample
from harness.storage.content import Contents

DecodedImage = npt.NDArray[np.uint8]
_CHUNK = 64


@dataclass(frozen=True)
class DecodedImages:
    """Images `[H, W, 3]` of different sizes, one after the other in `pixels`; `rows` says which one a sample has."""

    samples: tuple[Sample, ...]
    skipped: dict[str, str]
    paths: tuple[Path, ...]
    rows: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    pixels: npt.NDArray[np.uint8]
    starts: tuple[int, ...]

    def read(self, row: int) -> DecodedImage:
        """Read one image, uint8 `[H, W, 3]`, RGB."""
        width, height = self.sizes[row]
        start = self.starts[row]
        return np.asarray(self.pixels[start : start + width * height * 3]).reshape(height, width, 3)


def open_decoded_images(
    samples: Sequence[Sample], shortest_px: int, cache: Path, on_bad: str, progress: Progress
) -> DecodedImages:
    """Decode a split, or find it in the cache; the shorter side is made `shortest_px` where it is longer (0: never).

    An unreadable image raises BadSample when `on_bad` is fail, and is left out when it is skip.
    """
    paths = list(dict.fromkeys(sample.image for sample in samples))
    contents = Contents(cache, progress)
    path = cache / "canvases" / f"{_key(contents.of(paths), shortest_px)}.bin"
    noted = find_or_make(path, lambda place: _decode_all(paths, shortest_px, place, progress), contents)
    broken = broken_of(noted, paths)
    kept, skipped = keep_readable(samples, broken, on_bad)
    good = tuple(path for path in paths if path not in broken)
    row_of = {path: row for row, path in enumerate(good)}
    sizes = tuple((width, height) for width, height in noted["sizes"])
    ends = np.cumsum([0, *(width * height * 3 for width, height in sizes)])
    return DecodedImages(
        samples=kept,
        skipped=skipped,
        paths=good,
        rows=tuple(row_of[sample.image] for sample in kept),
        sizes=sizes,
        pixels=np.memmap(path, dtype=np.uint8, mode="r"),
        starts=tuple(int(end) for end in ends[:-1]),
    )


def _decode_all(paths: Sequence[Path], shortest_px: int, place: Path, progress: Progress) -> Mapping[str, Any]:
    """Decode every image once and write all pixels; returns what is broken, and sizes."""
    sizes: list[tuple[int, int]] = []
    broken: dict[int, str] = {}
    budget = PixelBudget()
    with place.open("wb") as file, ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), _CHUNK):
            chunk = paths[start : start + _CHUNK]
            for position, result in enumerate(pool.map(lambda p: _try_read(p, shortest_px, budget), chunk), start):
                if isinstance(result, str):
                    broken[position] = result.removeprefix(f"{paths[position]} ")
                    continue
                sizes.append((result.shape[1], result.shape[0]))
                file.write(result.tobytes())
            progress("decoding images", start + len(chunk), len(paths))
    return {"broken": {str(at): reason for at, reason in broken.items()}, "sizes": sizes}


def _try_read(path: Path, shortest_px: int, budget: PixelBudget) -> DecodedImage | str:
    try:
        with budget.decoding(path):
            return _read(path, shortest_px)
    except BadSample as error:
        return str(error)


def _read(path: Path, shortest_px: int) -> DecodedImage:
    from PIL import Image

    image = upright_image(path)
    shorter = min(image.size)
    if shortest_px and shorter > shortest_px:
        size = (round(image.width * shortest_px / shorter), round(image.height * shortest_px / shorter))
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image)


def _key(contents: Iterable[str], shortest_px: int) -> str:
    digest = hashlib.sha256(f"{DECODER} {shortest_px}\n".encode())
    for content in contents:
        digest.update(f"{content}\n".encode())
    return digest.hexdigest()[:24]

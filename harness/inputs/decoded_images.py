"""The images of a split as perturbations find them: decoded and upright, at most so large, kept once for all models."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.inputs.array_file import has_room, too_large_for
from harness.inputs.decoding_memory import PixelBudget, size_in
from harness.inputs.images import DECODER, broken_of, each_readable, keep_readable, upright_image
from harness.inputs.sealed_files import find_or_make
from harness.protocols import NOTICE, Progress
from harness.read_ahead import reading_ahead, reading_in_threads, reading_threads
from harness.sample import Sample
from harness.storage.content import Contents

DecodedImage = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class DecodedImages:
    """Images `[H, W, 3]` of different sizes, one after the other in `pixels`; `rows` says which one a sample has.

    Where the disk has no room for pixels there are none, and images are decoded at each use, made smaller to
    `shortest_px`.
    """

    samples: tuple[Sample, ...]
    skipped: dict[str, str]
    paths: tuple[Path, ...]
    rows: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    pixels: npt.NDArray[np.uint8] | None
    starts: tuple[int, ...]
    shortest_px: int
    budget: PixelBudget = field(default_factory=PixelBudget, compare=False)

    def read(self, row: int) -> DecodedImage:
        """Read one image, uint8 `[H, W, 3]`, RGB."""
        if self.pixels is None:
            with self.budget.decoding(self.paths[row]):
                return _read(self.paths[row], self.shortest_px)
        width, height = self.sizes[row]
        start = self.starts[row]
        return np.asarray(self.pixels[start : start + width * height * 3]).reshape(height, width, 3)

    @contextmanager
    def in_order(self, groups: Iterable[Sequence[int]]) -> Iterator[Iterator[Mapping[int, DecodedImage]]]:
        """Give the images of each group of rows, by row; where they must be decoded, threads do so ahead.

        No thread outlives the block. Raises BadSample, naming the file, where one cannot be read any more.
        """
        if self.pixels is not None:
            yield ({row: self.read(row) for row in rows} for rows in groups)
            return
        with reading_ahead([groups], self._begin, ahead=1) as images:
            yield images

    def _begin(self, rows: Sequence[int], pool: Executor) -> Callable[[], Mapping[int, DecodedImage]]:
        tasks = {row: pool.submit(self.read, row) for row in rows}
        return lambda: {row: task.result() for row, task in tasks.items()}


def open_decoded_images(
    samples: Sequence[Sample], shortest_px: int, cache: Path, on_bad: str, progress: Progress
) -> DecodedImages:
    """Decode a split, or find it in the cache; the shorter side is made `shortest_px` where it is longer (0: never).

    An unreadable image raises BadSample when `on_bad` is fail, and is left out when it is skip.
    """
    paths = list(dict.fromkeys(sample.image for sample in samples))
    contents = Contents(cache, progress)
    path = cache / "canvases" / f"{_key(contents.of(paths), shortest_px)}.bin"
    keep = path.is_file() or _has_room(path, paths, shortest_px, progress)
    if not keep:  # its notes alone, which say what is broken
        path = path.with_name(f"{path.stem}-sizes.bin")
    noted = find_or_make(path, lambda place: _decode_all(paths, shortest_px, place, keep, progress), contents)
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
        pixels=np.memmap(path, dtype=np.uint8, mode="r") if keep else None,
        starts=tuple(int(end) for end in ends[:-1]),
        shortest_px=shortest_px,
    )


def _has_room(path: Path, paths: Sequence[Path], shortest_px: int, progress: Progress) -> bool:
    """Tell whether the disk has room for all pixels, by the headers of the files; says so where it has not."""
    with reading_in_threads(paths, size_in) as sizes:
        wanted = sum(width * height * 3 for width, height in (_fitted(size, shortest_px) for size in sizes))
    if has_room(path, wanted):
        return True
    what = too_large_for(path, f"the pixels of {len(paths)} images", wanted)
    progress(
        f"{what}: {reading_threads()} threads decode them anew for each condition, which takes processors", 0, NOTICE
    )
    return False


def _decode_all(
    paths: Sequence[Path], shortest_px: int, place: Path, keep: bool, progress: Progress
) -> Mapping[str, Any]:
    """Decode every image once and write all pixels, where they are kept; returns what is broken, and sizes."""
    sizes: list[tuple[int, int]] = []
    broken: dict[int, str] = {}
    with (
        place.open("wb") as file,
        closing(each_readable(paths, lambda path: _read(path, shortest_px), broken, progress)) as decoded,
    ):
        for image in decoded:
            sizes.append((image.shape[1], image.shape[0]))
            if keep:
                file.write(image.tobytes())
    return {"broken": {str(at): reason for at, reason in broken.items()}, "sizes": sizes}


def _read(path: Path, shortest_px: int) -> DecodedImage:
    from PIL import Image

    image = upright_image(path)
    size = _fitted(image.size, shortest_px)
    return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.BILINEAR))


def _fitted(size: tuple[int, int], shortest_px: int) -> tuple[int, int]:
    """Width and height after the shorter side is made `shortest_px`, where it is longer (0: never)."""
    width, height = size
    shorter = min(size)
    if not shortest_px or shorter <= shortest_px:
        return size
    return round(width * shortest_px / shorter), round(height * shortest_px / shorter)


def _key(contents: Iterable[str], shortest_px: int) -> str:
    digest = hashlib.sha256(f"{DECODER} {shortest_px}\n".encode())
    for content in contents:
        digest.update(f"{content}\n".encode())
    return digest.hexdigest()[:24]

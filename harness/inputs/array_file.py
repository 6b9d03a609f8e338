"""Arrays of the cache that are written block by block and read through memory maps, so that RAM never holds them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

FREE_DISK_SHARE = 0.5
"""Share of the free disk that one file of the cache may take."""


class ArrayWriter:
    """Appends blocks of rows to a .npy file, whose header says how many there are once all are written.

    Written and not mapped: where a disk is full a write raises OSError, and a mapped page would end the process.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Write into an empty file, open for writing."""
        self._file = file
        self._row: tuple[tuple[int, ...], np.dtype[np.generic]] | None = None
        self.rows = 0

    def append(self, block: npt.NDArray[np.generic]) -> None:
        """Write rows `[N, ...]`, of the shape and dtype of those before; raises ValueError for others."""
        row = (block.shape[1:], block.dtype)
        if self._row is None:
            self._row = row
            self._write_header()
        if row != self._row:
            raise ValueError(f"Rows of {row[1]} {row[0]} cannot follow rows of {self._row[1]} {self._row[0]}.")
        self._file.write(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
        self.rows += len(block)

    def finish(self) -> None:
        """Put the number of rows into the header, whose length does not depend on it."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        assert self._row is not None, "an array without a single block has no shape"
        shape, dtype = self._row
        described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (self.rows, *shape)}
        np.lib.format.write_array_header_1_0(self._file, described)


@contextmanager
def writing_array(place: Path) -> Iterator[ArrayWriter]:
    """Give a writer of a .npy file, the same bytes that `np.save` writes; at least one block must be appended."""
    with place.open("wb") as file:
        writer = ArrayWriter(file)
        yield writer
        writer.finish()


def has_room(path: Path, wanted_bytes: int) -> bool:
    """Tell whether a file is there already, or may take its bytes of the free disk."""
    return path.is_file() or wanted_bytes <= free_share(path)


def free_share(path: Path) -> int:
    """Bytes that a new file at `path` may take: a share of what is free there, measured now."""
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    return int(shutil.disk_usage(folder).free * FREE_DISK_SHARE)


def too_large_for(path: Path, what: str, wanted_bytes: int) -> str:
    """Say that a file does not fit, in numbers, and what would help."""
    return (
        f"{what} would take {wanted_bytes / 2**30:.3g} GiB, and {path.parent} may take {free_share(path) / 2**30:.3g} "
        f"GiB, {FREE_DISK_SHARE:.0%} of what is free there (free some, or move the cache with BENCH_CACHE)"
    )

"""Arrays in one file that is read through a memory map: nothing is parsed, and only what is looked at is in memory."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]
_ALIGNMENT = 64


class ColumnWriter:
    """Writes arrays one after another; `layout` says where each lies, JSON-able."""

    def __init__(self, file: BinaryIO) -> None:
        """Write into an empty file, open for writing."""
        self._file = file
        self._last = ""
        self.layout: dict[str, dict[str, Any]] = {}

    def append(self, name: str, block: Column) -> None:
        """Write rows `[n, ...]` of a column; blocks of one column follow each other, of one dtype and shape of row."""
        if name != self._last:
            if name in self.layout:
                raise ValueError(f"The column {name} is written already.")
            self._file.write(bytes(-self._file.tell() % _ALIGNMENT))
            self.layout[name] = {"dtype": block.dtype.str, "shape": [0, *block.shape[1:]], "offset": self._file.tell()}
            self._last = name
        place = self.layout[name]
        if (place["dtype"], place["shape"][1:]) != (block.dtype.str, list(block.shape[1:])):
            raise ValueError(f"Rows of {block.dtype} {block.shape[1:]} cannot follow the column {name}'s, {place}.")
        self._file.write(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
        place["shape"][0] += len(block)


def mapped_columns(path: Path, layout: Mapping[str, Mapping[str, Any]]) -> dict[str, Column]:
    """Map the arrays of a file, read-only; raises OSError where it cannot be read, ValueError for another layout."""
    with path.open("rb") as file:
        whole = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    columns = {}
    for name, place in layout.items():
        dtype, shape = np.dtype(place["dtype"]), tuple(place["shape"])
        stop = place["offset"] + dtype.itemsize * int(np.prod(shape))
        columns[name] = whole[place["offset"] : stop].view(dtype).reshape(shape)
    return columns

"""How many of COCO's 101 recalls are reached when so many objects are found, on many resamples at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.metrics.boxes.engines import RECALL_THRESHOLDS
from harness.stats.resampling import FloatArray, IntArray

Floats: TypeAlias = npt.NDArray[np.float32] | FloatArray
"""Whole numbers, as floating-point ones that hold them exactly."""
_STEPS = len(RECALL_THRESHOLDS) - 1
_UNMET = np.flatnonzero(np.arange(_STEPS + 1) / _STEPS < RECALL_THRESHOLDS)
"""Recalls that NumPy's linspace has a little too high, so that exactly such a share of the objects does not reach them:
.35, .41, .47, .57, .69, .7, .82, .83, .94 and .95. pycocotools compares with the same numbers."""
_MOST_MULTIPLIED = 40_000  # objects below which a share is told from the next hundredth in float32: 1/n > 100 * 2**-22


class Arrays:
    """Arrays that are used again: fresh memory takes several times as long as what is computed in it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Any], npt.NDArray[Any]] = {}

    def of(self, name: str, shape: tuple[int, int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array [H, r] that holds anything; it is the one that was given under this name before."""
        size = shape[0] * shape[1]
        key = name, np.dtype(dtype)
        if key not in self._kept or self._kept[key].size < size:
            self._kept[key] = np.empty(size, dtype)
        return self._kept[key][:size].reshape(shape)

    def taken(self, name: str, rows: Floats, places: IntArray) -> Floats:
        """Rows [H, r] at these places [H], in the array of this name."""
        found = self.of(name, (len(places), rows.shape[1]), rows.dtype)
        return np.take(rows, places, axis=0, out=found, mode="clip")  # without "clip" NumPy would copy once more


@dataclass(frozen=True)
class RecallSteps:
    """Recalls reached on R resamples: hundredths of the objects drawn, multiplied out or looked up."""

    per_object: npt.NDArray[np.float32]  # [R] hundredths that one object is, a little more
    looked_up: IntArray  # [L] resamples where multiplying is not exact
    table: npt.NDArray[np.int8]  # of these, tables one after another, each for 0, 1, 2, … objects found
    table_start: IntArray  # [L] where the table of each begins

    def newly(self, found: Floats, start: int, end: int, arrays: Arrays) -> npt.NDArray[np.int8]:
        """[h, R] how many recalls are reached in rows start..end-1 of `found` [H, R], in each beyond those before."""
        first = max(start - 1, 0)
        rows = found[first:end]
        reached = arrays.of("reached", rows.shape, np.int8)
        hundredths = np.multiply(rows, self.per_object, out=arrays.of("hundredths", rows.shape, rows.dtype))
        np.copyto(reached, hundredths, casting="unsafe")  # cuts off what is behind the point
        if len(self.looked_up):
            reached[:, self.looked_up] = self.table[rows[:, self.looked_up].astype(np.int64) + self.table_start]
        newly = arrays.of("newly", (end - start, found.shape[1]), np.int8)
        np.subtract(reached[1:], reached[:-1], out=newly[start == 0 :])
        if start == 0:
            np.add(reached[0], 1, out=newly[0])  # the recall of 0
        return newly


def recall_steps(objects: FloatArray) -> RecallSteps:
    """Make ready for these numbers of objects [R]; of none nothing is found, whatever is reached."""
    whole = np.maximum(objects.astype(np.int64), 1)
    met = (whole[:, None] * _UNMET % _STEPS == 0).any(axis=1)
    looked_up = np.flatnonzero(met | (whole > _MOST_MULTIPLIED))
    distinct, of_resample = np.unique(whole[looked_up], return_inverse=True)
    sizes = distinct + 1
    starts = np.cumsum(sizes) - sizes
    found = np.arange(int(sizes.sum())) - np.repeat(starts, sizes)
    table = np.searchsorted(RECALL_THRESHOLDS, found / np.repeat(distinct, sizes), side="right") - 1
    per_object = (_STEPS / whole * (1 + 2.0**-23)).astype(np.float32)
    return RecallSteps(per_object, looked_up, table.astype(np.int8), starts[of_resample])

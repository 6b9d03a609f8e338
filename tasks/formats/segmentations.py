"""COCO's masks as polygons or run lengths: checked without drawing them, and their areas.

A run-length mask counts pixels column by column, runs of 0 and 1 in turn, beginning with 0. Compressed counts are
base-32 digits from the character "0" on, lowest first, 32 marking that more follow, 16 in the last one the sign;
from the fourth run on the difference to the run before the last is stored (as `rleFrString` in pycocotools).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.formats.coco_entries import is_integer

Segmentation: TypeAlias = list[list[float]] | dict[str, Any]
"""Polygons, each `[x1, y1, x2, y2, …]` in px, or `{"size": [height, width], "counts": …}`; kept as given."""
IntArray = npt.NDArray[np.int64]
_CHUNK_BYTES = 2**16
_MEND = "Mend it or leave the annotation out."


@dataclass(frozen=True)
class RunTotals:
    """Of n run-length masks: pixels set, pixels in all, and whether the counts make no sense."""

    areas: IntArray
    totals: IntArray
    broken: npt.NDArray[np.bool_]


def check_segmentations(
    values: Sequence[Segmentation | None], sizes: Sequence[tuple[int, int]], place: Callable[[int], str]
) -> npt.NDArray[np.float64]:
    """Check masks against image sizes (width, height); returns areas in px² `[n]`, NaN for polygons and None.

    Raises DataError for polygons of under three points or with numbers that are not finite, and for run lengths
    whose size is not the image's or whose counts do not fill it.
    """
    areas = np.full(len(values), np.nan)
    if values.count(None) == len(values):
        return areas
    coded: list[int] = []
    for position, value in enumerate(values):
        if isinstance(value, dict):
            problem = _run_length_problem(value, sizes[position])
            coded.append(position)
        else:
            problem = None if value is None else _polygon_problem(value)
        if problem:
            raise DataError(f"{place(position)} has {problem}. {_MEND}")
    totals = mask_run_totals([value["counts"] for value in values if isinstance(value, dict)])
    for row, position in enumerate(coded):
        width, height = sizes[position]
        if totals.broken[row] or totals.totals[row] != width * height:
            raise DataError(
                f"{place(position)} has run lengths that fill {totals.totals[row]} pixels; wanted {width * height} "
                f"(the image has {width} x {height} px). {_MEND}"
            )
        areas[position] = totals.areas[row]
    return areas


def decode_runs(value: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """Draw checked run lengths: 0 or 1, `[H, W]`."""
    from hotcoco import mask  # pycocotools's own decode is deprecated NumPy

    listed = isinstance(value["counts"], list)
    drawn: npt.NDArray[np.uint8] = mask.decode(mask.frPyObjects(value, *value["size"]) if listed else value)
    return drawn


def mask_area(value: Segmentation, width: int, height: int) -> float:
    """Count the pixels of a checked mask, drawn as pycocotools draws it."""
    from pycocotools import mask

    if isinstance(value, dict):
        return float(mask_run_totals([value["counts"]]).areas[0])
    return float(mask.area(mask.merge(mask.frPyObjects(value, height, width))))


def mask_run_totals(counts: Sequence[str | bytes | list[int]]) -> RunTotals:
    """Sum the runs of masks, compressed or not."""
    areas, totals = np.zeros(len(counts), np.int64), np.zeros(len(counts), np.int64)
    found = RunTotals(areas, totals, np.zeros(len(counts), np.bool_))
    texts = [(row, _as_bytes(value)) for row, value in enumerate(counts) if not isinstance(value, list)]
    for chunk in _chunks(texts):
        rows = [row for row, _ in chunk]
        part = _compressed_totals([text for _, text in chunk])
        found.areas[rows], found.totals[rows], found.broken[rows] = part.areas, part.totals, part.broken
    for row, value in enumerate(counts):
        if isinstance(value, list):
            found.broken[row] = min(value, default=0) < 0 or sum(value) > 2**62
            if not found.broken[row]:
                found.areas[row], found.totals[row] = sum(value[1::2]), sum(value)
    return found


def _chunks(texts: Sequence[tuple[int, bytes]]) -> Iterator[Sequence[tuple[int, bytes]]]:
    """Cut into parts of so many characters that decoding them stays in a processor's cache."""
    start, size = 0, 0
    for stop, (_, text) in enumerate(texts):
        if size and size + len(text) > _CHUNK_BYTES:
            yield texts[start:stop]
            start, size = stop, 0
        size += len(text)
    if texts:
        yield texts[start:]


def _compressed_totals(texts: Sequence[bytes]) -> RunTotals:
    """Decode many strings at once: a Python loop over characters takes seconds on COCO-sized results."""
    count = len(texts)
    lengths = np.array([len(text) for text in texts], np.int64)
    digits = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64) - 48
    owner = np.repeat(np.arange(count), lengths)
    broken = np.bincount(owner, (digits < 0) | (digits > 63), count) > 0
    broken |= lengths == 0
    ends = np.cumsum(lengths)[lengths > 0] - 1
    last = (digits & 32) == 0
    broken[owner[ends]] |= ~last[ends]
    last[ends] = True  # keeps a broken string from running into the next one
    stops = np.flatnonzero(last)
    starts = np.concatenate([[0], stops[:-1] + 1]) if len(stops) else stops
    place = np.arange(len(digits)) - np.repeat(starts, stops - starts + 1)
    run_owner = owner[stops]
    broken[run_owner[stops - starts > 6]] = True  # seven digits hold any 32-bit count
    values = np.add.reduceat((digits & 31) << np.minimum(5 * place, 40), starts) if len(stops) else stops
    values = values - np.where(digits[stops] & 16, np.int64(1) << np.minimum(5 * (stops - starts + 1), 45), 0)
    return _sum_runs(values, run_owner, broken)


def _sum_runs(values: IntArray, owner: IntArray, broken: npt.NDArray[np.bool_]) -> RunTotals:
    """Undo the differences and sum; `values` are the stored numbers of all masks, one after another."""
    count = len(broken)
    first = np.searchsorted(owner, np.arange(count))
    index = np.arange(len(values)) - first[owner]
    runs = np.zeros_like(values)
    for parity in (0, 1):
        # stored: runs 0, 1 and 2 as they are, then the difference to the run before the last
        chosen = np.flatnonzero((index % 2 == parity) & ((index > 0) if parity == 0 else True))
        total = np.cumsum(values[chosen])
        before = np.searchsorted(owner[chosen], np.arange(count))[owner[chosen]]
        runs[chosen] = total - (total[before] - values[chosen][before])
    runs[index == 0] = values[index == 0]
    negative = np.bincount(owner, runs < 0, count) > 0
    sums = np.zeros((2, count), np.int64)
    np.add.at(sums, (index % 2, owner), runs)
    return RunTotals(sums[1], sums.sum(axis=0), broken | negative)


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def _run_length_problem(value: dict[str, Any], size: tuple[int, int]) -> str | None:
    width, height = size
    counts = value.get("counts")
    listed = isinstance(counts, list) and all(map(is_integer, counts))
    if not listed and not isinstance(counts, (str, bytes)):
        return f"run lengths with the counts {counts!r:.60}; wanted a string or a list of whole numbers"
    if value.get("size") != [height, width]:
        return (
            f"run lengths of size {value.get('size')!r:.60}; wanted [height, width] = [{height}, {width}], "
            "those of its image"
        )
    return None


def _polygon_problem(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return f"the segmentation {value!r:.60}; wanted polygons or run lengths"
    for polygon in value:
        if not isinstance(polygon, list):
            return f"{polygon!r:.60} as a polygon; wanted a list of numbers"
        if len(polygon) < 6 or len(polygon) % 2:
            return f"a polygon of {len(polygon)} numbers; wanted x and y of at least 3 points"
        if not set(map(type, polygon)) <= {int, float} or not math.isfinite(_total(polygon)):
            return f"a polygon with values that are not finite numbers: {polygon!r:.60}"
    return None


def has_enough_points(value: Segmentation | None) -> bool:
    """Tell polygons whose numbers are known to be finite, and that are polygons; False for all else."""
    if not isinstance(value, list):
        return False
    for polygon in value:  # noqa: SIM110  # `all` of a generator takes twice as long, a million times
        if len(polygon) < 6 or len(polygon) % 2 or not math.isfinite(sum(polygon)):
            return False
    return True


def _total(polygon: list[float]) -> float:
    try:
        return float(sum(polygon))
    except OverflowError:
        return math.nan

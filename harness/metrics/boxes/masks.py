"""Masks in COCO's formats: checked, and as compressed run-length codes.

A mask is a list of polygons [[x1, y1, x2, y2, ...], ...], or run lengths {"size": [height, width], "counts": ...}
over the columns of the image, uncompressed (a list of numbers) or compressed (a string of COCO's own code).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.errors import DataError
from harness.metrics.boxes.truth import is_number
from harness.stats.resampling import IntArray

Rle = dict[str, Any]
"""{"size": [height, width], "counts": bytes}, as pycocotools writes it."""

_MOST_AT_ONCE = 20_000  # masks whose codes are held as numbers at once
_FARTHEST = 100_000  # pixels from the origin; the rasteriser's memory grows with a polygon's length
_FIRST, _PAYLOAD, _SIGN, _MORE = 48, 31, 16, 32  # of COCO's code: bytes from '0' on, 5 bits each


def check_masks(segmentations: Sequence[Any], sizes: IntArray, place: Callable[[int], str]) -> None:
    """Raise DataError for the first mask that is broken or not of its image's size.

    `sizes` [M, 2] are the height and width of each mask's image; `place(i)` says where mask i stands.
    """
    compressed, numbers = [], []
    for number, (segmentation, (height, width)) in enumerate(zip(segmentations, sizes.tolist(), strict=True)):
        if _is_compressed(segmentation, height, width):
            compressed.append(_as_rle(segmentation, height, width))
            numbers.append(number)
        else:
            _require_well_formed(segmentation, height, width, place(number))
    _require_all_whole(compressed, lambda i: place(numbers[i]))


def compressed_rles(segmentations: Sequence[Any], sizes: IntArray, place: Callable[[int], str]) -> list[Rle]:
    """Turn masks of any format to compressed run lengths; raises DataError as `check_segmentations` does."""
    from hotcoco import mask

    rles = []
    for number, (segmentation, (height, width)) in enumerate(zip(segmentations, sizes.tolist(), strict=True)):
        if _is_compressed(segmentation, height, width):
            rles.append(_as_rle(segmentation, height, width))
            continue
        _require_well_formed(segmentation, height, width, place(number))
        parts = mask.frPyObjects(segmentation, height, width)
        rles.append(mask.merge(parts) if isinstance(parts, list) else parts)
    _require_all_whole(rles, place)
    return rles


def run_totals(codes: Sequence[bytes]) -> IntArray:
    """[M] how many pixels the runs of each compressed code [M] cover; -1 for a code that breaks off.

    A run is written in groups of five bits, the lowest first, as its difference to the run two before it; the first
    three runs are written as they are. So each number written counts once for itself and once for every second run
    after it, but for the first one, from which no run is taken.
    """
    lengths = np.array([len(code) for code in codes], dtype=np.int64)
    groups = np.frombuffer(b"".join(codes), dtype=np.uint8).astype(np.int64) - _FIRST
    if not len(groups):
        return np.where(lengths == 0, -1, 0)
    ends_number = (groups & _MORE) == 0
    code = np.repeat(np.arange(len(codes)), lengths)
    last_group = np.cumsum(lengths)[lengths > 0] - 1
    broken = np.ones(len(codes), dtype=bool)
    broken[lengths > 0] = ~ends_number[last_group]
    ends_number[last_group] = True
    ends = np.flatnonzero(ends_number)
    starts = np.concatenate([[0], ends[:-1] + 1])
    shift = 5 * (np.arange(len(groups)) - np.repeat(starts, ends - starts + 1))
    written = np.add.reduceat((groups & _PAYLOAD) << np.minimum(shift, 55), starts)
    negative = (groups[ends] & _SIGN) != 0
    written -= negative * (np.int64(1) << np.minimum(shift[ends] + 5, 60))
    owner = code[ends]
    numbers = np.bincount(owner, minlength=len(codes))
    place = np.arange(len(ends)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    uses = np.where(place == 0, 1, (numbers[owner] - 1 - place) // 2 + 1)
    totals = np.zeros(len(codes), dtype=np.int64)
    np.add.at(totals, owner, written * uses)
    return np.where(broken, -1, totals)


def _is_compressed(segmentation: Any, height: int, width: int) -> bool:
    if not isinstance(segmentation, Mapping) or not isinstance(segmentation.get("counts"), str | bytes):
        return False
    size = segmentation.get("size")
    return isinstance(size, Sequence) and list(size) == [height, width]


def _as_rle(segmentation: Mapping[str, Any], height: int, width: int) -> Rle:
    counts = segmentation["counts"]
    return {"size": [height, width], "counts": counts.encode("utf-8") if isinstance(counts, str) else counts}


def _require_well_formed(segmentation: Any, height: int, width: int, place: str) -> None:
    """Raise DataError for what is neither polygons nor uncompressed run lengths of this size."""
    if isinstance(segmentation, Mapping):
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if not isinstance(size, Sequence) or list(size) != [height, width]:
            raise DataError(
                f"{place}: the mask has size {size!r}, its image is [{height}, {width}] (height, width). "
                "Write masks at the size of the image file."
            )
        if not isinstance(counts, Sequence) or not all(type(run) is int and run >= 0 for run in counts):
            raise DataError(f"{place}: the mask's counts must be a string of COCO's code or a list of whole numbers.")
        if sum(counts) != height * width:
            raise DataError(_wrong_total(place, sum(counts), height, width))
    elif not isinstance(segmentation, Sequence) or isinstance(segmentation, str | bytes) or not segmentation:
        raise DataError(f"{place}: the mask is {_short(segmentation)}. It must be polygons or run lengths.")
    else:
        for polygon in segmentation:
            _require_polygon(polygon, place)


def _require_polygon(polygon: Any, place: str) -> None:
    fits = isinstance(polygon, Sequence) and not isinstance(polygon, str | bytes)
    if not fits or len(polygon) < 6 or len(polygon) % 2 or not all(map(is_number, polygon)):
        raise DataError(
            f"{place}: a polygon is {_short(polygon)}. It must be [x1, y1, x2, y2, x3, y3, ...] of finite numbers."
        )
    if max(map(abs, polygon)) > _FARTHEST:
        raise DataError(f"{place}: a polygon is {_short(polygon)}, which is far outside any image. Give pixels.")


def _require_all_whole(rles: Sequence[Rle], place: Callable[[int], str]) -> None:
    for start in range(0, len(rles), _MOST_AT_ONCE):
        _require_whole(rles[start : start + _MOST_AT_ONCE], lambda i, first=start: place(first + i))  # type: ignore[misc]


def _require_whole(rles: Sequence[Rle], place: Callable[[int], str]) -> None:
    """Raise DataError for the first code that is malformed or does not cover its image exactly."""
    from hotcoco import mask

    totals = run_totals([rle["counts"] for rle in rles])
    for number, (rle, total) in enumerate(zip(rles, totals.tolist(), strict=True)):
        if total != rle["size"][0] * rle["size"][1]:
            raise DataError(_wrong_total(place(number), total, *rle["size"]))
    try:
        mask.area(list(rles))
    except ValueError:
        for number, rle in enumerate(rles):
            _require_sound(rle, place(number))
        raise


def _require_sound(rle: Rle, place: str) -> None:
    from hotcoco import mask

    try:
        mask.area(rle)
    except ValueError as error:
        raise DataError(
            f"{place}: the mask cannot be read ({error}). Write it with pycocotools.mask.encode."
        ) from error


def _wrong_total(place: str, total: int, height: int, width: int) -> str:
    seen = "break off" if total == -1 else f"cover {total} pixels"
    return (
        f"{place}: the mask's runs {seen}, its image of height {height} and width {width} has {height * width}. "
        "Write masks at the size of the image file."
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

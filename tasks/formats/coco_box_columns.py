"""COCO's results of boxes as columns: half a million detections are never Python objects at once.

Only what is right is read here. A file that has a fault, or that only Python's own JSON parser takes, is left to
`tasks.formats.coco_results`, which words the fault.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from harness.collector import collection_paused
from harness.errors import DataError
from tasks.formats.boxes import Boxes
from tasks.formats.coco_results import LARGEST_SCORE
from tasks.formats.json_files import GZIP, read_bytes

_CHUNK = 8192
"""Detections that are Python objects at once."""
_Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Numbered(msgspec.Struct):
    """A detection in an image of COCO."""

    image_id: _Integer
    category_id: _Integer
    bbox: tuple[float, float, float, float]
    score: float


class _Named(msgspec.Struct):
    """A detection in an image of VOC, whose name may be written as a number."""

    image_id: _Integer | Annotated[str, msgspec.Meta(min_length=1)]
    category_id: _Integer
    bbox: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class BoxColumns:
    """D detections in the file's order; images are numbered as they first occur."""

    image_ids: tuple[str, ...]  # [I]
    image: npt.NDArray[np.int64]  # [D] 0..I-1
    category_ids: npt.NDArray[np.int64]  # [D]
    scores: npt.NDArray[np.float64]  # [D] finite
    boxes: Boxes  # [D, 4] x, y, width, height in px, as given


def read_box_columns(path: Path, *, named: bool) -> BoxColumns | None:
    """Read results of boxes, or None where `read_json` and `detections_of` have to say what is wrong with them."""
    try:
        content = read_bytes(path)
        if content.startswith(GZIP):
            content = gzip.decompress(content)
        if not content.isascii():
            content.decode()  # text that is skipped is not looked at otherwise
        with collection_paused():
            return _columns(msgspec.json.decode(content, type=list[msgspec.Raw]), _named if named else _numbered)
    except (DataError, msgspec.MsgspecError, UnicodeError, RecursionError, EOFError, zlib.error, OSError):
        return None


_Decoder: TypeAlias = msgspec.json.Decoder[list[_Numbered]] | msgspec.json.Decoder[list[_Named]]
_numbered, _named = msgspec.json.Decoder(list[_Numbered]), msgspec.json.Decoder(list[_Named])


def _columns(entries: Sequence[msgspec.Raw], decoder: _Decoder) -> BoxColumns | None:
    numbers: dict[str, int] = {}
    image, category_ids = np.empty(len(entries), np.int64), np.empty(len(entries), np.int64)
    scores, boxes = np.empty(len(entries)), np.empty((len(entries), 4))
    for start in range(0, len(entries), _CHUNK):
        rows = decoder.decode(b"[" + b",".join(entries[start : start + _CHUNK]) + b"]")
        part = slice(start, start + len(rows))
        image[part] = [numbers.setdefault(str(row.image_id), len(numbers)) for row in rows]
        category_ids[part] = [row.category_id for row in rows]
        scores[part] = [row.score for row in rows]
        boxes[part] = [row.bbox for row in rows]
    if not (np.abs(scores) < LARGEST_SCORE).all() or not np.isfinite(boxes).all() or (boxes[:, 2:] < 0).any():
        return None
    return BoxColumns(tuple(numbers), image, category_ids, scores, boxes)

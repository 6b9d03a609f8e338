"""What is drawn over an example image: boxes with their names, or the outlines of a map of classes, as parts of an SVG.

Answers are solid and have numbers, references are dashed and have letters, so neither needs its colour to be told.
"""

from __future__ import annotations

import base64
import io
import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    LabelMap = npt.NDArray[np.uint16]

_LEAST_SHARE = 0.01
"""Of the image: smaller regions are outlined, but not named."""
_MOST_CLASSES = 8
_SIGN_PX = 9
"""Half of a sign's width."""
_COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
    (120, 120, 120),
)  # fmt: skip
"""Okabe & Ito's, which colour-blind readers can tell apart; the numbers in the regions say the same."""
_LINE, _FILL_ALPHA = (255, 255, 255), 96


@dataclass(frozen=True)
class DrawnBox:
    """A box in pixels of the picture; `sign` is what stands beside it in the picture and in the list below."""

    sign: str
    name: str
    score: float | None
    x: float
    y: float
    width: float
    height: float

    @property
    def told(self) -> str:
        """Name the box as the list below the picture does."""
        return self.name if self.score is None else f"{self.name} ({self.score:.2f})"


@dataclass(frozen=True)
class Region:
    """A class of a map: its sign, its name, its share of the image, and a place inside in pixels of the picture."""

    sign: str
    name: str
    share: float
    x: float
    y: float


@dataclass(frozen=True)
class DrawnAnswer:
    """What stands over one picture; `overlay` is a transparent image that covers it, `left_out` counts more boxes."""

    size: tuple[int, int]
    boxes: tuple[DrawnBox, ...] = ()
    regions: tuple[Region, ...] = ()
    overlay: str | None = None
    left_out: int = 0

    @property
    def bytes(self) -> int:
        """About what it takes of a page."""
        return len(self.overlay or "") + 150 * (len(self.boxes) + len(self.regions))


def parse_drawing(
    content: Mapping[str, Any], size: tuple[int, int], names: Sequence[str], *, answer: bool
) -> DrawnAnswer:
    """Read what `harness.run.drawable` wrote; raises ValueError, TypeError, KeyError or DataError otherwise."""
    if "boxes" in content:
        signs = _signs(answer)
        boxes = tuple(_box(signs(place), box, size) for place, box in enumerate(content["boxes"]))
        return DrawnAnswer(size, boxes, left_out=int(content["left_out"]))
    from harness.answers import decode_label_map

    return _map_drawing(decode_label_map(content), size, names)


def _signs(answer: bool) -> Any:
    letters = string.ascii_lowercase
    return (lambda place: str(place + 1)) if answer else (lambda place: letters[place % len(letters)])


def _box(sign: str, box: Sequence[Any], size: tuple[int, int]) -> DrawnBox:
    name, score, *ends = box
    x, y, width, height = (float(end) for end in ends)
    if not all(map(math.isfinite, (x, y, width, height))):
        raise ValueError(f"a box of {box}")
    across, down = size
    known = None if score is None else float(score)
    return DrawnBox(sign, str(name), known, x * across, y * down, width * across, height * down)


def _map_drawing(labels: LabelMap, size: tuple[int, int], names: Sequence[str]) -> DrawnAnswer:
    import numpy as np

    from harness.answers import IGNORED

    values, counts = np.unique(labels[labels != IGNORED], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown = [(int(values[place]), int(counts[place]) / labels.size) for place in order[:_MOST_CLASSES]]
    regions = tuple(
        Region(str(value + 1), names[value], share, *_inside(labels == value, size))
        for value, share in shown
        if share >= _LEAST_SHARE
    )
    return DrawnAnswer(size, regions=regions, overlay=_overlay(labels, IGNORED))


def _inside(region: npt.NDArray[np.bool_], size: tuple[int, int]) -> tuple[float, float]:
    """Find the place of a region that is farthest from its rim, in pixels of the picture."""
    import numpy as np

    depth, core = 0, region
    while core.any():
        last, depth = core, depth + 1
        padded = np.pad(core, 1)
        core = core & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    rows, columns = np.nonzero(last)
    middle = len(rows) // 2
    places = (columns[middle] + 0.5) / region.shape[1], (rows[middle] + 0.5) / region.shape[0]
    x, y = (share * side for share, side in zip(places, size, strict=True))
    return _within(x, size[0]), _within(y, size[1])


def _within(place: float, side: int) -> float:
    """Keep a sign's middle so far from the rim of the picture that the sign can be read."""
    margin = min(_SIGN_PX, side / 2)
    return float(min(max(place, margin), side - margin))


def _overlay(labels: LabelMap, ignored: int) -> str:
    """Tint each class and outline it, as a data URI of a small PNG; what nobody is asked about stays clear."""
    import numpy as np
    from PIL import Image

    big = labels.repeat(2, axis=0).repeat(2, axis=1)
    clear, line = len(_COLOURS), len(_COLOURS) + 1
    places = (big % len(_COLOURS)).astype(np.uint8)
    places[big == ignored] = clear
    edge = np.zeros(big.shape, dtype=bool)
    edge[1:, :] |= big[1:, :] != big[:-1, :]
    edge[:, 1:] |= big[:, 1:] != big[:, :-1]
    places[edge] = line
    image = Image.fromarray(places)
    image.putpalette([value for colour in (*_COLOURS, (0, 0, 0), _LINE) for value in colour])
    stream = io.BytesIO()
    alphas = bytes([_FILL_ALPHA] * len(_COLOURS) + [0, 230])
    image.save(stream, "PNG", transparency=alphas, bits=4, optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"

"""The kinds of answer that tasks want, and what targets and predictions of each kind look like.

`TaskSpec.answers` names the kind. Tasks and models do not import each other: a task's own target classes offer the
members below, and predictions are plain JSON types.

| kind     | target offers                             | prediction                                             |
|----------|-------------------------------------------|--------------------------------------------------------|
| captions | `references`                              | str                                                    |
| labels   | `label`, or `labels` where multilabel     | list of C probabilities (of each class, if multilabel) |
| boxes    | `boxes`, `labels`, `crowd`                | list of [class, score, x, y, width, height]            |
| maps     | `label_map()`                             | `encode_label_map(...)`                                |

Boxes are in fractions of the image's width and height (0..1), x and y those of the left upper corner; classes are
indices into `Classes.names`, scores are 0..1. A label map covers the whole image at any resolution; its values are
class indices, `IGNORED` where nothing is asked.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CAPTIONS, LABELS, BOXES, MAPS = "captions", "labels", "boxes", "maps"
IGNORED = 65535
"""The label of pixels that no model is asked about, in targets' label maps (uint16)."""


class CaptionAnswer(Protocol):
    """A target of captioning."""

    references: Sequence[str]


class LabelAnswer(Protocol):
    """A target of classification: the index of its class, or 0 and 1 for each class."""

    label: int
    labels: Sequence[int]


class BoxAnswer(Protocol):
    """A target of detection: boxes in fractions of the image, their classes, and which are crowds to be ignored."""

    boxes: Sequence[tuple[float, float, float, float]]
    labels: Sequence[int]
    crowd: Sequence[bool]


class MapAnswer(Protocol):
    """A target of segmentation."""

    def label_map(self) -> npt.NDArray[np.uint16]:
        """Read the class of each pixel `[H, W]`; IGNORED where nothing is asked."""
        ...


def encode_label_map(labels: npt.NDArray[np.uint16]) -> dict[str, Any]:
    """Pack class indices `[H, W]` (0..65535) into JSON: a 16-bit PNG in base64."""
    import numpy as np
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(labels, dtype=np.uint16)).save(stream, "PNG")
    return {"label_map_png": base64.b64encode(stream.getvalue()).decode("ascii")}


def decode_label_map(prediction: Mapping[str, Any]) -> npt.NDArray[np.uint16]:
    """Unpack what `encode_label_map` made, uint16 `[H, W]`; raises DataError for anything else."""
    import numpy as np
    from PIL import Image

    try:
        content = base64.b64decode(prediction["label_map_png"], validate=True)
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image, dtype=np.uint16)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(
            f"A prediction is not a label map ({type(error).__name__}: {error}); "
            "wanted what harness.answers.encode_label_map makes."
        ) from None


def resize_label_map(labels: npt.NDArray[np.uint16], width_px: int, height_px: int) -> npt.NDArray[np.uint16]:
    """Bring a label map to a size in pixels by the nearest label: the one at each pixel's centre."""
    import numpy as np

    rows = ((np.arange(height_px) + 0.5) * labels.shape[0] / height_px).astype(np.int64)
    columns = ((np.arange(width_px) + 0.5) * labels.shape[1] / width_px).astype(np.int64)
    resized: npt.NDArray[np.uint16] = labels[rows[:, None], columns[None, :]]
    return resized

"""Reads the class of each pixel of an image, when a target is asked for its map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.answers import IGNORED
from tasks.formats.coco_panoptic import PanopticEntry, panoptic_semantic_map
from tasks.formats.label_maps import BYTES, LabelEntry, LabelScheme, class_map, read_stored_map

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tasks.formats.index_png import StoredLabels


@dataclass(frozen=True)
class LabelImageReader:
    """Reads the classes of an image's pixels from its label image; `left_out` are classes that become IGNORED."""

    entry: LabelEntry
    scheme: LabelScheme
    left_out: tuple[int, ...] = ()

    def __call__(self) -> npt.NDArray[np.uint16]:
        """Read class indices `[H, W]`, IGNORED where nothing is asked."""
        return _wide(class_map(self.entry, self.scheme), self.scheme.ignore_index, self.left_out)

    def stored(self) -> StoredLabels:
        """Read the values of the label image as they are stored, `[H, W]`; its size is the image's."""
        return read_stored_map(self.entry, self.scheme)

    @property
    def classes_of_bytes(self) -> npt.NDArray[np.int64]:
        """[256] the class of each value of 8 bits, IGNORED where nothing is asked, STRANGE where it means nothing."""
        import numpy as np

        meaning = self.scheme.meaning(BYTES, IGNORED)
        return np.where(np.isin(meaning, self.left_out), IGNORED, meaning)


@dataclass(frozen=True)
class PanopticReader:
    """Reads the classes of an image's pixels from its panoptic map; crowds and unlabelled pixels become IGNORED."""

    entry: PanopticEntry
    index: Mapping[int, int]
    left_out: tuple[int, ...] = ()

    def __call__(self) -> npt.NDArray[np.uint16]:
        """Read class indices `[H, W]`, IGNORED where nothing is asked."""
        return _wide(panoptic_semantic_map(self.entry, self.index, ignore=-1), -1, self.left_out)


def _wide(labels: npt.NDArray[Any], ignored: int, left_out: Sequence[int]) -> npt.NDArray[np.uint16]:
    import numpy as np

    wide = labels.astype(np.uint16)
    np.putmask(wide, labels == ignored, IGNORED)
    if left_out:
        wide[np.isin(labels, left_out)] = IGNORED
    return wide

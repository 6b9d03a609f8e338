"""Masks that stay JSON text until they are used: of 860,000 polygons a run looks at a few."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any, TypeAlias, overload

import msgspec
import numpy as np
import numpy.typing as npt

from tasks.formats.segmentations import Segmentation

Masks: TypeAlias = Sequence[Segmentation | None]


class StoredMasks(Masks):
    """The masks of an image, each decoded when it is asked for; None where an annotation has none."""

    __slots__ = ("_starts", "_stops", "_text")

    def __init__(
        self, text: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]
    ) -> None:
        """Take JSON text, bytes `[T]`, and where each mask begins and ends in it, `[n]`; an empty one is none."""
        self._text, self._starts, self._stops = text, starts, stops

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Segmentation | None: ...
    @overload
    def __getitem__(self, index: slice) -> Masks: ...
    def __getitem__(self, index: int | slice) -> Segmentation | Masks | None:
        if isinstance(index, slice):
            return StoredMasks(self._text, self._starts[index], self._stops[index])
        text = self._text[self._starts[index] : self._stops[index]]
        decoded: Segmentation | None = msgspec.json.decode(text.data) if len(text) else None
        return decoded

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash((len(self), self._text.ctypes.data))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(self),)

    def chosen(self, kept: npt.NDArray[np.bool_]) -> StoredMasks:
        """Keep some of them, bool `[n]`."""
        return StoredMasks(self._text, self._starts[kept], self._stops[kept])


def chosen_masks(masks: Masks, kept: npt.NDArray[np.bool_]) -> Masks:
    """Keep some masks, bool `[n]`, without decoding any."""
    return masks.chosen(kept) if isinstance(masks, StoredMasks) else tuple(compress(masks, kept))

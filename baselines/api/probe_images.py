"""The images of a probe: two that anybody tells apart by colour, and one without anything to see."""

from __future__ import annotations

from baselines.api.image_bytes import png_bytes

_SIDE_PX = 224
"""Some servers refuse images of a few pixels."""
FIRST, SECOND = "red", "green"


def probe_images() -> dict[str, bytes]:
    """Give PNG files: `first` is red with a dark disc, `second` green with bright stripes, `blank` is grey."""
    import numpy as np

    down, across = np.mgrid[0:_SIDE_PX, 0:_SIDE_PX]
    first = np.full((_SIDE_PX, _SIDE_PX, 3), (220, 20, 20), np.uint8)
    first[(down - 112) ** 2 + (across - 112) ** 2 < 40**2] = (90, 0, 0)
    second = np.full((_SIDE_PX, _SIDE_PX, 3), (20, 190, 40), np.uint8)
    second[(across // 16) % 4 == 0] = (150, 255, 160)
    blank = np.full((_SIDE_PX, _SIDE_PX, 3), 128, np.uint8)
    return {"first": png_bytes(first), "second": png_bytes(second), "blank": png_bytes(blank)}

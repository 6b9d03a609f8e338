"""Bounds the memory in which images are decoded: a few kilobytes of PNG can hold a gigabyte of pixels."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AT_ONCE_PIXELS = 2**26
"""Pixels that are decoded at the same time, by all threads together: about 1 GiB with what Pillow needs on the way."""


class PixelBudget:
    """Lets threads decode only so many pixels at once; an image with more than all of these is decoded alone."""

    def __init__(self, pixels: int = AT_ONCE_PIXELS) -> None:
        """Allow so many `pixels` at once."""
        self._pixels, self._used = pixels, 0
        self._freed = threading.Condition()

    @contextmanager
    def decoding(self, path: Path) -> Iterator[None]:
        """Wait until the pixels of an image fit beside those that are being decoded, and hold their place."""
        wanted = min(pixels_in(path), self._pixels)
        with self._freed:
            self._freed.wait_for(lambda: self._used + wanted <= self._pixels)
            self._used += wanted
        try:
            yield
        finally:
            with self._freed:
                self._used -= wanted
                self._freed.notify_all()


def pixels_in(path: Path) -> int:
    """Read from its header how many pixels an image has; 0 where there is no image, which whoever decodes it says."""
    width, height = size_in(path)
    return width * height


def size_in(path: Path) -> tuple[int, int]:
    """Read width and height as stored from an image's header, without turning it; (0, 0) where there is no image."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return image.size
    except Exception:  # a decoder may raise anything on broken bytes
        return 0, 0

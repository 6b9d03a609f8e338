"""Images as an endpoint gets them: PNG, never compressed with loss."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import BadSample
from harness.inputs.images import upright_image

if TYPE_CHECKING:
    from harness.sample import GivenImage

_PLAIN_MODES = ("RGB", "L")
_TURNED = 0x0112


def png_bytes(image: GivenImage) -> bytes:
    """Give a PNG file as it lies, byte for byte; all else is decoded to upright RGB and encoded once, losslessly.

    So are PNG files that servers may read in more than one way: with transparency, a palette, 16 bits, or an EXIF entry
    that turns them. Raises BadSample naming the file.
    """
    from PIL import Image

    if not isinstance(image, Path):
        return _encoded(Image.fromarray(image))
    return _of_file(image)


def data_url(png: bytes) -> bytes:
    """Write a PNG file as a URL that holds it, in ASCII."""
    return b"data:image/png;base64," + base64.b64encode(png)


def is_plain_png(path: Path) -> bool:
    """Tell whether a file is a PNG that everybody reads alike: 8 bits, grey or RGB, upright, no transparency.

    Raises BadSample for one that is broken or not there.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.format != "PNG" or image.mode not in _PLAIN_MODES or "transparency" in image.info:
                return False
            image.load()  # what is broken must say so here, not at the server's
            return int(image.getexif().get(_TURNED, 1)) == 1
    except FileNotFoundError:
        raise BadSample(f"{path} is not there") from None
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # a decoder may raise anything on broken bytes
        raise BadSample(f"{path} is not an image, or a broken one: {error}") from None


@lru_cache(maxsize=64)
def _of_file(path: Path) -> bytes:
    """Read or encode a file; several questions about one image follow each other."""
    return path.read_bytes() if is_plain_png(path) else _encoded(upright_image(path))


def _encoded(image: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)  # type: ignore[attr-defined]
    return stream.getvalue()

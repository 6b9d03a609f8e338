"""An image that came in a request: decoded where it is one, small enough and whole."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from harness.errors import BadSample
from harness.inputs.images import upright_rgb

if TYPE_CHECKING:
    from PIL.Image import Image


class ImageTooLarge(BadSample):
    """An image of more pixels than are accepted."""


def request_image(content: bytes, most_pixels: int) -> Image:
    """Decode bytes to an upright 8-bit RGB image; raises ImageTooLarge, or BadSample saying what is wrong."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:  # the header alone: a few bytes can claim any size
                if image.width * image.height > most_pixels:
                    raise ImageTooLarge(
                        f"The image has {image.width} x {image.height} pixels; at most {most_pixels:,} are accepted."
                    )
                return upright_rgb(image)
    except ImageTooLarge:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise BadSample(f"These {len(content)} bytes are not an image that can be decoded.") from None
    except BadSample as error:
        raise BadSample(f"The image {error}") from None
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # a decoder may raise anything on broken bytes
        raise BadSample(f"The image is broken: {error}") from None

"""Decodes label images to the numbers that were stored: never resized, never blended, never stretched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.inputs.images import upright
from tasks.formats.class_names import Colour
from tasks.formats.grey_png import decode_grey_png

if TYPE_CHECKING:
    from PIL.Image import Image

StoredLabels: TypeAlias = npt.NDArray[np.int32] | npt.NDArray[np.uint8]
"""Stored label values or segment ids `[H, W]`; uint8 where the file has 8 bits."""
IndexMap: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.int16]
"""Class indices `[H, W]`, with a value of its own for ignored pixels."""
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_LOSSY = ("JPEG", "MPO")
_GREY = 0


@dataclass(frozen=True)
class PngHeader:
    """What a PNG states before its pixels; sizes in px."""

    width: int
    height: int
    bit_depth: int
    colour_type: int


def read_label_image(path: Path, colours: Mapping[Colour, int] | None = None) -> StoredLabels:
    """Read the label values of an image `[H, W]`, int32, or uint8 where they are of 8 bits or fewer.

    Palette images give their indices, grey ones their values (of 1, 2, 4, 8 or 16 bits, as stored). With a colour
    table, images in colours (a palette's colours too) give the table's value of each colour. A turn stated in the
    EXIF is made, as in the photograph. Raises DataError for a file that is missing, broken, lossy or in colours
    without a table, and for colours that are not in the table.
    """
    if (plain := _plain_grey(path)) is not None:
        return plain
    with _opened(path) as image:
        if image.format in _LOSSY:
            raise DataError(f"{path} is a JPEG, whose compression changes label values. Save label images as PNG.")
        grey_scale = _stretch(path) if image.mode == "L" and image.format == "PNG" else 1
        image = _loaded(image, path)
    if colours is not None and image.mode in ("RGB", "RGBA", "P", "PA"):
        return _values_of_colours(path, np.asarray(image.convert("RGB")), colours)
    if image.mode in ("1", "P", "L", "I") or image.mode.startswith("I;16"):
        stored: npt.NDArray[Any] = np.asarray(image)
        if stored.dtype != np.uint8:
            return stored.astype(np.int32)
        return stored if grey_scale == 1 else stored // np.uint8(grey_scale)
    if image.mode == "F":
        raise DataError(
            f"{path} holds floating-point numbers (mode F); wanted label indices (palette or grey, 8 or 16 bits). Save "
            "whole numbers, as PNG."
        )
    raise DataError(
        f"{path} is in colours (mode {image.mode}); wanted label indices (palette or grey, 8 or 16 bits). "
        "If its colours mean classes, give lines of `red green blue name` with --classes FILE."
    )


def read_png_header(path: Path) -> PngHeader:
    """Read a PNG's size and depth without decoding it; raises DataError when it is no PNG."""
    try:
        with path.open("rb") as file:
            start = file.read(26)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Fetch it again.") from None
    if len(start) < 26 or not start.startswith(_PNG_START):
        raise DataError(f"{path} is not a PNG. Fetch it again.")
    width, height = (int.from_bytes(start[at : at + 4], "big") for at in (16, 20))
    return PngHeader(width, height, start[24], start[25])


def read_segment_ids(path: Path) -> StoredLabels:
    """Read COCO's panoptic encoding, id = R + 256 G + 65536 B, int32 `[H, W]`; raises DataError."""
    with _opened(path) as image:
        image = _loaded(image, path)
    if image.mode != "RGB":
        raise DataError(f"{path} has the mode {image.mode}; wanted COCO's panoptic PNG, 8-bit RGB. Fetch it again.")
    return _packed(np.asarray(image))


def _plain_grey(path: Path) -> npt.NDArray[np.uint8] | None:
    """Decode what most label images are, fast; None for all else, and for what cannot be read."""
    if path.suffix.lower() != ".png":
        return None
    try:
        return decode_grey_png(path.read_bytes())
    except OSError:
        return None


def _opened(path: Path) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(path)
    except FileNotFoundError:
        raise DataError(f"{path} is not there. Fetch it again, or leave it out of the list.") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image. Fetch it again.") from None
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # a decoder may raise anything on broken bytes
        raise DataError(f"{path} is a broken image: {error}. Fetch it again.") from None


def _loaded(image: Image, path: Path) -> Image:
    try:
        image.load()
        return upright(image)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # as above
        raise DataError(f"{path} is a broken image: {error}. Fetch it again.") from None


def _stretch(path: Path) -> int:
    """By how much Pillow multiplies grey values of 2 and 4 bits to fill 0..255: a label 1 would be read as 85 or 17."""
    header = read_png_header(path)
    return {2: 85, 4: 17}.get(header.bit_depth, 1) if header.colour_type == _GREY else 1


def _packed(pixels: npt.NDArray[np.uint8]) -> StoredLabels:
    wide = pixels.astype(np.int32)
    codes: StoredLabels = wide[..., 0] + (wide[..., 1] << 8) + (wide[..., 2] << 16)
    return codes


def _values_of_colours(path: Path, pixels: npt.NDArray[np.uint8], colours: Mapping[Colour, int]) -> StoredLabels:
    codes = _packed(pixels)
    table = sorted((red + (green << 8) + (blue << 16), value) for (red, green, blue), value in colours.items())
    known = np.array([code for code, _ in table], np.int32)
    values = np.array([value for _, value in table], np.int32)
    place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    strange = known[place] != codes
    if strange.any():
        found, counts = np.unique(codes[strange], return_counts=True)
        most = int(counts.argmax())
        code = int(found[most])
        raise DataError(
            f"{path} has {counts[most]} pixels of the colour {code & 255} {code >> 8 & 255} {code >> 16} "
            f"({len(found)} colours in all), which is not in the class list. Add it to --classes FILE "
            "(a class named void is ignored), or use label images without blended edges."
        )
    return values[place]

"""Plain grey PNG files are decoded to what Pillow decodes them to; whatever is not plain or not whole is left to it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.formats.grey_png import decode_grey_png

START = b"\x89PNG\r\n\x1a\n"
GREY = bytes([8, 0, 0, 0, 0])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(stream: Sequence[bytes], size: tuple[int, int], extra: bytes = b"", packed: bytes = GREY) -> bytes:
    header = struct.pack(">II", size[1], size[0]) + packed
    pixels = b"".join(chunk(b"IDAT", part) for part in stream)
    return START + chunk(b"IHDR", header) + extra + pixels + chunk(b"IEND", b"")


def filtered(values: npt.NDArray[np.uint8], kinds: Sequence[int]) -> bytes:
    """Rows by PNG's filters 0 to 4."""
    rows, above = [], np.zeros(values.shape[1], np.int64)
    for row, kind in zip(values.astype(np.int64), kinds, strict=True):
        left, corner = np.append(0, row[:-1]), np.append(0, above[:-1])
        guess = left + above - corner
        a, b, c = abs(guess - left), abs(guess - above), abs(guess - corner)
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
        expected = (0, left, above, (left + above) // 2, paeth)[kind]
        rows.append(bytes([kind]) + ((row - expected) % 256).astype(np.uint8).tobytes())
        above = row
    return b"".join(rows)


def by_pillow(content: bytes) -> npt.NDArray[np.uint8] | None:
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image)
    except Exception:  # whatever a decoder raises
        return None


@st.composite
def label_values(draw: st.DrawFn) -> npt.NDArray[np.uint8]:
    height, width, most = draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.sampled_from([1, 255]))
    values = draw(st.lists(st.integers(0, most), min_size=height * width, max_size=height * width))
    return np.array(values, np.uint8).reshape(height, width)


@settings(deadline=None, max_examples=60)
@given(values=label_values(), data=st.data())
def test_every_filter_and_packing_gives_the_stored_values(values: npt.NDArray[np.uint8], data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=len(values), max_size=len(values)))
    packed = zlib.compress(filtered(values, kinds), data.draw(st.integers(0, 9)))
    cut = data.draw(st.integers(0, len(packed)))
    content = png(
        [packed[:cut], packed[cut:]], values.shape, data.draw(st.sampled_from([b"", chunk(b"tEXt", b"a\0b")]))
    )
    found = decode_grey_png(content)
    assert found is not None and found.dtype == np.uint8
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(found, by_pillow(content))


@settings(deadline=None, max_examples=100)
@given(values=label_values(), data=st.data())
def test_broken_files_are_left_alone_or_read_as_pillow_reads_them(
    values: npt.NDArray[np.uint8], data: st.DataObject
) -> None:
    rows = filtered(values, [0] * len(values))
    packed = zlib.compress(rows)
    content = data.draw(
        st.one_of(
            st.integers(0, len(packed) - 1).map(lambda end: png([packed[:end]], values.shape)),  # checksums are right
            st.integers(0, len(rows) - 1).map(lambda end: png([zlib.compress(rows[:end])], values.shape)),
            st.binary(min_size=1, max_size=9).map(lambda more: png([zlib.compress(rows + more)], values.shape)),
            st.integers(5, 255).map(lambda kind: png([zlib.compress(bytes([kind]) + rows[1:])], values.shape)),
            st.tuples(st.integers(0, len(packed) + 56), st.integers(0, 7)).map(
                lambda place: flipped(png([packed], values.shape), *place)
            ),
            st.integers(0, len(packed) + 56).map(lambda end: png([packed], values.shape)[:end]),
        )
    )
    found = decode_grey_png(content)
    if found is not None:
        np.testing.assert_array_equal(found, by_pillow(content))


def flipped(content: bytes, place: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


TURNED = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
ROWS = zlib.compress(b"\0\1\2\0\3\4")


@pytest.mark.parametrize(
    "content",
    [
        png([ROWS], (2, 2), chunk(b"eXIf", TURNED)),
        png([ROWS], (2, 2), chunk(b"tRNS", b"\0\1")),
        png([ROWS], (2, 2), chunk(b"gAMA", struct.pack(">I", 200_000))),
        png([zlib.compress(b"\0\x12")], (1, 2), packed=bytes([4, 0, 0, 0, 0])),
        png([zlib.compress(b"\0\0\1")], (1, 1), packed=bytes([16, 0, 0, 0, 0])),
        png([zlib.compress(b"\0\1")], (1, 1), chunk(b"PLTE", bytes(6)), bytes([8, 3, 0, 0, 0])),
        png([ROWS], (2, 2), packed=bytes([8, 0, 0, 0, 1])),
        png([], (2, 2)),
        png([ROWS], (2**17, 2**17)),
        png([ROWS], (0, 2)),
        b"",
        b"GIF89a",
    ],
    ids=[
        "turned",
        "transparent",
        "gamma",
        "4-bit",
        "16-bit",
        "palette",
        "interlaced",
        "no-pixels",
        "huge",
        "empty",
        "no-bytes",
        "gif",
    ],
)
def test_whatever_is_not_plain_is_left_to_pillow(content: bytes) -> None:
    assert decode_grey_png(content) is None

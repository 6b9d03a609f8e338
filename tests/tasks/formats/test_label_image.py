"""Label images of every kind give the numbers that were stored, and photographs stay aligned with them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.errors import DataError
from harness.inputs.images import upright_rgb
from tasks.formats.index_png import read_label_image, read_png_header
from tasks.formats.label_maps import LabelEntry, LabelScheme, class_map, to_class_map

LABELS = np.array([[0, 1, 2], [11, 200, 255]], np.uint8)
SCHEME = LabelScheme(("road", "car"), (0, 3), frozenset({255}))


def saved(path: Path, mode: str) -> Path:
    if mode == "P":
        image = Image.fromarray(LABELS).copy()
        image.putpalette([value * 7 % 256 for value in range(768)])
        assert image.mode == "P"
    else:
        image = Image.fromarray(LABELS.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(LABELS)
    image.save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
@pytest.mark.parametrize("mode", ["P", "L"])
def test_indices_and_grey_values_are_kept(mode: str, suffix: str, tmp_path: Path) -> None:
    labels = read_label_image(saved(tmp_path / f"map.{suffix}", mode))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_kept(suffix: str, tmp_path: Path) -> None:
    labels = read_label_image(saved(tmp_path / f"map.{suffix}", "I;16"))
    np.testing.assert_array_equal(labels, LABELS.astype(np.int64) * 257)


def test_one_bit_is_zero_and_one(tmp_path: Path) -> None:
    Image.fromarray(LABELS > 1).save(tmp_path / "map.png")
    assert read_label_image(tmp_path / "map.png").tolist() == [[0, 0, 1], [1, 1, 1]]


@pytest.mark.parametrize("depth", [2, 4])
def test_few_bits_of_grey_are_not_stretched_to_255(depth: int, tmp_path: Path) -> None:
    values = list(range(2**depth)) * (8 // depth)
    bits = "".join(f"{value:0{depth}b}" for value in values)
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", len(values), 1, depth, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    (tmp_path / "map.png").write_bytes(png)
    with Image.open(tmp_path / "map.png") as image:
        assert np.asarray(image).max() == 255, "Pillow stretches"
    assert read_label_image(tmp_path / "map.png").tolist() == [values]
    assert read_png_header(tmp_path / "map.png").bit_depth == depth


COLOURS = {(0, 0, 0): 5, (128, 0, 0): 1, (0, 128, 0): 2, (0, 0, 255): 3}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_are_looked_up(mode: str, tmp_path: Path) -> None:
    pixels = np.array([[list(colour) for colour in COLOURS]], np.uint8)
    image = Image.fromarray(pixels)
    (image.convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else image.convert(mode)).save(
        tmp_path / "map.png"
    )
    assert read_label_image(tmp_path / "map.png", COLOURS).tolist() == [list(COLOURS.values())]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(table=st.dictionaries(st.tuples(*[st.integers(0, 255)] * 3), st.integers(0, 999), min_size=1))
def test_any_colour_table_is_looked_up(table: dict[tuple[int, int, int], int], tmp_path: Path) -> None:
    Image.fromarray(np.array([list(table)], np.uint8)).save(tmp_path / "map.png")
    assert read_label_image(tmp_path / "map.png", table).tolist() == [list(table.values())]


def test_a_colour_that_is_not_in_the_table_is_named(tmp_path: Path) -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    pixels[0, :3] = 1, 2, 3
    pixels[1, 0] = 9
    Image.fromarray(pixels).save(tmp_path / "map.png")
    with pytest.raises(DataError, match=r"map.png has 3 pixels of the colour 1 2 3 \(2 colours in all\), .*class list"):
        read_label_image(tmp_path / "map.png", COLOURS)


def test_what_holds_no_labels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    with pytest.raises(DataError, match=rf"{path} is not there"):
        read_label_image(path)
    path.write_bytes(b"text")
    with pytest.raises(DataError, match=rf"{path} is not an image"):
        read_label_image(path)
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (50, 50), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=rf"{path} is a broken image"):
        read_label_image(path)
    Image.new("RGB", (4, 4)).save(path)
    with pytest.raises(DataError, match=rf"{path} is in colours \(mode RGB\); wanted label indices"):
        read_label_image(path)
    Image.new("L", (4, 4)).save(tmp_path / "map.jpg")
    with pytest.raises(DataError, match=r"map.jpg is a JPEG, whose compression changes label values"):
        read_label_image(tmp_path / "map.jpg")


def test_classes_by_hand() -> None:
    found = to_class_map(np.array([[0, 3, 255, 3]], np.int32), SCHEME, Path("map.png"))
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 1, 255, 1]]
    with pytest.raises(DataError, match=r"map.png has the label 2 in 2 pixels \(3 such values in all\)"):
        to_class_map(np.array([[0, 2, 2, 7, 256]], np.int32), SCHEME, Path("map.png"))


def test_more_than_255_classes_get_sixteen_bits() -> None:
    scheme = LabelScheme(tuple(map(str, range(300))), tuple(range(300)), frozenset({999}))
    found = to_class_map(np.array([[255, 299, 999]], np.int32), scheme, Path("map.png"))
    assert scheme.ignore_index == -1
    assert found.dtype == np.int16
    assert found.tolist() == [[255, 299, -1]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photograph_and_labels_are_turned_alike(orientation: int, tmp_path: Path) -> None:
    pixels = np.zeros((4, 6), np.uint8)
    pixels[0, :2] = 3
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("photograph.png", "labels.png"):
        Image.fromarray(pixels).save(tmp_path / name, exif=exif)
    classes = class_map(LabelEntry("a", tmp_path / "photograph.png", tmp_path / "labels.png"), SCHEME)
    with Image.open(tmp_path / "photograph.png") as image:
        photograph = np.asarray(upright_rgb(image))[..., 0]
    np.testing.assert_array_equal(classes == 1, photograph == 3)


def test_a_turned_photograph_with_labels_as_stored_is_noticed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 4)).save(tmp_path / "photograph.jpg", exif=exif)
    Image.new("L", (6, 4)).save(tmp_path / "labels.png")
    with pytest.raises(DataError, match=r"labels.png has 6 x 4 px and .*photograph.jpg 4 x 6 px once turned"):
        class_map(LabelEntry("a", tmp_path / "photograph.jpg", tmp_path / "labels.png"), SCHEME)


def test_floating_point_numbers_are_not_called_colours(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "map.tif")
    with pytest.raises(DataError, match=r"map.tif holds floating-point numbers \(mode F\); wanted label indices"):
        read_label_image(tmp_path / "map.tif")

"""Images are fitted as torchvision does it; unreadable ones are named, and skipped where that is wished."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from harness.errors import BadSample
from harness.inputs.images import fit_image, image_size, open_images, read_image, upright_rgb
from harness.sample import Preprocessing, Sample

PLAIN = Preprocessing(16)


def quiet(what: str, done: int, total: int) -> None:
    return None


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    for number in range(6):
        noise(40, 30, number).save(tmp_path / f"{number}.png")
    return [Sample(str(number), tmp_path / f"{number}.png", None) for number in range(6)]


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (33, 33), (16, 90), (500, 375), (17, 16)])
@pytest.mark.parametrize("crop", [1.0, 0.875, 0.9])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_fitting_equals_torchvision(size: tuple[int, int], crop: float, interpolation: str) -> None:
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

    image, side = noise(*size), 16
    reference = Compose([Resize(int(side / crop), InterpolationMode(interpolation)), CenterCrop(side)])(image)
    mine = fit_image(image, Preprocessing(side, crop, interpolation))
    np.testing.assert_array_equal(np.asarray(mine), np.asarray(reference))


def test_squashing_keeps_the_whole_image() -> None:
    image = noise(40, 30)
    mine = fit_image(image, Preprocessing(16, fit="squash"))
    np.testing.assert_array_equal(np.asarray(mine), np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1", "I;16", "LA", "HSV", "YCbCr", "I"])
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("image.tif" if mode in ("CMYK", "YCbCr", "I") else "image.png")
    image = Image.new(mode, (20, 20)) if mode.startswith("I") else noise(20, 20).convert(mode)
    image.convert("RGB").save(path) if mode == "HSV" else image.save(path)
    pixels = read_image(path, PLAIN)
    assert pixels.shape == (3, 16, 16)
    assert pixels.dtype == np.uint8


SIXTEEN_BITS = np.array([[0, 128, 129, 255, 257, 300], [32_768, 40_000, 65_278, 65_406, 65_407, 65_535]], np.uint16)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_sixteen_bits_are_scaled_by_their_range_and_not_clipped(mode: str, tmp_path: Path) -> None:
    kind = {"I;16": np.uint16, "I;16B": ">u2", "I": np.int32}[mode]
    Image.fromarray(SIXTEEN_BITS.astype(kind)).save(tmp_path / "image.tif")
    with Image.open(tmp_path / "image.tif") as image:
        assert image.mode == mode
        pixels = np.asarray(upright_rgb(image))
    wanted = np.round(SIXTEEN_BITS / 65_535 * 255).astype(np.uint8)
    assert wanted[0].tolist() == [0, 0, 1, 1, 1, 1]
    assert wanted[1].tolist() == [128, 156, 254, 254, 255, 255]
    for channel in range(3):
        np.testing.assert_array_equal(pixels[..., channel], wanted)


def test_a_16_bit_png_keeps_its_bright_half(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65_535, 32 * 32).astype(np.uint16).reshape(32, 32)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    pixels = read_image(tmp_path / "ramp.png", Preprocessing(32))
    np.testing.assert_array_equal(pixels[0], np.round(ramp / 257).astype(np.uint8))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0, 70_000]], np.int32), r"holds 32-bit values 0\.\.70000; wanted 0\.\.65535"),
        (np.array([[-1, 7]], np.int32), r"holds 32-bit values -1\.\.7"),
        (np.array([[0.5, 7]], np.float32), "holds floating-point values"),
    ],
)
def test_values_without_a_known_range_are_refused(values: np.ndarray, message: str, tmp_path: Path) -> None:
    Image.fromarray(values).save(tmp_path / "image.tif")
    with pytest.raises(BadSample, match=rf"{tmp_path}/image\.tif {message}.*Convert it\."):
        read_image(tmp_path / "image.tif", PLAIN)


@pytest.mark.parametrize(("kind", "transparency"), [("png", 1), ("png", bytes([255, 0, 128, 255])), ("gif", 1)])
def test_transparent_palette_entries_keep_their_colours(kind: str, transparency: int | bytes, tmp_path: Path) -> None:
    colours = [(10, 20, 30), (200, 100, 50), (7, 250, 9), (0, 0, 255)]
    image = Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8)).convert("P")
    image.putpalette([value for colour in colours for value in colour])
    image.save(tmp_path / f"image.{kind}", transparency=transparency)
    with Image.open(tmp_path / f"image.{kind}") as opened:
        assert opened.mode == "P"
        assert "transparency" in opened.info
        pixels = np.asarray(upright_rgb(opened))
    assert pixels[0].tolist() == [list(colour) for colour in colours]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_dropped_and_the_colours_beneath_it_stay(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (90, 90, 90, 0)).convert(mode)
    image.save(tmp_path / "image.png")
    assert np.unique(read_image(tmp_path / "image.png", Preprocessing(4))).tolist() == [90]


def test_cmyk_gets_its_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    red = read_image(tmp_path / "red.jpg", PLAIN).mean(axis=(1, 2))
    assert red[0] > 245
    assert red[1:].max() < 10


def turned(path: Path, orientation: object, mode: str = "RGB") -> Image.Image:
    """Save a small image with an orientation in its EXIF, and return what a viewer shows."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    keywords = {"lossless": True} if path.suffix == ".webp" else {}
    image.save(path, exif=exif, **keywords)
    with Image.open(path) as stored:
        stored.load()
        return ImageOps.exif_transpose(stored)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp"])
def test_exif_orientation_is_followed_as_pillow_follows_it(orientation: int, extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"image.{extension}"
    reference = turned(path, orientation)
    with Image.open(path) as image:
        mine = upright_rgb(image)
    np.testing.assert_array_equal(np.asarray(mine), np.asarray(reference.convert("RGB")))
    assert mine.size == image_size(path) == ((8, 12) if orientation >= 5 else (12, 8))


@pytest.mark.parametrize("mode", ["P", "L", "RGBA", "1", "LA"])
def test_every_mode_is_turned(mode: str, tmp_path: Path) -> None:
    reference = turned(tmp_path / "image.png", 6, mode)
    with Image.open(tmp_path / "image.png") as image:
        np.testing.assert_array_equal(np.asarray(upright_rgb(image)), np.asarray(reference.convert("RGB")))


def test_a_quarter_turn_by_hand(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the stored left side is the top
    Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(upright_rgb(image)).tolist() == [[[255, 0, 0]], [[0, 255, 0]], [[0, 0, 255]]]


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_means_nothing_is_upright(orientation: int, tmp_path: Path) -> None:
    turned(tmp_path / "image.jpg", orientation)
    assert image_size(tmp_path / "image.jpg") == (12, 8)


def test_exif_that_cannot_be_read_does_not_cost_the_image(tmp_path: Path) -> None:
    noise(12, 8).save(tmp_path / "image.jpg", exif=b"Exif\0\0MM*\0\xff\xff")
    assert image_size(tmp_path / "image.jpg") == (12, 8)
    assert read_image(tmp_path / "image.jpg", PLAIN).shape == (3, 16, 16)


@pytest.mark.parametrize(("content", "message"), [(b"no image", "is not an image"), (None, "is not there")])
def test_the_size_of_a_bad_file_names_it(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSample, match=rf"{path} {message}"):
        image_size(path)


def broken(kind: str, path: Path) -> None:
    if kind == "text":
        path.write_text("not an image")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:600])
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.unlink()


@pytest.mark.parametrize("kind", ["text", "empty", "truncated", "folder", "missing"])
def test_a_bad_file_is_named_or_skipped(kind: str, samples: list[Sample], tmp_path: Path) -> None:
    broken(kind, samples[2].image)
    with pytest.raises(BadSample, match=r"2\.png .*first: sample 2.*--on-bad-sample skip"):
        open_images(samples, PLAIN, tmp_path / "cache", "fail", quiet)
    split = open_images(samples, PLAIN, tmp_path / "cache", "skip", quiet)
    assert [sample.sample_id for sample in split.samples] == ["0", "1", "3", "4", "5"]
    assert list(split.skipped) == ["2"]
    np.testing.assert_array_equal(split.read([2])[0], read_image(samples[3].image, PLAIN))


def test_a_mended_file_is_read_again(samples: list[Sample], tmp_path: Path) -> None:
    broken("truncated", samples[0].image)
    assert open_images(samples, PLAIN, tmp_path / "cache", "skip", quiet).skipped
    noise(40, 30).save(samples[0].image)
    assert not open_images(samples, PLAIN, tmp_path / "cache", "fail", quiet).skipped


def test_nothing_left_is_an_error(samples: list[Sample], tmp_path: Path) -> None:
    for sample in samples:
        broken("text", sample.image)
    with pytest.raises(BadSample, match=r"Not one of 6 images can be read; first: .*0.png is not an image"):
        open_images(samples, PLAIN, tmp_path / "cache", "skip", quiet)


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "bmp", "webp", "tif"])
def test_random_damage_is_read_or_a_bad_sample(extension: str, tmp_path: Path) -> None:
    path, generator = tmp_path / f"image.{extension}", random.Random(0)
    noise(24, 24).save(path)
    whole, bad = path.read_bytes(), 0
    for _ in range(60):
        damaged = bytearray(whole[: generator.randrange(1, len(whole) + 1)])
        for _ in range(3):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        path.write_bytes(damaged)
        try:
            assert read_image(path, PLAIN).shape == (3, 16, 16)
        except BadSample as error:
            bad += 1
            assert path.name in str(error)
    assert bad > 10


def test_the_cache_is_used_and_equal_to_reading(samples: list[Sample], tmp_path: Path) -> None:
    calls: list[str] = []
    first = open_images(samples, PLAIN, tmp_path / "cache", "fail", lambda what, *_: calls.append(what))
    second = open_images(samples, PLAIN, tmp_path / "cache", "fail", lambda what, *_: calls.append(what))
    assert calls == ["decoding images"]
    np.testing.assert_array_equal(first.read([4, 0]), second.read([4, 0]))
    np.testing.assert_array_equal(second.read([4])[0], read_image(samples[4].image, PLAIN))
    other = open_images(samples, Preprocessing(16, 0.9), tmp_path / "cache", "fail", quiet)
    assert not np.array_equal(other.read([0]), first.read([0]))


def test_a_split_too_large_for_the_cache_is_read_on_the_way(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = open_images(samples, PLAIN, tmp_path / "kept", "fail", quiet)
    monkeypatch.setattr("harness.inputs.array_file.FREE_DISK_SHARE", 0.0)
    split = open_images(samples, PLAIN, tmp_path / "cache", "fail", quiet)
    assert split.cached is None
    assert (split.sizes, split.digests) == (kept.sizes, kept.digests)
    np.testing.assert_array_equal(split.read([5, 1]), kept.read([5, 1]))
    monkeypatch.setattr("harness.inputs.array_file.FREE_DISK_SHARE", 0.5)
    assert open_images(samples, PLAIN, tmp_path / "cache", "fail", quiet).cached is not None

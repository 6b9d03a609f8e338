"""Images are fitted as torchvision does it; unreadable ones are named, and skipped where that is wished."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import BadSample
from harness.images import fit_image, open_images, read_image
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


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1", "I;16", "LA"])
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    (Image.new("I;16", (20, 20)) if mode == "I;16" else noise(20, 20).convert(mode)).save(path)
    pixels = read_image(path, PLAIN)
    assert pixels.shape == (3, 16, 16)
    assert pixels.dtype == np.uint8


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
    monkeypatch.setattr("harness.images.CACHE_LIMIT_BYTES", 100)
    split = open_images(samples, PLAIN, tmp_path / "cache", "fail", quiet)
    assert split.cached is None
    np.testing.assert_array_equal(split.read([5, 1]), kept.read([5, 1]))

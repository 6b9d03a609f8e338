"""Canvases: decoded once, upright, never enlarged; grey, alpha and broken images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import BadSample
from harness.inputs.decoded_images import open_decoded_images
from harness.sample import Sample


def samples_of(*paths: Path) -> list[Sample]:
    return [Sample(str(index), path, None) for index, path in enumerate(paths)]


def save(path: Path, mode: str, size: tuple[int, int]) -> Path:
    rng = np.random.default_rng(len(str(path)))
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = rng.integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    Image.fromarray(values.squeeze(-1) if channels == 1 else values, mode).save(path)
    return path


def quiet(*_: object) -> None:
    return None


def test_small_images_stay_and_large_ones_shrink_to_the_shorter_side(tmp_path: Path) -> None:
    small, large = save(tmp_path / "a.png", "RGB", (31, 17)), save(tmp_path / "b.png", "RGB", (640, 480))
    found = open_decoded_images(samples_of(small, large, small), 224, tmp_path / "cache", "fail", quiet)
    assert found.sizes == ((31, 17), (299, 224))
    assert found.rows == (0, 1, 0)
    assert (found.read(0) == np.asarray(Image.open(small))).all()
    again = open_decoded_images(samples_of(small, large), 0, tmp_path / "cache", "fail", quiet)
    assert again.sizes == ((31, 17), (640, 480))
    assert (again.read(1) == np.asarray(Image.open(large))).all()


def test_grey_and_alpha_become_rgb(tmp_path: Path) -> None:
    grey, alpha = save(tmp_path / "g.png", "L", (8, 9)), save(tmp_path / "a.png", "RGBA", (9, 8))
    found = open_decoded_images(samples_of(grey, alpha), 224, tmp_path / "cache", "fail", quiet)
    assert found.read(0).shape == (9, 8, 3) and found.read(1).shape == (8, 9, 3)
    assert (found.read(0)[..., 0] == np.asarray(Image.open(grey))).all()
    assert (found.read(1) == np.asarray(Image.open(alpha))[..., :3]).all()


def test_a_broken_image_is_named_or_left_out(tmp_path: Path) -> None:
    good, bad = save(tmp_path / "g.png", "RGB", (8, 8)), tmp_path / "bad.png"
    bad.write_bytes(b"not an image")
    with pytest.raises(BadSample, match=r"bad.png is not an image.*--on-bad-sample skip"):
        open_decoded_images(samples_of(bad, good), 224, tmp_path / "cache", "fail", quiet)
    found = open_decoded_images(samples_of(bad, good), 224, tmp_path / "cache", "skip", quiet)
    assert list(found.skipped) == ["0"] and found.rows == (0,) and found.paths == (good,)
    assert (found.read(0) == np.asarray(Image.open(good))).all()

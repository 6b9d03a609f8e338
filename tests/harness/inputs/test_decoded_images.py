"""Canvases: decoded once, upright, never enlarged; grey, alpha and broken images."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.condition import Part
from harness.errors import BadSample
from harness.inputs.decoded_images import open_decoded_images
from harness.inputs.perturbed_inputs import ImageSource
from harness.plan.plugins import load_perturbations
from harness.protocols import NOTICE
from harness.read_ahead import THREAD_NAME
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


def test_without_room_images_are_decoded_ahead_and_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [save(tmp_path / f"{n}.png", "RGB", (31 + n, 300)) for n in range(5)]
    told: list[str] = []
    kept = open_decoded_images(samples_of(*paths), 24, tmp_path / "kept", "fail", quiet)
    monkeypatch.setattr("harness.inputs.array_file.FREE_DISK_SHARE", 0.0)
    found = open_decoded_images(
        samples_of(*paths),
        24,
        tmp_path / "cache",
        "fail",
        lambda what, done, total: told.append(what) if total == NOTICE else None,
    )
    assert found.pixels is None and found.sizes == kept.sizes
    assert len(told) == 1 and "the pixels of 5 images would take" in told[0] and "for each condition" in told[0]
    known, part = load_perturbations(), Part("gaussian-noise", 3)
    groups = [[3, 0], [], [4, 1]]
    read = []
    for images in (kept, found):
        with ImageSource(images, part, known[part.name], 7).in_order(groups) as order:
            read.append(list(order))
    assert [list(group) for group in read[0]] == [list(group) for group in read[1]] == groups
    for one, other in zip(*read, strict=True):
        assert all(np.array_equal(one[row], other[row]) for row in one)
    paths[2].write_bytes(b"not an image")
    with pytest.raises(BadSample, match=r"2\.png is not an image"), found.in_order([[1], [2]]) as order:
        list(order)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]

"""However many threads ask, only so many pixels are decoded at once, and every image gets its turn."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from harness.errors import BadSample
from harness.inputs.decoding_memory import PixelBudget, pixels_in
from harness.inputs.images import open_images
from harness.sample import Preprocessing, Sample

SHAPE = Preprocessing(size=8, interpolation="bilinear", mean=(0.0,) * 3, std=(1.0,) * 3)


def test_pixels_at_once_stay_within_the_budget_and_a_larger_image_comes_alone(tmp_path: Path) -> None:
    sizes = [(10, 10), (40, 40), (20, 20), (5, 5)] * 6
    for number, size in enumerate(sizes):
        Image.new("L", size).save(tmp_path / f"{number}.png")
    budget, lock, now, most = PixelBudget(500), threading.Lock(), [], []

    def decode(number: int) -> int:
        with budget.decoding(tmp_path / f"{number}.png"):
            width, height = sizes[number]
            with lock:
                now.append(width * height)
                most.append(list(now))
            time.sleep(0.002)
            with lock:
                now.remove(width * height)
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(decode, range(len(sizes)))) == list(range(len(sizes)))
    assert all(sum(held) <= 500 or held == [1600] for held in most)
    assert max(len(held) for held in most) > 1, "small ones are decoded side by side"


def test_what_is_no_image_takes_no_place(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no image")
    assert (pixels_in(tmp_path / "x.png"), pixels_in(tmp_path / "none.png")) == (0, 0)
    with pytest.raises(RuntimeError), PixelBudget(1).decoding(tmp_path / "x.png"):
        raise RuntimeError
    Image.new("L", (9, 9)).save(tmp_path / "y.png")
    budget = PixelBudget(81)
    for _ in range(2):  # the place is given back when a decoder fails
        with pytest.raises(ValueError, match="broken"), budget.decoding(tmp_path / "y.png"):
            raise ValueError("broken")


def test_an_image_beyond_all_bounds_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    for name, side in (("good", 6), ("bomb", 20)):
        Image.new("L", (side, side)).save(tmp_path / f"{name}.png")
    samples = [Sample(name, tmp_path / f"{name}.png", None) for name in ("good", "bomb")]
    with pytest.raises(BadSample, match=r"bomb\.png has more than 178,956,970 pixels.*--on-bad-sample skip"):
        open_images(samples, SHAPE, tmp_path / "cache", "fail", lambda *_: None)
    kept = open_images(samples, SHAPE, tmp_path / "cache", "skip", lambda *_: None)
    assert [sample.sample_id for sample in kept.samples] == ["good"]

"""Batches that threads have read are what reading them in the loop gives, for pixels and for features."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from harness.errors import BadSample
from harness.inputs.images import ImageSplit, open_images
from harness.inputs.read_batch import ReadIndices, begin_array
from harness.inputs.visual_tokens import VisualTokens, open_visual_tokens
from harness.protocols import NOTICE
from harness.read_ahead import THREAD_NAME
from harness.sample import Preprocessing, Sample

COUNT = 12


class Tower(nn.Module):
    """One token an image, of its first pixels, so that any mistake in pixels shows."""

    preprocessing, width, key = Preprocessing(8), 6, "tower"

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.float().flatten(1)[:, None, :6] / 7


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    generator = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = generator.integers(0, 256, (9, 12, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return [Sample(str(n), tmp_path / f"{n // 2}.png", n) for n in range(2 * COUNT)]  # two questions an image


@pytest.fixture
def unkept(samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSplit:
    """Images for whose pixels the disk has no room."""
    monkeypatch.setattr("harness.inputs.array_file.FREE_DISK_SHARE", 0.0)
    return open_images(samples, Tower.preprocessing, tmp_path / "none", "fail", lambda *_: None)


def tokens_of(images: ImageSplit, *, frozen: bool = False) -> VisualTokens:
    learner: Any = SimpleNamespace(vision=Tower(), vision_frozen=frozen)
    return VisualTokens(learner, images, images.samples, None, "cpu")


def test_batches_read_ahead_equal_those_read_in_the_loop(unkept: ImageSplit) -> None:
    tokens = tokens_of(unkept)
    order = [[5, 4, 17], [0, 23, 23], [2]]
    assert tokens.reads_ahead
    with tokens.in_order([order[:2], order[2:]]) as batches:
        read = [(list(batch), tokens.batch(batch, with_targets=True)) for batch in batches]
    assert [indices for indices, _ in read] == order
    for indices, batch in read:
        plain = tokens.batch(indices, with_targets=True)
        assert batch.targets == plain.targets and batch.sizes == plain.sizes
        assert batch.visual is not None and plain.visual is not None
        assert torch.equal(batch.visual, plain.visual)


def test_a_part_of_a_batch_has_its_part_of_the_pixels(unkept: ImageSplit) -> None:
    tokens = tokens_of(unkept)
    with tokens.in_order([[[7, 1, 9, 3]]]) as batches:
        part = next(batches)[1:3]
    assert isinstance(part, ReadIndices) and list(part) == [1, 9]
    visual = tokens.batch(part, with_targets=False).visual
    plain = tokens.batch([1, 9], with_targets=False).visual
    assert visual is not None and plain is not None and torch.equal(visual, plain)


def test_an_image_that_is_asked_about_twice_is_decoded_once(
    unkept: ImageSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    plain = ImageSplit.decode
    monkeypatch.setattr(ImageSplit, "decode", lambda self, row: decoded.append(row) or plain(self, row))
    with tokens_of(unkept).in_order([[[0, 1, 2]]]) as batches:
        next(batches)
    assert sorted(decoded) == [0, 1]


def test_a_file_that_broke_meanwhile_is_named_and_no_thread_is_left(unkept: ImageSplit) -> None:
    unkept.paths[3].write_bytes(b"no image")
    tokens = tokens_of(unkept)
    with pytest.raises(BadSample, match=r"3\.png is not an image"), tokens.in_order([[[0], [6], [1]]]) as batches:
        list(batches)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


def test_kept_pixels_on_the_cpu_are_read_without_threads(samples: list[Sample], tmp_path: Path) -> None:
    images = open_images(samples, Tower.preprocessing, tmp_path / "cache", "fail", lambda *_: None)
    tokens = tokens_of(images)
    assert not tokens.reads_ahead
    with tokens.in_order([[[1]], [[2]]]) as batches:
        assert list(batches) == [[1], [2]]
    assert tokens.path_taken.startswith("reads pixels, memory-mapped")
    assert replace(tokens, device="cuda:0").reads_ahead


def test_without_room_it_says_what_that_costs(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.inputs.array_file.FREE_DISK_SHARE", 0.0)
    told: list[str] = []

    def tell(what: str, done: int, total: int) -> None:
        if total == NOTICE:
            told.append(what)

    images = open_images(samples, Tower.preprocessing, tmp_path / "cache", "fail", tell)
    learner: Any = SimpleNamespace(vision=Tower(), vision_frozen=True)
    tokens = open_visual_tokens(learner, images, tmp_path / "cache", "cpu", tell)
    assert "the pixels of 12 images would take" in told[0] and "decoded anew at each use" in told[0]
    assert "the features of 12 images would take" in told[1] and "computes them anew" in told[1]
    assert "decoded at each use, ahead by" in tokens.path_taken


def test_features_of_decoded_images_are_those_of_kept_pixels(
    samples: list[Sample], unkept: ImageSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.inputs.array_file.FREE_DISK_SHARE", 0.5)
    kept = open_images(samples, Tower.preprocessing, tmp_path / "cache", "fail", lambda *_: None)
    assert kept.cached is not None and unkept.cached is None
    learner: Any = SimpleNamespace(vision=Tower(), vision_frozen=True)
    found = [
        open_visual_tokens(learner, images, tmp_path / name, "cpu", lambda *_: None).features
        for name, images in (("one", kept), ("two", unkept))
    ]
    assert found[0] is not None and found[1] is not None
    np.testing.assert_array_equal(found[0], found[1])


def test_rows_are_gathered_as_they_are_asked_for() -> None:
    from concurrent.futures import ThreadPoolExecutor

    array = np.arange(20, dtype=np.uint16).reshape(10, 2)
    with ThreadPoolExecutor(1) as pool:
        read = begin_array(array, "cpu", [3, 3, 9], pool)()
    assert read.dtype == torch.uint16
    np.testing.assert_array_equal(read.numpy(), array[[3, 3, 9]])


def test_bf16_features_are_the_rounded_values_in_half_the_bytes(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.inputs.frozen_features import FrozenFeatures

    images = open_images(samples, Tower.preprocessing, tmp_path / "cache", "fail", lambda *_: None)
    exact = FrozenFeatures(Tower(), images, "cpu").find(tmp_path, lambda *_: None)
    bits = FrozenFeatures(Tower(), images, "cpu", "bf16").find(tmp_path, lambda *_: None)
    assert exact is not None and bits is not None
    assert bits.nbytes * 2 == exact.nbytes
    learner: Any = SimpleNamespace(vision=Tower(), vision_frozen=True)
    tokens = VisualTokens(learner, images, images.samples, bits, "cpu", "bf16")
    visual = tokens.batch([2, 9], with_targets=False).visual
    assert visual is not None and visual.dtype == torch.float32
    rounded = torch.from_numpy(np.array(exact))[[1, 4]].bfloat16().float()
    assert torch.equal(visual, rounded) and not torch.equal(rounded, torch.from_numpy(np.array(exact))[[1, 4]])
    anew = replace(tokens, features=None).batch([2, 9], with_targets=False).visual
    assert anew is not None and torch.equal(anew, rounded)  # the same values where the disk has no room


def test_features_are_computed_in_halved_batches_where_memory_runs_out(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.inputs.frozen_features import FrozenFeatures

    class Small(Tower):
        """Takes five images at once."""

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            if len(pixels) > 5:
                raise torch.OutOfMemoryError("planted")
            return super().forward(pixels)

    told = list[str]()
    monkeypatch.setattr("harness.inputs.frozen_features._FEATURE_BATCH", 8)
    images = open_images(samples, Tower.preprocessing, tmp_path / "cache", "fail", lambda *_: None)
    expected = FrozenFeatures(Tower(), images, "cpu").find(tmp_path / "whole", lambda *_: None)
    found = FrozenFeatures(Small(), images, "cpu").find(
        tmp_path / "parts", lambda what, done, total: told.extend([what] if total == NOTICE else [])
    )
    assert expected is not None and found is not None
    np.testing.assert_array_equal(found, expected)
    assert told == ["out of memory: computing frozen features in batches of 4"]
    (noted,) = (tmp_path / "parts" / "features").glob("*.json")
    assert '"batch_size": 4' in noted.read_text()

"""Frozen features equal a direct pass, are computed once, and do not depend on batches."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from harness.inputs.images import ImageSplit, open_images
from harness.inputs.visual_tokens import open_visual_tokens
from harness.sample import Preprocessing, Sample


class Tower(nn.Module):
    """Two tokens an image; counts how often it is asked."""

    preprocessing = Preprocessing(8)
    width = 5

    def __init__(self, key: str = "tower") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.key, self.calls = key, 0
        self.linear = nn.Linear(3 * 64, 10)

    def forward(self, pixels: Tensor) -> Tensor:
        self.calls += 1
        tokens: Tensor = self.linear(pixels.float().flatten(1) / 255).reshape(-1, 2, 5)
        return tokens


def quiet(what: str, done: int, total: int) -> None:
    return None


@pytest.fixture
def images(tmp_path: Path) -> ImageSplit:
    for number in range(70):
        Image.new("RGB", (10, 8), (number, 2 * number, 255 - number)).save(tmp_path / f"{number}.png")
    samples = [Sample(str(n), tmp_path / f"{n}.png", f"target {n}", text=f"text {n}") for n in range(70)]
    return open_images(samples, Tower.preprocessing, tmp_path / "cache", "fail", quiet)


def learner(tower: Any, frozen: bool = True) -> Any:
    return SimpleNamespace(vision=tower, vision_frozen=frozen)


def test_features_equal_a_direct_pass_in_any_batch(images: ImageSplit, tmp_path: Path) -> None:
    tower = Tower()
    visual_tokens = open_visual_tokens(learner(tower), images, tmp_path, "cpu", quiet)
    direct = tower(torch.from_numpy(images.read(range(70)))).detach()
    torch.testing.assert_close(visual_tokens.batch(range(70), with_targets=False).visual, direct)
    torch.testing.assert_close(visual_tokens.batch([69, 3], with_targets=False).visual, direct[[69, 3]])


def test_features_are_computed_once_for_all_learners_with_the_same_tower(images: ImageSplit, tmp_path: Path) -> None:
    first, second, other = Tower(), Tower(), Tower("another")
    for tower in (first, second, other):
        open_visual_tokens(learner(tower), images, tmp_path, "cpu", quiet)
    assert (first.calls, second.calls) == (3, 0)
    assert other.calls == 3
    assert len(list((tmp_path / "features").glob("*.npy"))) == 2


def test_a_changed_image_has_other_features(images: ImageSplit, tmp_path: Path) -> None:
    open_visual_tokens(learner(Tower()), images, tmp_path, "cpu", quiet)
    Image.new("RGB", (11, 8)).save(images.samples[0].image)
    again = Tower()
    opened = open_images(images.samples, Tower.preprocessing, tmp_path / "cache", "fail", quiet)
    open_visual_tokens(learner(again), opened, tmp_path, "cpu", quiet)
    assert again.calls > 0


def test_a_tower_that_learns_gets_gradients(images: ImageSplit, tmp_path: Path) -> None:
    tower = Tower()
    visual_tokens = open_visual_tokens(learner(tower, frozen=False), images, tmp_path, "cpu", quiet)
    visual = visual_tokens.batch([0], with_targets=True).visual
    assert visual is not None
    visual.sum().backward()
    assert tower.linear.weight.grad is not None
    assert not (tmp_path / "features").exists()


def test_a_frozen_tower_without_room_for_features_gets_no_gradients(
    images: ImageSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.inputs.array_file.FREE_DISK_SHARE", 0.0)
    visual_tokens = open_visual_tokens(learner(Tower()), images, tmp_path, "cpu", quiet)
    batch = visual_tokens.batch([0, 1], with_targets=False)
    assert visual_tokens.features is None
    assert batch.visual is not None
    assert not batch.visual.requires_grad


def test_targets_are_only_given_in_training(images: ImageSplit, tmp_path: Path) -> None:
    blind = open_visual_tokens(learner(None), images, tmp_path, "cpu", quiet)
    batch = blind.batch([2, 1], with_targets=False)
    assert (batch.visual, batch.targets, batch.texts) == (None, None, ("text 2", "text 1"))
    assert blind.batch([2, 1], with_targets=True).targets == ("target 2", "target 1")
    assert batch.sample_ids == ("2", "1")


def test_features_survive_as_float32(images: ImageSplit, tmp_path: Path) -> None:
    features = open_visual_tokens(learner(Tower()), images, tmp_path, "cpu", quiet).features
    assert features is not None
    assert features.dtype == np.float32
    assert features.shape == (70, 2, 5)

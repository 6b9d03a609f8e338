"""Latency and throughput are of the model: what they work on lies in memory before a clock starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from harness.cell import MeasureOptions
from harness.inputs import images
from harness.inputs.images import ImageSplit, open_images
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.profile_learner import profile_learner
from harness.measure import latency
from harness.measure.memory import PeakMeter
from harness.protocols import ParameterGroups
from harness.sample import Batch, Preprocessing, Sample

OPTIONS = MeasureOptions(warmups=3, runs=6, throughput_batch=4, throughput_runs=2)


class Tower(nn.Module):
    """Gives each pixel as it is."""

    key, width, preprocessing = "pixels", 8, Preprocessing(8)

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.float().flatten(1)[:, None]


class Mean(nn.Module):
    """Answers with the mean of an image, and keeps what it was shown."""

    vision_frozen = True

    def __init__(self) -> None:
        super().__init__()
        self.vision = Tower()
        self.seen: list[list[float]] = []

    def predict(self, batch: Batch) -> list[float]:
        assert batch.visual is not None
        self.seen.append([round(float(mean), 2) for mean in batch.visual.mean((1, 2))])
        return self.seen[-1]

    def parameter_groups(self) -> ParameterGroups:
        return ParameterGroups((), (), ())


@pytest.fixture
def split(tmp_path: Path) -> list[Sample]:
    """Sixteen samples of eight images, image n being of grey level 10 n."""
    for number in range(8):
        Image.new("RGB", (9, 9), (10 * number,) * 3).save(tmp_path / f"{number}.png")
    return [Sample(str(n), tmp_path / f"{n // 2}.png", None) for n in range(16)]


def opened(split: list[Sample], cache: Path, keep: bool, monkeypatch: pytest.MonkeyPatch) -> ImageSplit:
    monkeypatch.setattr(images, "has_room", lambda *_: keep)
    found = open_images(split, Tower.preprocessing, cache, "fail", lambda *_: None)
    assert (found.cached is not None) == keep
    return found


@pytest.mark.parametrize("keep", [True, False])
def test_nothing_is_read_inside_a_timed_call(
    keep: bool, split: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks, read = [0], list[tuple[str, bool]]()
    decode, rows, once, warm = ImageSplit.decode, np.memmap.__getitem__, latency.time_once, latency.warm_up

    def noting(name: str, plain: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            read.append((name, clocks[0] > 0))
            return plain(*arguments, **options)

        return call

    def inside(plain: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            clocks[0] += 1
            try:
                return plain(*arguments, **options)
            finally:
                clocks[0] -= 1

        return call

    monkeypatch.setattr(ImageSplit, "decode", noting("decode", decode))
    monkeypatch.setattr(np.memmap, "__getitem__", noting("mapped", rows))
    for module in (latency, __import__("harness.measure.throughput", fromlist=["time_once"])):
        monkeypatch.setattr(module, "time_once", inside(once))
        monkeypatch.setattr(module, "warm_up", inside(warm))
    found = opened(split, tmp_path / "cache", keep, monkeypatch)
    read.clear()
    learner = Mean()
    visual_tokens = VisualTokens(learner, found, found.samples, None, "cpu")  # type: ignore[arg-type]
    with PeakMeter("cpu") as meter:
        cost = profile_learner(learner, visual_tokens, OPTIONS, meter, lambda *_: None)  # type: ignore[arg-type]
    assert {name for name, _ in read} == {"mapped" if keep else "decode"}
    assert [name for name, timed in read if timed] == []
    if not keep:
        assert len(read) == 5  # nine calls meet nine samples, which are of five images
    grey = [10.0 * (n // 2) for n in range(9)]
    assert learner.seen[2:11] == [[level] for level in grey]
    assert learner.seen[11:] == [grey[:4]] * 3
    assert cost.notes["warm_up"]["latency"]["calls"] == 3
    assert cost.notes["warm_up"]["throughput"]["calls"] == 1


def test_a_learner_without_measuring_reads_one_sample(
    split: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = opened(split, tmp_path / "cache", False, monkeypatch)
    decoded = list[int]()
    monkeypatch.setattr(ImageSplit, "decode", lambda self, row: decoded.append(row) or np.zeros((3, 8, 8), np.uint8))
    learner: Any = Mean()
    options = MeasureOptions(timed=False)
    visual_tokens = VisualTokens(learner, found, found.samples, None, "cpu")
    with PeakMeter("cpu") as meter:
        profile_learner(learner, visual_tokens, options, meter, lambda *_: None)
    assert decoded == [0]


def test_a_part_in_memory_is_that_part(split: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = opened(split, tmp_path / "cache", False, monkeypatch)
    part = found.in_memory(5)
    assert part.samples == found.samples[:5]
    assert part.rows == (0, 0, 1, 1, 2)
    assert part.sizes_of(range(5)) == found.sizes_of(range(5))
    assert (part.paths, part.digests) == (found.paths[:3], found.digests[:3])
    np.testing.assert_array_equal(part.read(range(5)), found.read(range(5)))
    assert torch.from_numpy(part.read([4]))[0, 0, 0, 0] == 20
    assert len(found.in_memory(99).samples) == 16

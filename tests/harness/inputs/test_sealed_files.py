"""Cached pixels, canvases and features: mutated ones are made again, and never served."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from harness.inputs.decoded_images import open_decoded_images
from harness.inputs.images import open_images
from harness.inputs.sealed_files import find_or_make, notes_path_of
from harness.inputs.visual_tokens import open_visual_tokens
from harness.protocols import NOTICE
from harness.sample import Preprocessing, Sample
from harness.storage.content import Contents

Read = Callable[[Callable[..., None]], bytes]


def quiet(what: str, done: int, total: int) -> None:
    return None


@pytest.fixture
def readers(tmp_path: Path) -> dict[str, Read]:
    """Read pixels, canvases and features of the same three images through the cache."""
    generator = np.random.default_rng(0)
    for number in range(3):
        pixels = generator.integers(0, 255, (9, 12, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"no image")
    samples = [Sample(str(n), tmp_path / f"{n}.png", None) for n in range(4)]
    cache = tmp_path / "cache"

    class Tower(nn.Module):
        preprocessing, width, key = Preprocessing(8), 5, "tower"

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.linear = nn.Linear(3 * 64, 10)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.Tensor(self.linear(pixels.float().flatten(1) / 255).reshape(-1, 2, 5))

    def pixels_of(progress: Callable[..., None]) -> bytes:
        split = open_images(samples, Preprocessing(8), cache, "skip", progress)
        return split.read(range(3)).tobytes() + repr((split.sizes, split.skipped)).encode()

    def decoded_images(progress: Callable[..., None]) -> bytes:
        found = open_decoded_images(samples, 8, cache, "skip", progress)
        return b"".join(found.read(row).tobytes() for row in range(3)) + repr(found.skipped).encode()

    def features(progress: Callable[..., None]) -> bytes:
        images = open_images(samples, Preprocessing(8), cache, "skip", quiet)
        learner: Any = SimpleNamespace(vision=Tower(), vision_frozen=True)
        found = open_visual_tokens(learner, images, cache, "cpu", progress).features
        assert found is not None
        return found.tobytes()

    return {"pixels": pixels_of, "canvases": decoded_images, "features": features}


@pytest.mark.parametrize("kind", ["pixels", "canvases", "features"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_files_are_made_again(kind: str, readers: dict[str, Read], tmp_path: Path, data: st.DataObject) -> None:
    read = readers[kind]
    first = read(quiet)
    files = sorted(path for path in (tmp_path / "cache" / kind).iterdir() if path.suffix in (".npy", ".bin", ".json"))
    assert len(files) == 2
    path = data.draw(st.sampled_from(files))
    content = bytearray(path.read_bytes())
    how = data.draw(st.sampled_from(["flip", "cut", "noise", "gone", "longer"]))
    if how == "flip":
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "cut":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    elif how == "longer":
        content += b"\0"
    elif how == "noise":
        content = bytearray(
            data.draw(st.sampled_from([b"", b"\xff\xfe", b"[" * 9999, b"[1]", b"{}", b'{"sha256": 1}']))
        )
    path.unlink()
    if how != "gone":
        path.write_bytes(content)
    told: list[str] = []
    assert read(lambda what, done, total: told.append(what) if total == NOTICE else None) == first
    assert bool(told) == (how not in ("gone",) or path.suffix != ".json")
    assert read(quiet) == first


def test_what_fits_is_not_made_again(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(place: Path) -> dict[str, Any]:
        made.append(place)
        place.write_bytes(b"content")
        return {"of": [1, 2]}

    for _ in range(2):
        assert find_or_make(tmp_path / "a.npy", make, Contents(tmp_path)) == {"of": [1, 2]}
    assert len(made) == 1 and (tmp_path / "a.npy").read_bytes() == b"content"
    assert json.loads(notes_path_of(tmp_path / "a.npy").read_text())["of"] == [1, 2]


def test_broken_images_are_named_as_they_are_called_now(tmp_path: Path) -> None:
    reasons = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bad.png").write_bytes(b"no image")
        Image.new("RGB", (8, 8)).save(tmp_path / folder / "good.png")
        samples = [Sample(name, tmp_path / folder / f"{name}.png", None) for name in ("bad", "good")]
        split = open_images(samples, Preprocessing(8), tmp_path / "cache", "skip", quiet)
        reasons.append(split.skipped["bad"])
    assert reasons == [f"{tmp_path / folder / 'bad.png'} is not an image" for folder in ("one", "two")]
    assert len(list((tmp_path / "cache/pixels").glob("*.npy"))) == 1

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tasks.scenes import layout
from tasks.scenes.drawing import Drawing, caption_image, draw_image
from tasks.scenes.generate import write_splits
from tasks.scenes.png import png_bytes
from tasks.scenes.splits import SPLITS

SMALL = 24


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All splits, the first few images of each."""
    root = tmp_path_factory.mktemp("scenes")
    write_splits(root, list(SPLITS), processes=2, limit=SMALL)
    return root


def read(root: Path, kind: str, split: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(layout.annotation_file(root, kind, split).read_bytes())
    return document


@dataclass(frozen=True)
class Sampled:
    drawing: Drawing
    captions: list[tuple[str, Any]]
    thumbnail: npt.NDArray[np.float32]

    @property
    def kind(self) -> str:
        return self.drawing.scene.objects[self.drawing.scene.target].kind.name

    @property
    def small(self) -> npt.NDArray[np.float32]:
        """16 x 16 grey levels."""
        image = Image.fromarray(self.drawing.pixels).convert("L").resize((16, 16), Image.Resampling.BOX)
        return np.asarray(image, dtype=np.float32)


def sampled(split: str, indices: range) -> list[Sampled]:
    found = []
    for index in indices:
        drawing = draw_image(SPLITS[split], index)
        image = Image.open(io.BytesIO(png_bytes(drawing.pixels))).resize((8, 8), Image.Resampling.BOX)
        thumbnail = np.asarray(image, dtype=np.float32).ravel()
        found.append(Sampled(drawing, caption_image(SPLITS[split], index, drawing.sight), thumbnail))
    return found


@pytest.fixture(scope="session")
def train_sample() -> list[Sampled]:
    return sampled("train", range(700))


@pytest.fixture(scope="session")
def test_sample() -> list[Sampled]:
    return sampled("test", range(250))

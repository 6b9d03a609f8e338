"""Folders of tiny chat models, and learners of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.chat.model import parse_chat_name
from harness.answers import CAPTIONS
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.protocols import BuildContext
from harness.sample import Batch, Classes, TaskSpec

from .tiny_chats import FAMILIES

NAMES = ("cat", "red fox", "dog", "traffic light")


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the folder of a family's tiny chat model, built once."""
    made: dict[str, Path] = {}

    def give(family: str) -> Path:
        if family not in made:
            torch.manual_seed(7)
            folder = tmp_path_factory.mktemp(family)
            model, processor = FAMILIES[family]()
            for parameter in model.parameters():  # larger than at the start, so that images make a difference
                parameter.data.mul_(6) if parameter.ndim > 1 else None
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
            made[family] = folder
        return made[family]

    return give


@pytest.fixture(scope="session")
def chat(chat_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Make a learner: `chat(family, kind, control=None, names=…, **settings)`; equal ones are made once."""
    made: dict[str, Any] = {}

    def give(
        family: str | Path,
        kind: str = CAPTIONS,
        control: str | None = None,
        names: tuple[str, ...] = NAMES,
        **settings: Any,
    ) -> Any:
        key = repr((family, kind, control, names, settings))
        if key not in made:
            folder = family if isinstance(family, Path) else chat_folder(family)
            model = parse_chat_name(f"chat:{folder}")
            model = model if control is None else model.with_control(control)
            options = ModelOptions(settings=settings, answers=kind)
            context = BuildContext(
                options, TrainOptions(), DecodeOptions(max_tokens=8), 0, tmp_path_factory.mktemp("cache")
            )
            spec = TaskSpec("a-task", (), kind, Classes(names) if kind.startswith("labels") else Classes())
            made[key] = model.build(spec, context)
        return made[key]

    return give


@pytest.fixture(scope="session")
def asked() -> Callable[..., Batch]:
    """Make a batch of noisy images of several shapes with questions of several lengths."""

    def make(count: int = 5, start: int = 0, choices: tuple[str, ...] = ()) -> Batch:
        pictures, texts = [], []
        for number in range(start, start + count):
            width, height = [(64, 48), (40, 72), (50, 50), (96, 40)][number % 4]
            pixels = np.random.default_rng(number).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
            pictures.append(np.kron(pixels, np.ones((8, 8, 1), dtype=np.uint8)))
            texts.append(f"Is it {'very ' * (number % 3)}red?")
        names = tuple(f"s{number}" for number in range(start, start + count))
        return Batch(names, None, tuple(texts), choices=(choices,) * count, pictures=tuple(pictures))

    return make

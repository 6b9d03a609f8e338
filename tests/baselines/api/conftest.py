"""Learners behind a loopback server, with a cache of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.api.model import parse_api_name
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.protocols import BuildContext
from harness.sample import Batch, Classes, TaskSpec

COLOURS = {"red": (210, 10, 10), "green": (10, 210, 10), "blue": (10, 10, 210)}
FAST = {"retry_s": 0.4, "timeout_s": 5}
"""Settings of servers that go wrong for good."""


def picture(colour: str, size: int = 24) -> Any:
    """Pixels [size, size, 3] of one colour."""
    return np.full((size, size, 3), COLOURS[colour], np.uint8)


def batch(images: Sequence[Any], texts: Sequence[str | None] = (), choices: Sequence[tuple[str, ...]] = ()) -> Batch:
    """A batch of images as they are."""
    ids = tuple(map(str, range(len(images))))
    return Batch(
        ids, None, tuple(texts) or (None,) * len(ids), choices=tuple(choices) or ((),) * len(ids),
        pictures=tuple(image for image in images if image is not None),
    )  # fmt: skip


@pytest.fixture
def learner(tmp_path: Path) -> Callable[..., Any]:
    """Build the learner of `--model NAME` for a kind of answer; settings are its `--set model.KEY=VALUE`."""

    def build(
        name: str, kind: str = "captions", classes: Sequence[str] = (), control: str | None = None, **settings: Any
    ) -> Any:
        model = parse_api_name(name)
        model = model if control is None else model.with_control(control)
        texts = tuple((f"a photo of a {name}",) for name in classes)
        spec = TaskSpec("task", (), kind, Classes(tuple(classes), texts, (True,) * len(classes)))
        options = ModelOptions(settings=settings, answers=kind)
        context = BuildContext(options, TrainOptions(), DecodeOptions(), 0, tmp_path / "cache")
        return model.build(spec, context)

    return build

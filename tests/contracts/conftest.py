"""A tiny Scenes in a cache, a tiny language model that knows its words, and a backbone with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.plan.plugins import load_model
from harness.protocols import BuildContext
from harness.sample import TaskSpec
from tasks.scenes import cache_root
from tasks.scenes.generate import write_splits
from tests.tiny_bert import scene_captions, write_tiny_bert

COUNT = 32


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which Scenes is found, a few images of each split that is asked for."""
    folder = tmp_path_factory.mktemp("contracts")
    write_splits(cache_root(folder), ["train", "val", "test", "novel", "foils"], processes=1, limit=COUNT + 4)
    return folder


@pytest.fixture(scope="session")
def language(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BERT of two narrow blocks, its word pieces learned from the captions of Scenes."""
    return write_tiny_bert(tmp_path_factory.mktemp("language"), scene_captions(cache))


@pytest.fixture(scope="session")
def prerequisite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default backbone as its prerequisite leaves it, with random weights."""
    folder = tmp_path_factory.mktemp("backbone")
    context = BuildContext(ModelOptions(), TrainOptions(), DecodeOptions(), 0, Path("unused"))
    learner: Any = load_model("attribute-classifier").build(TaskSpec("scene-attributes", ([0, 1, 1],)), context)
    state = {name: value.contiguous() for name, value in learner.state_dict().items()}
    save_file(state, folder / "checkpoint.safetensors")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)

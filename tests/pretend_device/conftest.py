"""A tiny Scenes in a cache, a backbone and a BERT with random weights, a folder of each run on the pretended device."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tasks.scenes import cache_root
from tasks.scenes.generate import write_splits
from tests.tiny_bert import scene_captions, write_tiny_bert

from .backbone import write_random_backbone
from .cells import Folders

IMAGES = 20


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which Scenes is found, a few images of each split that is asked for."""
    folder = tmp_path_factory.mktemp("pretended")
    write_splits(cache_root(folder), ["train", "val", "test", "novel"], processes=1, limit=IMAGES)
    return folder


@pytest.fixture(scope="session")
def prerequisite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default backbone as its prerequisite leaves it, with random weights."""
    folder = tmp_path_factory.mktemp("backbone")
    write_random_backbone(folder)
    return folder


@pytest.fixture(scope="session")
def language(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow BERT: what a device refuses or waits for is the same in MiniLM, which takes many times as long."""
    return write_tiny_bert(tmp_path_factory.mktemp("language"), scene_captions(cache), blocks=1)


@pytest.fixture
def folders(cache: Path, prerequisite: Path, language: Path, tmp_path: Path) -> Folders:
    """Where a run finds its data, its backbone and its language model, and writes."""
    return Folders(cache, prerequisite, language, tmp_path)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)

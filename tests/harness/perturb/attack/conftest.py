"""A small network that was trained once."""

from __future__ import annotations

import pytest
import torch

from .learners import Trained, train_network


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def trained() -> Trained:
    """A CNN that knows three patterns."""
    return train_network()

"""A made-up results folder for each test, and scores of a model that is right in 7 of 10."""

from __future__ import annotations

import numpy as np
import pytest

from .made_up_records import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def right() -> np.ndarray:
    """[5 seeds, 600 samples] of a score of 0.7 with noise."""
    generator = np.random.default_rng(7)
    return 0.7 + 0.3 * generator.standard_normal((1, 600)) + 0.1 * generator.standard_normal((5, 600))

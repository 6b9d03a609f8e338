"""Balls: what is projected is inside, what is inside stays, and draws lie where they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.attack.projection import Ball, lengths

IMAGES = arrays.arrays(np.float32, (2, 3, 4, 5), elements=st.floats(0, 1, width=32))
ANY = arrays.arrays(np.float32, (2, 3, 4, 5), elements=st.floats(-3, 3, width=32))


def size(ball: Ball, change: torch.Tensor) -> torch.Tensor:
    return change.abs().amax(dim=(1, 2, 3)) if ball.norm == "linf" else lengths(change)[:, 0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(clean=IMAGES, moved=ANY, eps=st.floats(1e-3, 2.0), norm=st.sampled_from(["linf", "l2"]))
def test_projected_images_are_in_the_ball_and_in_0_to_1(
    clean: np.ndarray, moved: np.ndarray, eps: float, norm: str
) -> None:
    ball, centre = Ball(norm, eps), torch.from_numpy(clean)
    once = ball.project(torch.from_numpy(moved), centre)
    assert once.min() >= 0 and once.max() <= 1
    assert (size(ball, once - centre) <= eps * (1 + 1e-4) + 1e-6).all()
    torch.testing.assert_close(ball.project(once, centre), once, atol=1e-5, rtol=1e-5)
    if norm == "linf":  # the exact projection on both sets, coordinate by coordinate
        wanted = np.clip(moved, np.maximum(clean - eps, 0), np.minimum(clean + eps, 1))
        np.testing.assert_allclose(once.numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_draws_are_each_samples_own_and_as_far_as_they_should_be(norm: str) -> None:
    clean, ball = torch.full((3, 3, 8, 8), 0.5), Ball(norm, 0.25)
    together = ball.random_point(clean, [np.random.default_rng(n) for n in range(3)])
    alone = ball.random_point(clean[:1], [np.random.default_rng(2)])
    assert torch.equal(together[2:], alone)
    assert (size(ball, together - clean) <= 0.25 + 1e-6).all()
    edge = ball.random_extreme(clean, [np.random.default_rng(n) for n in range(3)])
    torch.testing.assert_close(size(ball, edge - clean), torch.full((3,), 0.25))


def test_the_steepest_direction_by_hand() -> None:
    gradient = torch.tensor([[[[3.0, -4.0]]], [[[0.0, 0.0]]]])
    assert Ball("linf", 1.0).steepest(gradient).flatten().tolist() == [1, -1, 0, 0]
    assert Ball("l2", 1.0).steepest(gradient).flatten().tolist() == pytest.approx([0.6, -0.8, 0, 0])

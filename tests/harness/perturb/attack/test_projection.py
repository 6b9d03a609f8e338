"""Balls: what is projected is inside, what is inside stays, and draws lie where they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.perturb.attack.projection import Ball, lengths, quantised

IMAGES = arrays.arrays(np.float32, (2, 3, 4, 5), elements=st.floats(0, 1, width=32))
NORMS = ["linf", "l2"]
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


@settings(max_examples=60, deadline=None)
@given(moved=ANY, levels=arrays.arrays(np.uint8, (2, 3, 4, 5)), eps=st.integers(0, 255), norm=st.sampled_from(NORMS))
def test_whole_grey_levels_stay_in_the_ball(moved: np.ndarray, levels: np.ndarray, eps: int, norm: str) -> None:
    clean = torch.from_numpy(levels).float() / 255
    ball = Ball(norm, eps / 255)
    pixels = ball.project(torch.from_numpy(moved), clean)
    found = quantised(pixels, clean)
    torch.testing.assert_close(found * 255, (found * 255).round(), atol=1e-4, rtol=0)
    assert (size(ball, found - clean) <= ball.eps + 1e-4).all()
    assert ((pixels - found).abs() < 1 / 255 + 1e-5).all()
    if norm == "linf":  # at the edge of the ball a whole number of levels is kept
        edge = ball.project(clean + ball.eps, clean)
        torch.testing.assert_close(quantised(edge, clean), edge, atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(clean=IMAGES, moved=ANY, eps=st.floats(1e-3, 2.0), norm=st.sampled_from(NORMS), width=st.integers(0, 5))
def test_only_what_is_inside_changes(clean: np.ndarray, moved: np.ndarray, eps: float, norm: str, width: int) -> None:
    inside = (torch.arange(5) < width).expand(2, 1, 4, 5)
    ball, centre = Ball(norm, eps, inside), torch.from_numpy(clean)
    rngs = [np.random.default_rng(n) for n in range(2)]
    projected = ball.project(torch.from_numpy(moved), centre)
    for pixels in (projected, ball.random_point(centre, rngs), ball.random_extreme(centre, rngs)):
        assert torch.equal(pixels[..., width:], centre[..., width:])
    whole = Ball(norm, eps).project(torch.from_numpy(moved) * inside + centre * ~inside, centre)
    torch.testing.assert_close(projected, whole)


@settings(max_examples=40, deadline=None)
@given(clean=IMAGES, moved=ANY, eps=st.floats(1e-2, 2.0))
def test_the_nearest_point_of_an_l2_ball(clean: np.ndarray, moved: np.ndarray, eps: float) -> None:
    """By the condition of a projection: the way back makes no acute angle with any way into the ball."""
    centre = torch.from_numpy(clean).double() / 2 + 0.25
    point = centre + torch.from_numpy(moved).double() * 0.02
    found = Ball("l2", min(eps, 0.2)).project(point, centre)
    back = (point - found).flatten(1)
    other = centre + 0.2 * min(eps, 0.2) * torch.from_numpy(moved).double().flip(0) / 33
    for inside in (centre, other, found):
        assert ((back * (inside - found).flatten(1)).sum(dim=1) <= 1e-9).all()

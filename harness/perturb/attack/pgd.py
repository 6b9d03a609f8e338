"""Projected gradient ascent on the loss from a random start (Madry et al. 2018, arXiv 1706.06083)."""

from __future__ import annotations

from torch import Tensor

from harness.perturb.attack.found import Found
from harness.perturb.attack.projection import Ball
from harness.perturb.attack.victim import Gradient, Query

_STEP = 0.25
"""A step's length in units of eps."""


def pgd(gradient: Gradient, query: Query, points: tuple[Tensor, Tensor], ball: Ball, steps: int) -> Found:
    """Climb `steps` steps of eps / 4 and keep the worst image on the way.

    `points` are the clean images, which count as the first try, and where to start, both `[n, 3, S, S]` in 0..1.
    """
    clean, pixels = points
    found = Found(clean, query(clean))
    for _ in range(steps):
        losses, slope = gradient(pixels)
        found.offer(pixels, losses)
        pixels = ball.project(pixels + _STEP * ball.eps * ball.steepest(slope), clean)
    found.offer(pixels, query(pixels))
    return found

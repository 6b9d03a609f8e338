"""Gradient ascent with momentum that halves its steps where it stops improving (APGD).

Croce & Hein 2020 (arXiv 2003.01690), with the task's own loss, which is cross-entropy for classes (APGD-CE). Every
sample has its own step; it is halved at a checkpoint when too few steps since the last one raised the loss, or when
neither the step nor the best loss has changed since; then the climb goes on from the best image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.perturb.attack.found import Found
from harness.perturb.attack.projection import Ball
from harness.perturb.attack.victim import Gradient, Query

MOMENTUM = 0.75
_RISING = 0.75
_FIRST, _LEAST, _SHORTER = 0.22, 0.06, 0.03
"""Steps to the first checkpoint, the fewest between two, and how many fewer each time, in shares of all steps."""


def checkpoints(steps: int) -> list[int]:
    """After which steps the step's length is looked at.

    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    found: list[int] = []
    period = max(int(_FIRST * steps), 1)
    due = period
    while due <= steps:
        found.append(due)
        period = max(period - max(int(_SHORTER * steps), 1), max(int(_LEAST * steps), 1))
        due += period
    return found


@dataclass
class _Judge:
    """What is remembered between checkpoints, of each sample: best loss, whether the step was halved, rises."""

    best: Tensor
    halved: Tensor
    rises: Tensor
    since: int = 0

    def note(self, risen: Tensor) -> None:
        self.rises = self.rises + risen
        self.since += 1

    def must_halve(self, best: Tensor) -> Tensor:
        """Apply both conditions and start to count anew."""
        few = self.rises <= _RISING * self.since
        stuck = ~self.halved & (self.best >= best)
        self.best, self.halved = best, few | stuck
        self.rises, self.since = torch.zeros_like(self.rises), 0
        return self.halved


def apgd(gradient: Gradient, query: Query, points: tuple[Tensor, Tensor], ball: Ball, steps: int) -> Found:
    """Climb `steps` steps, the first of 2 eps, and keep the worst image on the way.

    `points` are the clean images, which count as the first try, and where to start, both `[n, 3, S, S]` in 0..1.
    """
    clean, pixels = points
    losses, slope = gradient(pixels)
    climb = Found(pixels, losses)  # the algorithm's own best, without the clean image
    best_slope, before = slope, pixels
    length = torch.full_like(losses, 2.0 * ball.eps)
    none = torch.zeros_like(losses)
    judge, due = _Judge(losses, torch.ones_like(losses, dtype=torch.bool), none), set(checkpoints(steps))
    for step in range(1, steps + 1):
        following = _next(pixels, slope, (clean, before), ball, (length, MOMENTUM if step > 1 else 1.0))
        before, pixels = pixels, following
        new, slope = gradient(pixels)
        judge.note((new > losses).to(none))
        losses = new
        better = climb.offer(pixels, losses)
        best_slope = torch.where(better.view(-1, 1, 1, 1), slope, best_slope)
        if step in due:
            halved = judge.must_halve(climb.losses)
            length = torch.where(halved, length / 2, length)
            pixels = torch.where(halved.view(-1, 1, 1, 1), climb.pixels, pixels)
            slope = torch.where(halved.view(-1, 1, 1, 1), best_slope, slope)
    found = Found(clean, query(clean), climb.trace)
    found.offer(climb.pixels, climb.losses)
    return found


def _next(
    pixels: Tensor, slope: Tensor, around: tuple[Tensor, Tensor], ball: Ball, pace: tuple[Tensor, float]
) -> Tensor:
    """Step, then mix with the last movement: x + a (z - x) + (1 - a) (x - x_before)."""
    clean, before = around
    length, momentum = pace
    stepped = ball.project(pixels + length.view(-1, 1, 1, 1) * ball.steepest(slope), clean)
    mixed = pixels + momentum * (stepped - pixels) + (1 - momentum) * (pixels - before)
    return ball.project(mixed, clean)

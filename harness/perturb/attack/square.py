"""Random search with squares of colour, by losses alone (Square Attack).

Andriushchenko et al. 2020 (arXiv 1912.00049), with the schedule of the published code and its first share of .8 in
AutoAttack (Croce & Hein 2020, arXiv 2003.01690), and the task's own loss in the place of the margin between classes.
Each sample draws from its own generator and keeps a try only when its loss has risen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.perturb.attack.found import Found
from harness.perturb.attack.projection import Ball, lengths
from harness.perturb.attack.request import LINF
from harness.perturb.attack.victim import Query

FIRST_SHARE = 0.8
"""Share of the image that a square takes at first."""
_HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries of 10,000 after which the share is halved; rescaled to other numbers."""
_TILES = 5
_TINY = 1e-12

UniformDraws = npt.NDArray[np.float64]
"""Drawn uniformly from 0..1. Of each query 8 a sample: places of two squares, a turn, signs of three channels."""


def square_share(query: int, queries: int) -> float:
    """Share of the image that is changed by a query, counted from 0.

    >>> square_share(0, 10_000), square_share(11, 10_000), square_share(9_000, 10_000)
    (0.8, 0.4, 0.0015625)
    """
    scaled = int(query / queries * 10_000)
    return FIRST_SHARE / 2.0 ** sum(scaled > limit for limit in _HALVED_AFTER)


def square(query: Query, clean: Tensor, ball: Ball, rngs: Sequence[np.random.Generator], queries: int) -> Found:
    """Ask `queries` times beside once for the clean images `[n, 3, H, W]` (0..1), which count as the first try."""
    pixels = _stripes(clean, ball, rngs) if ball.norm == LINF else _tiles(clean, ball, rngs)
    climb = Found(pixels, query(pixels))
    propose: Callable[..., Tensor] = _with_squares if ball.norm == LINF else _with_moved_mass
    for number in range(queries - 1):
        numbers = np.stack([rng.random(8) for rng in rngs])
        pixels = propose((climb.pixels, clean), ball, square_share(number, queries), numbers)
        climb.offer(pixels, query(pixels))
    found = Found(clean, query(clean), climb.trace)
    found.offer(climb.pixels, climb.losses)
    return found


def _signs(numbers: UniformDraws, like: Tensor) -> Tensor:
    return torch.from_numpy(np.where(numbers < 0.5, -1.0, 1.0).astype(np.float32)).to(like.device)


def _stripes(clean: Tensor, ball: Ball, rngs: Sequence[np.random.Generator]) -> Tensor:
    """Start from vertical stripes of one pixel, eps up or down in each channel."""
    drawn = np.stack([rng.random((clean.shape[1], 1, clean.shape[3])) for rng in rngs])
    return ball.project(clean + ball.eps * _signs(drawn, clean), clean)


def _with_squares(points: tuple[Tensor, Tensor], ball: Ball, share: float, numbers: UniformDraws) -> Tensor:
    """Move a square of each image by 2 eps up or down in each channel: to one edge of the ball or the other."""
    pixels, clean = points
    height, width = clean.shape[2:]
    side = min(max(round((share * height * width) ** 0.5), 1), height, width)
    tops, lefts = _places(numbers[:, 0], height, side), _places(numbers[:, 1], width, side)
    inside = _span(tops, side, height, clean)[:, None, :, None] & _span(lefts, side, width, clean)[:, None, None, :]
    change = 2.0 * ball.eps * _signs(numbers[:, 5:8], clean)[:, :, None, None]
    return ball.project(pixels + change * inside, clean)


def _places(numbers: UniformDraws, length: int, side: int) -> npt.NDArray[np.int64]:
    """Turn numbers of 0..1 into places where a square of this side fits."""
    places: npt.NDArray[np.int64] = np.minimum((numbers * (length - side + 1)).astype(np.int64), length - side)
    return places


def _span(starts: npt.NDArray[np.int64], side: int, length: int, like: Tensor) -> Tensor:
    offset = torch.arange(length, device=like.device)[None] - torch.from_numpy(starts).to(like.device)[:, None]
    return (offset >= 0) & (offset < side)


def bump(side: int, like: Tensor) -> Tensor:
    """Two pyramids side by side, one up and one down, of length 1: `[side, side]`."""
    upper = side // 2
    both = torch.cat([_pyramid(upper, side, like), -_pyramid(side - upper, side, like)])
    found: Tensor = both / torch.linalg.vector_norm(both).clamp(min=_TINY)
    return found


def _pyramid(height: int, width: int, like: Tensor) -> Tensor:
    """Rectangles around the centre, the k-th adding 1 / k^2, brought to length 1."""
    count = max(height // 2, width // 2) + 1
    added = 1.0 / torch.arange(1, count + 1, device=like.device, dtype=like.dtype) ** 2
    heights = added.flip(0).cumsum(0).flip(0)
    rows = (torch.arange(height, device=like.device) - height // 2).abs()
    columns = (torch.arange(width, device=like.device) - width // 2).abs()
    pyramid = heights[torch.maximum(rows[:, None], columns[None])]
    found: Tensor = pyramid / torch.linalg.vector_norm(pyramid).clamp(min=_TINY)
    return found


def _tiles(clean: Tensor, ball: Ball, rngs: Sequence[np.random.Generator]) -> Tensor:
    """Start from five by five bumps, up or down in each channel, of length eps in all."""
    height, width = clean.shape[2:]
    side = min(max(height // _TILES, 3), height, width)
    rows, columns = min(_TILES, height // side), min(_TILES, width // side)
    top, left = (height - rows * side) // 2, (width - columns * side) // 2
    change = torch.zeros_like(clean)
    drawn = np.stack([rng.random((rows * columns, 1 + clean.shape[1])) for rng in rngs])
    for sample, numbers in enumerate(drawn):
        for tile in range(rows * columns):
            y, x = top + tile // columns * side, left + tile % columns * side
            signs = _signs(numbers[tile, 1:], clean)
            change[sample, :, y : y + side, x : x + side] = _turned(bump(side, clean), numbers[tile, 0]) * signs.view(
                -1, 1, 1
            )
    return _at_length(change, clean, ball)


def _with_moved_mass(points: tuple[Tensor, Tensor], ball: Ball, share: float, numbers: UniformDraws) -> Tensor:
    """Take the change away from one square of each image and add it to another one, as a bump."""
    pixels, clean = points
    height, width = clean.shape[2:]
    side = max(round((share * height * width) ** 0.5), 3)
    side = min(side + 1 - side % 2, height, width)
    change, shape = pixels - clean, bump(side, clean)
    left_over = (ball.eps**2 - lengths(change) ** 2).clamp(min=0.0)[:, 0, 0, 0] / clean.shape[1]
    for sample, drawn in enumerate(numbers):
        tops, lefts = _places(drawn[[0, 2]], height, side), _places(drawn[[1, 3]], width, side)
        to, away = [(slice(y, y + side), slice(x, x + side)) for y, x in zip(tops, lefts, strict=True)]
        signs = _signs(drawn[5:8], clean).view(-1, 1, 1)
        change[sample] = _moved(change[sample], (to, away), _turned(shape, drawn[4]) * signs, left_over[sample])
    return _at_length(change, clean, ball)


def _moved(change: Tensor, windows: tuple[tuple[slice, slice], ...], added: Tensor, left_over: Tensor) -> Tensor:
    """Change of one image `[3, H, W]`: the mass of both windows in each channel goes to the first one."""
    (to_y, to_x), (from_y, from_x) = windows
    both = torch.zeros_like(change, dtype=torch.bool)
    both[:, to_y, to_x] = True
    both[:, from_y, from_x] = True
    mass = (change**2 * both).sum(dim=(1, 2), keepdim=True)
    old = change[:, to_y, to_x]
    mixed = added + old / _channel_lengths(old)
    mixed = mixed / _channel_lengths(mixed) * (left_over + mass).sqrt()
    moved = change.clone()
    moved[:, from_y, from_x] = 0.0
    moved[:, to_y, to_x] = mixed
    return moved


def _channel_lengths(change: Tensor) -> Tensor:
    found: Tensor = torch.linalg.vector_norm(change, dim=(1, 2), keepdim=True).clamp(min=_TINY)
    return found


def _turned(shape: Tensor, number: float) -> Tensor:
    return shape.T if number > 0.5 else shape


def _at_length(change: Tensor, clean: Tensor, ball: Ball) -> Tensor:
    """Bring a change to the ball's edge, then the image to 0..1."""
    change = ball.cut(change)
    return ball.project(clean + change / lengths(change).clamp(min=_TINY) * ball.eps, clean)

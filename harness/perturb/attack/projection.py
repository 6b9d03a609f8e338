"""Balls around images: projection, steepest direction, random points, whole grey levels; for pixels in 0..1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.perturb.attack.request import L2, LINF

_TINY = 1e-12
_ROUNDING = 1e-3
"""Of a grey level: what single precision may take off a whole one."""


@dataclass(frozen=True)
class Ball:
    """All images within `eps` of an image in a norm, of each sample by itself.

    `inside` (bool `[n, 1, H, W]`) says which pixels may change at all, None for all: what a tower pads with is no
    part of an image.
    """

    norm: str
    eps: float
    inside: Tensor | None = None

    def __post_init__(self) -> None:
        assert self.norm in (LINF, L2), self.norm

    def project(self, pixels: Tensor, clean: Tensor) -> Tensor:
        """Bring pixels `[n, 3, H, W]` into the ball around `clean`, then into 0..1.

        For L2 the result is in both but not always the nearest such point, as in every published attack.
        """
        change = self.cut(pixels - clean)
        if self.norm == LINF:
            change = change.clamp(-self.eps, self.eps)
        else:
            change = change * (self.eps / lengths(change).clamp(min=_TINY)).clamp(max=1.0)
        return (clean + change).clamp(0.0, 1.0)

    def cut(self, change: Tensor) -> Tensor:
        """Leave only what may change."""
        return change if self.inside is None else change * self.inside

    def steepest(self, gradient: Tensor) -> Tensor:
        """The direction of length 1 along which a linear loss rises most; zero where the gradient is."""
        gradient = self.cut(gradient)
        return gradient.sign() if self.norm == LINF else gradient / lengths(gradient).clamp(min=_TINY)

    def random_point(self, clean: Tensor, rngs: Sequence[np.random.Generator]) -> Tensor:
        """Draw uniformly from the ball, one generator a sample, then clip to 0..1."""
        if self.norm == LINF:
            change = _drawn(rngs, clean, lambda rng, shape: rng.uniform(-1.0, 1.0, shape))
        else:
            size = clean[0].numel()
            radii = [float(rng.uniform()) ** (1 / size) for rng in rngs]
            change = self._directions(clean, rngs) * clean.new_tensor(radii).view(-1, 1, 1, 1)
        return self.project(clean + self.eps * change, clean)

    def random_extreme(self, clean: Tensor, rngs: Sequence[np.random.Generator]) -> Tensor:
        """Draw from the ball's edge: random signs, or a random direction of length eps; then clip to 0..1."""
        if self.norm == LINF:
            change = _drawn(rngs, clean, lambda rng, shape: 2.0 * rng.integers(0, 2, shape) - 1.0)
        else:
            change = self._directions(clean, rngs)
        return self.project(clean + self.eps * change, clean)

    def _directions(self, clean: Tensor, rngs: Sequence[np.random.Generator]) -> Tensor:
        drawn = self.cut(_drawn(rngs, clean, lambda rng, shape: rng.standard_normal(shape)))
        return drawn / lengths(drawn).clamp(min=_TINY)


def quantised(pixels: Tensor, clean: Tensor) -> Tensor:
    """Bring pixels to whole grey levels (k / 255), each towards the clean one, so that no ball is left.

    A change of less than one grey level is undone.
    """
    change = (pixels - clean) * 255.0
    whole = (change.abs() + _ROUNDING).floor() * change.sign()
    return ((clean * 255.0).round() + whole).clamp(0.0, 255.0) / 255.0


def lengths(change: Tensor) -> Tensor:
    """Euclidean length of each sample's change, `[n, 3, H, W]` to `[n, 1, 1, 1]`."""
    found: Tensor = torch.linalg.vector_norm(change, dim=(1, 2, 3), keepdim=True)
    return found


Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]


def _drawn(rngs: Sequence[np.random.Generator], like: Tensor, draw: Draw) -> Tensor:
    """Draw an array of one sample's shape from each generator."""
    values = np.stack([draw(rng, tuple(like.shape[1:])) for rng in rngs])
    return torch.from_numpy(values.astype(np.float32)).to(like.device)

"""Balls around images: projection, steepest direction, and random points; for pixels in 0..1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.attack.attack import L2, LINF

_TINY = 1e-12


@dataclass(frozen=True)
class Ball:
    """All images within `eps` of an image in a norm, of each sample by itself."""

    norm: str
    eps: float

    def __post_init__(self) -> None:
        assert self.norm in (LINF, L2), self.norm

    def project(self, pixels: Tensor, clean: Tensor) -> Tensor:
        """Bring pixels `[n, 3, H, W]` into the ball around `clean`, then into 0..1.

        For L2 the result is in both but not always the nearest such point, as in every published attack.
        """
        change = pixels - clean
        if self.norm == LINF:
            change = change.clamp(-self.eps, self.eps)
        else:
            change = change * (self.eps / lengths(change).clamp(min=_TINY)).clamp(max=1.0)
        return (clean + change).clamp(0.0, 1.0)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The direction of length 1 along which a linear loss rises most; zero where the gradient is."""
        return gradient.sign() if self.norm == LINF else gradient / lengths(gradient).clamp(min=_TINY)

    def random_point(self, clean: Tensor, rngs: Sequence[np.random.Generator]) -> Tensor:
        """Draw uniformly from the ball, one generator a sample, then clip to 0..1."""
        if self.norm == LINF:
            change = _drawn(rngs, clean, lambda rng, shape: rng.uniform(-1.0, 1.0, shape))
        else:
            size = clean[0].numel()
            radii = [float(rng.uniform()) ** (1 / size) for rng in rngs]
            change = _directions(clean, rngs) * clean.new_tensor(radii).view(-1, 1, 1, 1)
        return self.project(clean + self.eps * change, clean)

    def random_extreme(self, clean: Tensor, rngs: Sequence[np.random.Generator]) -> Tensor:
        """Draw from the ball's edge: random signs, or a random direction of length eps; then clip to 0..1."""
        if self.norm == LINF:
            change = _drawn(rngs, clean, lambda rng, shape: 2.0 * rng.integers(0, 2, shape) - 1.0)
        else:
            change = _directions(clean, rngs)
        return self.project(clean + self.eps * change, clean)


def lengths(change: Tensor) -> Tensor:
    """Euclidean length of each sample's change, `[n, 3, H, W]` to `[n, 1, 1, 1]`."""
    found: Tensor = torch.linalg.vector_norm(change, dim=(1, 2, 3), keepdim=True)
    return found


def _directions(clean: Tensor, rngs: Sequence[np.random.Generator]) -> Tensor:
    drawn = _drawn(rngs, clean, lambda rng, shape: rng.standard_normal(shape))
    return drawn / lengths(drawn).clamp(min=_TINY)


Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]


def _drawn(rngs: Sequence[np.random.Generator], like: Tensor, draw: Draw) -> Tensor:
    """Draw an array of one sample's shape from each generator."""
    values = np.stack([draw(rng, tuple(like.shape[1:])) for rng in rngs])
    return torch.from_numpy(values.astype(np.float32)).to(like.device)

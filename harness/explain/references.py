"""The image that stands in the place of parts that are taken away: a map is only as good as what it is held against.

Black patches are nothing that a model has seen, and what they do to it is no loss of evidence (Sturmfels et al. 2020,
Distill); which reference was taken stands beside every number.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLUR, MEAN, OTHER = "blur", "mean", "other"
_SIGMA = 0.1
"""Of the blur, in shares of the image's side: shapes and patterns are gone, colours of large areas are left."""


def reference_of(kind: str, pixels: Tensor, other: Tensor) -> Tensor:
    """Make the reference of an image `[3, S, S]`; `other` is another sample's, as it is."""
    if kind == OTHER:
        return other
    if kind == MEAN:
        return pixels.mean(dim=(1, 2), keepdim=True).expand_as(pixels).clone()
    assert kind == BLUR
    return _blurred(pixels, _SIGMA * pixels.shape[-1])


def _blurred(pixels: Tensor, sigma: float) -> Tensor:
    """Blur by a Gaussian, rows and columns in turn, with the edge's own values beyond it."""
    side = pixels.shape[-1]
    place = torch.arange(side, dtype=pixels.dtype, device=pixels.device)
    reach = int(3 * sigma) + 1
    beyond = torch.arange(-reach, side + reach, dtype=pixels.dtype, device=pixels.device)
    weights = torch.exp(-((place[:, None] - beyond[None, :]) ** 2) / (2 * sigma**2))
    weights = weights / weights.sum(dim=1, keepdim=True)
    nearest = beyond.clamp(0, side - 1).long()
    matrix = torch.zeros(side, side, dtype=pixels.dtype, device=pixels.device).index_add(1, nearest, weights)
    blurred: Tensor = matrix @ pixels @ matrix.T
    return blurred

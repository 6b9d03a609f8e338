"""The head that answers with a label map: features are enlarged, refined, and each pixel scored.

As in fully convolutional networks (Long et al. 2015, arXiv 1411.4038) on the tower's hypercolumn, which plays the
part of a feature pyramid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.heads.class_scorers import ClassScorer
from baselines.heads.head import Head, HeadShape
from baselines.heads.label_head import unseen_mask, without_unseen
from baselines.host_masks import indices_of
from harness.answers import IGNORED, encode_label_map, resize_label_map
from harness.protocols import LossPart
from harness.sample import Classes

_ENLARGED = 2
"""Logits have so many pixels a side for each cell of the grid."""
_ANSWERED = 4
"""Label maps have so many pixels a side for each pixel of the logits."""


class MapHead(nn.Module):
    """Class logits `[B, C, 2 rows, 2 columns]` from features `[B, N, d]`.

    With `refine` each of these pixels has features of its own; without, cells are scored and their logits enlarged.
    """

    unseen: Tensor | None

    def __init__(
        self, scorer: ClassScorer, width: int, grid: tuple[int, int], classes: Classes, *, refine: bool
    ) -> None:
        super().__init__()
        self.register_buffer("unseen", unseen_mask(classes.seen), persistent=False)
        self.scorer = scorer
        self.grid = grid
        self.size = (_ENLARGED * grid[0], _ENLARGED * grid[1])
        self.refine = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.GELU()) if refine else None
        self._wanted: dict[tuple[str, Any], np.ndarray] = {}

    def forward(self, features: Tensor) -> Tensor:
        """Score each pixel."""
        if self.refine is None:
            return self._enlarge(self.scorer(features).transpose(1, 2).unflatten(-1, self.grid)).float()
        maps = self.refine(self._enlarge(features.transpose(1, 2).unflatten(-1, self.grid)))
        return self.scorer(maps.movedim(1, -1)).movedim(-1, 1).float()

    def loss(self, logits: Tensor, targets: Sequence[Any]) -> Tensor:
        """Cross-entropy over the pixels that are asked about, at the logits' resolution."""
        wanted = torch.from_numpy(np.stack([self._labels(target) for target in targets]))
        asked = wanted != IGNORED
        if not bool(asked.any()):
            return logits.sum() * 0.0
        pixels = logits.movedim(1, -1)[indices_of(asked, logits.device)]
        return F.cross_entropy(without_unseen(pixels, self.unseen), wanted[asked].to(logits.device, non_blocking=True))

    def loss_parts(self, logits: Tensor, targets: Sequence[Any]) -> Sequence[LossPart]:
        """Cross-entropy summed over the pixels that are asked about, and their number."""
        count = sum(int((self._labels(target) != IGNORED).sum()) for target in targets)
        return (LossPart(self.loss(logits, targets) * count, count),)

    def losses(self, logits: Tensor, targets: Sequence[Any]) -> Tensor:
        """Mean cross-entropy of each image over all classes and its asked pixels `[B]`; 0 for one without any."""
        wanted = torch.from_numpy(np.stack([self._labels(target) for target in targets]))
        wanted = wanted.to(logits.device, non_blocking=True)
        asked = wanted != IGNORED
        pixels = F.cross_entropy(logits.float(), wanted.masked_fill(~asked, 0), reduction="none") * asked
        return pixels.sum(dim=(1, 2)) / asked.sum(dim=(1, 2)).clamp(min=1)

    @torch.no_grad()
    def answer(self, logits: Tensor) -> list[dict[str, Any]]:
        """Return a label map for each image, finer than the logits."""
        found = []
        for row in logits:  # one at a time: maps of many classes are large
            larger = F.interpolate(row[None], scale_factor=_ANSWERED, mode="bilinear", align_corners=False)[0]
            found.append(larger.argmax(dim=0).int())
        return [encode_label_map(labels) for labels in torch.stack(found).cpu().numpy().astype(np.uint16)]

    def combine(self, one: Tensor, other: Tensor) -> Tensor:
        """Add two models' log-probabilities (control C6)."""
        return one.log_softmax(dim=1) + other.log_softmax(dim=1)

    def _enlarge(self, maps: Tensor) -> Tensor:
        return F.interpolate(maps, size=self.size, mode="bilinear", align_corners=False)

    def _labels(self, target: Any) -> np.ndarray:
        """Read a target at the logits' resolution; each image, however it was moved, is read from disk once."""
        key = (target.image_id, getattr(target, "affines", ()))
        if key not in self._wanted:
            self._wanted[key] = resize_label_map(target.label_map(), self.size[1], self.size[0])
        return self._wanted[key].astype(np.int64)


def build(shape: HeadShape) -> MapHead:
    """Refine the features of pixels, unless they are the backbone's own or each class is read at each place."""
    refine = not shape.bare and not shape.pairs
    return MapHead(shape.scorer, shape.width, shape.grid, shape.classes, refine=refine)


maps = Head(
    "maps",
    "the class of each pixel (FCN 2015)",
    ("maps",),
    "baselines.heads.map_head:build",
    grid=16,
    dense=True,
)

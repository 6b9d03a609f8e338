"""A small dense detector: at each cell of the grid class logits and the distances to the four sides of its object.

FCOS (Tian et al. 2019, arXiv 1904.01355) on one map, with centre sampling and without its centre-ness branch. Focal
loss (Lin et al. 2017, arXiv 1708.02002) for classes, GIoU (Rezatofighi et al. 2019, arXiv 1902.09630) for boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, sigmoid_focal_loss

from baselines.heads.boxes import corners_to_answer, generalised_iou, target_corners
from baselines.heads.class_scorers import ClassScorer
from baselines.heads.head import Head, HeadShape
from harness.sample import Classes

_RADIUS_CELLS = 1.5
_PRIOR = 0.01
_NMS_IOU = 0.6
_CANDIDATES = 300
_KEPT = 100
_LEAST_SCORE = 0.01

RawCentres = tuple[Tensor, Tensor]
"""Class logits `[B, N, C]` and distances left, top, right, bottom `[B, N, 4]` in fractions of the image."""


class BoxHead(nn.Module):
    """Boxes from features `[B, N, d]` on a grid."""

    def __init__(self, scorer: ClassScorer, width: int, grid: tuple[int, int], classes: Classes) -> None:
        super().__init__()
        self.register_buffer("seen", torch.tensor(classes.seen), persistent=False)
        self.scorer = scorer
        self.distances = nn.Linear(width, 4)
        self.class_bias = nn.Parameter(torch.tensor(-math.log((1 - _PRIOR) / _PRIOR)))
        rows, columns = grid
        y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
        self.register_buffer("centres", torch.stack([x.flatten(), y.flatten()], dim=1), persistent=False)
        self.cell = (1 / columns, 1 / rows)

    def forward(self, features: Tensor) -> RawCentres:
        """Return class logits and distances."""
        logits = self.scorer(features)
        distances = F.softplus(self.distances(features).float()) * max(self.cell)
        return logits.float() + self.class_bias, distances

    def loss(self, raw: RawCentres, targets: Sequence[Any]) -> Tensor:
        """Focal loss over all cells that are not in a crowd, GIoU loss over cells at objects."""
        return self._loss(raw, targets, self.get_buffer("seen"))  # no training image says where the others are not

    def _loss(self, raw: RawCentres, targets: Sequence[Any], classes: Tensor) -> Tensor:
        """The loss in which these classes (bool `[C]`) take part."""
        logits, distances = raw
        wanted, corners, asked = self._assign(targets, logits.shape[-1])
        positives = wanted.sum().clamp(min=1)
        focal = sigmoid_focal_loss(logits[..., classes], wanted[..., classes], reduction="none").sum(dim=-1)
        at_object = wanted.any(dim=-1)
        overlap = generalised_iou(self._corners(distances)[at_object], corners[at_object])
        loss: Tensor = ((focal * asked).sum() + (1 - overlap).sum()) / positives
        return loss

    def losses(self, raw: RawCentres, targets: Sequence[Any]) -> Tensor:
        """The loss of each image taken alone, over all classes `[B]`."""
        every = torch.ones_like(self.get_buffer("seen"))
        alone = [(logits[None], places[None]) for logits, places in zip(*raw, strict=True)]
        return torch.stack([self._loss(one, [target], every) for one, target in zip(alone, targets, strict=True)])

    @torch.no_grad()
    def answer(self, raw: RawCentres) -> list[list[list[float]]]:
        """Keep the best boxes of each image after non-maximum suppression within each class."""
        logits, distances = raw
        return [
            self._best(scores, corners)
            for scores, corners in zip(logits.sigmoid(), self._corners(distances), strict=True)
        ]

    def _corners(self, distances: Tensor) -> Tensor:
        """Turn distances `[..., N, 4]` into corners x0, y0, x1, y1."""
        centres = self.get_buffer("centres")
        return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1)

    def _best(self, scores: Tensor, corners: Tensor) -> list[list[float]]:
        flat, classes = scores.flatten(), scores.shape[1]
        values, order = flat.topk(min(_CANDIDATES, len(flat)))
        order = order[values >= _LEAST_SCORE]
        boxes = corners[order // classes].clamp(0, 1)
        kept = batched_nms(boxes, flat[order], order % classes, _NMS_IOU)[:_KEPT]
        return corners_to_answer(boxes[kept], flat[order][kept], (order % classes)[kept])

    def _assign(self, targets: Sequence[Any], classes: int) -> tuple[Tensor, Tensor, Tensor]:
        """Give each cell its class one-hot `[B, N, C]`, its box `[B, N, 4]`, and say if it is asked about `[B, N]`."""
        centres = self.get_buffer("centres")
        count, cells = len(targets), len(centres)
        wanted = torch.zeros(count, cells, classes, device=centres.device)
        corners = torch.zeros(count, cells, 4, device=centres.device)
        asked = torch.ones(count, cells, device=centres.device)
        for row, target in enumerate(targets):
            boxes, labels, crowd = target_corners(target, centres.device)
            inside = _inside(centres, boxes)
            asked[row][inside[:, crowd].any(dim=1)] = 0.0
            owner, owned = self._owners(boxes[~crowd])
            wanted[row, owned, labels[~crowd][owner[owned]]] = 1.0
            corners[row, owned] = boxes[~crowd][owner[owned]]
            asked[row, owned] = 1.0
        return wanted, corners, asked

    def _owners(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """For each cell the smallest object near whose centre it lies, and whether there is one."""
        centres = self.get_buffer("centres")
        if not len(boxes):
            return torch.zeros(len(centres), dtype=torch.int64), torch.zeros(len(centres), dtype=torch.bool)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        reach = torch.tensor(self.cell, device=boxes.device) * _RADIUS_CELLS
        near = ((centres[:, None] - middle[None]).abs() <= reach).all(dim=-1)
        nearest = (centres[:, None] - middle[None]).abs().sum(dim=-1).argmin(dim=0)
        near[nearest, torch.arange(len(boxes), device=boxes.device)] = True  # an object smaller than a cell has one too
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        ranked = torch.where(near, areas[None], torch.inf)
        return ranked.argmin(dim=1), near.any(dim=1)


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Tell which points `[N, 2]` lie in which boxes `[K, 4]`: bool `[N, K]`."""
    return ((points[:, None] >= boxes[None, :, :2]) & (points[:, None] <= boxes[None, :, 2:])).all(dim=-1)


def build(shape: HeadShape) -> BoxHead:
    """Build the dense detector."""
    return BoxHead(shape.scorer, shape.width, shape.grid, shape.classes)


centre = Head(
    "centre",
    "at each place the classes and sides of its object, learns in a minute (FCOS 2019)",
    ("boxes",),
    "baselines.heads.box_head:build",
    grid=16,
    dense=True,
    adds=False,
)

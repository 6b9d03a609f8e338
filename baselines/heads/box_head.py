"""A small dense detector: at each cell of the grid class logits and the distances to the four sides of its object.

FCOS (Tian et al. 2019, arXiv 1904.01355) on one map, with centre sampling and without its centre-ness branch. Focal
loss (Lin et al. 2017, arXiv 1708.02002) for classes, GIoU (Rezatofighi et al. 2019, arXiv 1902.09630) for boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, sigmoid_focal_loss

from baselines.heads.boxes import corners_to_answer, generalised_iou, on_host, target_corners
from baselines.heads.class_scorers import ClassScorer
from baselines.heads.head import Head, HeadShape
from baselines.host_masks import indices_of
from harness.protocols import LossPart
from harness.sample import Classes

_RADIUS_CELLS = 1.5
_PRIOR = 0.01
_NMS_IOU = 0.6
_CANDIDATES = 300
_KEPT = 100
_LEAST_SCORE = 0.01

RawCentres = tuple[Tensor, Tensor]
"""Class logits `[B, N, C]` and distances left, top, right, bottom `[B, N, 4]` in fractions of the image."""


@dataclass(frozen=True)
class _Assigned:
    """What is wanted of each cell of a batch, on the host.

    `owned` bool `[B, N]`: cells at objects; their classes `[P]` and boxes `[P, 4]` in that order; `asked` float
    `[B, N]` is 0 in crowds.
    """

    owned: Tensor
    labels: Tensor
    corners: Tensor
    asked: Tensor


class BoxHead(nn.Module):
    """Boxes from features `[B, N, d]` on a grid."""

    seen: Tensor | None

    def __init__(self, scorer: ClassScorer, width: int, grid: tuple[int, int], classes: Classes) -> None:
        super().__init__()
        seen = None if all(classes.seen) else torch.tensor(classes.seen).nonzero().flatten()
        self.register_buffer("seen", seen, persistent=False)
        self.scorer = scorer
        self.distances = nn.Linear(width, 4)
        self.class_bias = nn.Parameter(torch.tensor(-math.log((1 - _PRIOR) / _PRIOR)))
        rows, columns = grid
        y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
        self._places = torch.stack([x.flatten(), y.flatten()], dim=1)
        """Stays on the host, where objects are given cells."""
        self.register_buffer("centres", self._places.clone(), persistent=False)
        self.cell = (1 / columns, 1 / rows)

    def forward(self, features: Tensor) -> RawCentres:
        """Return class logits and distances."""
        logits = self.scorer(features)
        distances = F.softplus(self.distances(features).float()) * max(self.cell)
        return logits.float() + self.class_bias, distances

    def loss(self, raw: RawCentres, targets: Sequence[Any]) -> Tensor:
        """Focal loss over all cells that are not in a crowd, GIoU loss over cells at objects."""
        return self._loss(raw, self._assign(targets), self.seen)  # no training image says where the others are not

    def loss_parts(self, raw: RawCentres, targets: Sequence[Any]) -> Sequence[LossPart]:
        """The loss summed up, and the cells at objects."""
        assigned = self._assign(targets)
        count = len(assigned.labels)
        return (LossPart(self._loss(raw, assigned, self.seen) * max(1, count), count),)

    def _loss(self, raw: RawCentres, assigned: _Assigned, classes: Tensor | None) -> Tensor:
        """The loss in which these classes (indices) take part; None for all."""
        logits, distances = raw
        device, count = logits.device, len(assigned.labels)
        labels, corners = (part.to(device, non_blocking=True) for part in (assigned.labels, assigned.corners))
        asked = assigned.asked.to(device, non_blocking=True)
        images, cells = indices_of(assigned.owned, device)
        wanted = torch.zeros_like(logits)
        wanted[images, cells, labels] = 1.0
        if classes is not None:
            logits, wanted = logits[..., classes], wanted[..., classes]
        focal = sigmoid_focal_loss(logits, wanted, reduction="none").sum(dim=-1)
        overlap = generalised_iou(self._corners(distances)[images, cells], corners)
        loss: Tensor = ((focal * asked).sum() + (1 - overlap).sum()) / max(1, count)
        return loss

    def losses(self, raw: RawCentres, targets: Sequence[Any]) -> Tensor:
        """The loss of each image taken alone, over all classes `[B]`."""
        alone = [(logits[None], places[None]) for logits, places in zip(*raw, strict=True)]
        return torch.stack(
            [self._loss(one, self._assign([target]), None) for one, target in zip(alone, targets, strict=True)]
        )

    @torch.no_grad()
    def answer(self, raw: RawCentres) -> list[list[list[float]]]:
        """Keep the best boxes of each image after non-maximum suppression within each class.

        The candidates come to the host first, all at once: suppression there takes less time than to wait for it.
        """
        logits, distances = raw
        classes = logits.shape[-1]
        values, order = logits.sigmoid().flatten(1).topk(min(_CANDIDATES, logits[0].numel()), dim=1)
        boxes = self._corners(distances).gather(1, (order // classes)[..., None].expand(-1, -1, 4)).clamp(0, 1)
        return [_best(*image) for image in zip(*on_host(values, order % classes, boxes), strict=True)]

    def _corners(self, distances: Tensor) -> Tensor:
        """Turn distances `[..., N, 4]` into corners x0, y0, x1, y1."""
        centres = self.get_buffer("centres")
        return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1)

    def _assign(self, targets: Sequence[Any]) -> _Assigned:
        """Give the cells of each image to its objects."""
        centres = self._places
        owned = torch.zeros(len(targets), len(centres), dtype=torch.bool)
        asked = torch.ones(len(targets), len(centres))
        labels_of_owned, corners_of_owned = [], []
        for row, target in enumerate(targets):
            boxes, labels, crowd = target_corners(target)
            asked[row][_inside(centres, boxes)[:, crowd].any(dim=1)] = 0.0
            owner, owned[row] = self._owners(boxes[~crowd])
            chosen = owner[owned[row]]
            labels_of_owned.append(labels[~crowd][chosen])
            corners_of_owned.append(boxes[~crowd][chosen])
            asked[row, owned[row]] = 1.0
        return _Assigned(owned, torch.cat(labels_of_owned), torch.cat(corners_of_owned), asked)

    def _owners(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """For each cell the smallest object near whose centre it lies, and whether there is one."""
        centres = self._places
        if not len(boxes):
            return torch.zeros(len(centres), dtype=torch.int64), torch.zeros(len(centres), dtype=torch.bool)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        reach = torch.tensor(self.cell) * _RADIUS_CELLS
        near = ((centres[:, None] - middle[None]).abs() <= reach).all(dim=-1)
        nearest = (centres[:, None] - middle[None]).abs().sum(dim=-1).argmin(dim=0)
        near[nearest, torch.arange(len(boxes))] = True  # an object smaller than a cell has one too
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        ranked = torch.where(near, areas[None], torch.inf)
        return ranked.argmin(dim=1), near.any(dim=1)


def _best(values: Tensor, classes: Tensor, boxes: Tensor) -> list[list[float]]:
    """Suppress among the candidates of one image, best first: scores `[K]`, classes `[K]`, corners `[K, 4]`."""
    likely = values >= _LEAST_SCORE
    values, classes, boxes = values[likely], classes[likely], boxes[likely]
    kept = batched_nms(boxes, values, classes, _NMS_IOU)[:_KEPT]
    return corners_to_answer(boxes[kept], values[kept], classes[kept])


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

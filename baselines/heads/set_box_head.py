"""A set detector: learned queries read the image, each answers with one object or none (DETR).

Carion et al. 2020 (arXiv 2005.12872): Hungarian matching, cross-entropy with a class for no object, L1 and GIoU. It
learns slowly; it is for GPUs (`--set model.box_head=set`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.fusion.q_former import QueryBlock
from baselines.heads.boxes import corners_to_answer, generalised_iou, target_corners
from baselines.heads.class_scorers import ClassScorer
from baselines.heads.head import Head, HeadShape
from baselines.heads.label_head import without_unseen
from harness.sample import Classes

_L1, _GIOU = 5.0, 2.0
_NO_OBJECT_WEIGHT = 0.1

RawSet = tuple[Tensor, Tensor]
"""Class logits `[B, Q, C + 1]`, the last one for no object, and boxes cx, cy, w, h `[B, Q, 4]`."""


class SetBoxHead(nn.Module):
    """Boxes from features `[B, N, d]`; `size` is the number of queries and of blocks."""

    def __init__(self, scorer: ClassScorer, width: int, size: tuple[int, int], classes: Classes) -> None:
        super().__init__()
        queries, blocks = size
        self.register_buffer("seen", torch.tensor([*classes.seen, True]), persistent=False)
        self.scorer = scorer
        self.queries = nn.Parameter(torch.randn(queries, width))
        self.blocks = nn.ModuleList(QueryBlock(width, width, 8, 0.0) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.nothing = nn.Linear(width, 1)
        self.boxes = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 4))

    def forward(self, features: Tensor) -> RawSet:
        """Let the queries read the image."""
        queries = self.queries.expand(len(features), -1, -1)
        for block in self.blocks:
            queries = block(queries, features)
        queries = self.norm(queries)
        logits = torch.cat([self.scorer(queries), self.nothing(queries)], dim=-1)
        return logits.float(), self.boxes(queries).float().sigmoid()

    def loss(self, raw: RawSet, targets: Sequence[Any]) -> Tensor:
        """Match queries and objects, then score classes of all and boxes of the matched; crowds are left out."""
        return self._loss(raw, targets, self.get_buffer("seen"))

    def _loss(self, raw: RawSet, targets: Sequence[Any], may_be: Tensor) -> Tensor:
        """The loss in which these classes, and no object, take part (bool `[C + 1]`)."""
        logits, boxes = raw
        classes = torch.full(logits.shape[:2], logits.shape[-1] - 1, device=logits.device)
        found, wanted = [], []
        for row, target in enumerate(targets):
            corners, labels, crowd = target_corners(target, logits.device)
            corners, labels = corners[~crowd], labels[~crowd]
            queries, objects = _match(logits[row], boxes[row], corners, labels)
            classes[row, queries] = labels[objects]
            found.append(boxes[row, queries])
            wanted.append(corners[objects])
        weights = torch.ones(logits.shape[-1], device=logits.device)
        weights[-1] = _NO_OBJECT_WEIGHT
        loss = F.cross_entropy(without_unseen(logits.flatten(0, 1), may_be), classes.flatten(), weights)
        own, right = torch.cat(found), torch.cat(wanted)
        count = max(1, len(own))
        distance = F.l1_loss(own, _centred(right), reduction="sum")
        return loss + (_L1 * distance + _GIOU * (1 - generalised_iou(_cornered(own), right)).sum()) / count

    def losses(self, raw: RawSet, targets: Sequence[Any]) -> Tensor:
        """The loss of each image taken alone, over all classes `[B]`."""
        every = torch.ones_like(self.get_buffer("seen"))
        alone = [(logits[None], places[None]) for logits, places in zip(*raw, strict=True)]
        return torch.stack([self._loss(one, [target], every) for one, target in zip(alone, targets, strict=True)])

    @torch.no_grad()
    def answer(self, raw: RawSet) -> list[list[list[float]]]:
        """Give each query's best class; no suppression is needed."""
        logits, boxes = raw
        scores, labels = logits.softmax(dim=-1)[..., :-1].max(dim=-1)
        return [
            corners_to_answer(_cornered(b).clamp(0, 1), s, c) for s, c, b in zip(scores, labels, boxes, strict=True)
        ]


@torch.no_grad()
def _match(logits: Tensor, boxes: Tensor, corners: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Find the cheapest assignment of queries to objects: their indices, in pairs."""
    from scipy.optimize import linear_sum_assignment

    own, count = _cornered(boxes), len(corners)
    overlap = generalised_iou(own.repeat_interleave(count, dim=0), corners.repeat(len(own), 1)).view(len(own), count)
    cost = -logits.softmax(dim=-1)[:, labels] + _L1 * torch.cdist(boxes, _centred(corners), p=1) - _GIOU * overlap
    queries, objects = linear_sum_assignment(cost.cpu().numpy())
    return torch.as_tensor(queries, device=boxes.device), torch.as_tensor(objects, device=boxes.device)


def _cornered(boxes: Tensor) -> Tensor:
    return torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], dim=-1)


def _centred(corners: Tensor) -> Tensor:
    return torch.cat([(corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]], dim=-1)


def build(shape: HeadShape) -> SetBoxHead:
    """Build the set detector."""
    size = (shape.settings["queries"], shape.settings["query_layers"])
    return SetBoxHead(shape.scorer, shape.width, size, shape.classes)


set_of_boxes = Head(
    "set",
    "learned queries, each an object or none, for GPUs (DETR 2020)",
    ("boxes",),
    "baselines.heads.set_box_head:build",
    grid=16,
    dense=True,
    bare=False,
    pairs=False,
    adds=False,
    settings={"queries": 16, "query_layers": 2},
)

"""A set detector: learned queries read the image, each answers with one object or none (DETR).

Carion et al. 2020 (arXiv 2005.12872): Hungarian matching, cross-entropy with a class for no object, L1 and GIoU. It
learns slowly; it is for GPUs (`--set model.box_head=set`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from baselines.fusion.q_former import QueryBlock
from baselines.heads.boxes import corners_to_answer, generalised_iou, on_host, target_corners
from baselines.heads.class_scorers import ClassScorer
from baselines.heads.head import Head, HeadShape
from baselines.heads.label_head import unseen_mask, without_unseen
from harness.protocols import LossPart
from harness.sample import Classes

_L1, _GIOU = 5.0, 2.0
_NO_OBJECT_WEIGHT = 0.1

RawSet = tuple[Tensor, Tensor]
"""Class logits `[B, Q, C + 1]`, the last one for no object, and boxes cx, cy, w, h `[B, Q, 4]`."""


class SetBoxHead(nn.Module):
    """Boxes from features `[B, N, d]`; `size` is the number of queries and of blocks."""

    unseen: Tensor | None

    def __init__(self, scorer: ClassScorer, width: int, size: tuple[int, int], classes: Classes) -> None:
        super().__init__()
        queries, blocks = size
        self.register_buffer("unseen", unseen_mask([*classes.seen, True]), persistent=False)
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
        return _loss(raw, _match(*raw, targets), self.unseen)

    def loss_parts(self, raw: RawSet, targets: Sequence[Any]) -> Sequence[LossPart]:
        """What is summed over queries, by the weights of what they answer for, and over objects."""
        matches = _match(*raw, targets)
        classes, boxes = _sums(raw, matches, self.unseen)
        objects = sum(len(match.queries) for match in matches)
        weight = objects + _NO_OBJECT_WEIGHT * (raw[0].shape[0] * raw[0].shape[1] - objects)
        return LossPart(classes * weight, weight), LossPart(boxes, objects)

    def losses(self, raw: RawSet, targets: Sequence[Any]) -> Tensor:
        """The loss of each image taken alone, over all classes `[B]`."""
        matches = _match(*raw, targets)
        alone = [(logits[None], boxes[None]) for logits, boxes in zip(*raw, strict=True)]
        return torch.stack([_loss(one, [match], None) for one, match in zip(alone, matches, strict=True)])

    @torch.no_grad()
    def answer(self, raw: RawSet) -> list[list[list[float]]]:
        """Give each query's best class; no suppression is needed."""
        logits, boxes = raw
        scores, labels = logits.softmax(dim=-1)[..., :-1].max(dim=-1)
        rows = zip(*on_host(_cornered(boxes).clamp(0, 1), scores, labels), strict=True)
        return [corners_to_answer(*row) for row in rows]


@dataclass(frozen=True)
class _Match:
    """Which queries of an image answer for which objects `[K]`: their classes `[K]` and corners `[K, 4]`."""

    queries: Tensor
    labels: Tensor
    corners: Tensor


def _loss(raw: RawSet, matches: Sequence[_Match], unseen: Tensor | None) -> Tensor:
    """The loss without the classes that are `unseen`."""
    classes, boxes = _sums(raw, matches, unseen)
    return classes + boxes / max(1, sum(len(match.queries) for match in matches))


def _sums(raw: RawSet, matches: Sequence[_Match], unseen: Tensor | None) -> tuple[Tensor, Tensor]:
    """The weighted mean over all queries of what their classes cost, and the sum over objects of what boxes do."""
    logits, boxes = raw
    device = logits.device
    classes = torch.full(logits.shape[:2], logits.shape[-1] - 1)
    for row, match in enumerate(matches):
        classes[row, match.queries] = match.labels
    weights = torch.ones(logits.shape[-1], device=device)
    weights[-1] = _NO_OBJECT_WEIGHT
    wanted = classes.flatten().to(device, non_blocking=True)
    loss = F.cross_entropy(without_unseen(logits.flatten(0, 1), unseen), wanted, weights)
    rows = torch.cat([torch.full_like(match.queries, row) for row, match in enumerate(matches)])
    places = torch.stack([rows, torch.cat([match.queries for match in matches])]).to(device, non_blocking=True)
    own = boxes[places[0], places[1]]
    right = torch.cat([match.corners for match in matches]).to(device, non_blocking=True)
    distance = F.l1_loss(own, _centred(right), reduction="sum")
    return loss, _L1 * distance + _GIOU * (1 - generalised_iou(_cornered(own), right)).sum()


@torch.no_grad()
def _match(logits: Tensor, boxes: Tensor, targets: Sequence[Any]) -> list[_Match]:
    """Find the cheapest assignment of queries to objects of each image; costs of all come to the host at once."""
    from scipy.optimize import linear_sum_assignment

    known = []
    for target in targets:
        corners, labels, crowd = target_corners(target)
        known.append((corners[~crowd], labels[~crowd]))
    every_corner = pad_sequence([corners for corners, _ in known], batch_first=True)
    every_label = pad_sequence([labels for _, labels in known], batch_first=True)
    costs = _costs(logits, boxes, every_corner, every_label).float().cpu().numpy()
    matches = []
    for cost, (corners, labels) in zip(costs, known, strict=True):
        queries, objects = map(torch.as_tensor, linear_sum_assignment(cost[:, : len(labels)]))
        matches.append(_Match(queries, labels[objects], corners[objects]))
    return matches


def _costs(logits: Tensor, boxes: Tensor, corners: Tensor, labels: Tensor) -> Tensor:
    """What it costs each query `[B, Q]` to answer for each object `[B, K]`: `[B, Q, K]`."""
    corners, labels = (part.to(boxes.device, non_blocking=True) for part in (corners, labels))
    queries, count = boxes.shape[1], corners.shape[1]
    own = _cornered(boxes)[:, :, None].expand(-1, -1, count, -1).reshape(-1, 4)
    other = corners[:, None].expand(-1, queries, -1, -1).reshape(-1, 4)
    overlap = generalised_iou(own, other).view(len(boxes), queries, count)
    likely = logits.softmax(dim=-1).gather(2, labels[:, None].expand(-1, queries, -1))
    return -likely + _L1 * torch.cdist(boxes, _centred(corners), p=1) - _GIOU * overlap


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

"""Boxes as tensors: corners x0, y0, x1, y1 in fractions of the image, and the answers of `harness.answers`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def target_corners(target: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Turn a target into corners `[K, 4]`, classes `[K]` and crowd flags `[K]`, on the host."""
    boxes = torch.tensor(target.boxes, dtype=torch.float32).reshape(-1, 4)
    corners = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)
    return corners, torch.tensor(target.labels, dtype=torch.int64), torch.tensor(target.crowd, dtype=torch.bool)


def on_host(*tensors: Tensor) -> list[Tensor]:
    """Bring tensors to the host, in one copy: as float64, which holds float32 and any class or place exactly."""
    if tensors[0].device.type == "cpu":
        return list(tensors)
    copied = torch.cat([tensor.flatten().double() for tensor in tensors]).cpu()
    parts = copied.split([tensor.numel() for tensor in tensors])
    return [part.to(tensor.dtype).view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


def corners_to_answer(corners: Tensor, scores: Tensor, labels: Tensor) -> list[list[float]]:
    """Turn the boxes of one image into `[class, score, x, y, width, height]`; boxes without area are left out."""
    x0, y0, x1, y1 = corners.double().unbind(dim=-1)
    rows = torch.stack([labels.double(), scores.double(), x0, y0, x1 - x0, y1 - y0], dim=-1)
    has_area = (rows[:, 4] > 0) & (rows[:, 5] > 0)
    return [[int(row[0]), *row[1:]] for row in rows[has_area].tolist()]


def generalised_iou(one: Tensor, other: Tensor) -> Tensor:
    """Generalised intersection over union of pairs of boxes `[K, 4]`, -1..1 (arXiv 1902.09630)."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    intersection = (high - low).clamp(min=0).prod(dim=1)
    union = _area(one) + _area(other) - intersection
    hull = torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])
    hull_area = hull.prod(dim=1).clamp(min=1e-9)
    return intersection / union.clamp(min=1e-9) - (hull_area - union) / hull_area


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1)

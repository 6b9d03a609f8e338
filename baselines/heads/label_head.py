"""The head that answers with labels: attention pooling over places, then a class scorer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.heads.class_scorers import ClassScorer
from baselines.heads.head import Head, HeadShape
from baselines.host_masks import indices_of
from harness.answers import UNKNOWN
from harness.sample import Classes

_LARGEST_LOSS = 100.0
"""Of a class's presence, as in torch's binary cross-entropy."""


class AttentionPool(nn.Module):
    """A weighted mean over places, weights by one learned direction; at first the plain mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(width, 1)
        nn.init.zeros_(self.weigh.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Turn `[..., N, d]` into `[..., d]`."""
        weights = self.weigh(features).softmax(dim=-2)
        pooled: Tensor = (weights * features).sum(dim=-2)
        return pooled


class MeanPool(nn.Module):
    """The plain mean over places."""

    def forward(self, features: Tensor) -> Tensor:
        """Turn `[..., N, d]` into `[..., d]`."""
        return features.mean(dim=-2)


class LabelHead(nn.Module):
    """Class logits of an image: one class each, or with `multilabel` any number.

    Only `seen` classes compete in training: no image of the others is there, so to lower them would be to learn
    that they do not exist.
    """

    loss_is_mean_over_samples = True
    unseen: Tensor | None

    def __init__(self, pool: nn.Module, scorer: ClassScorer, classes: Classes) -> None:
        super().__init__()
        self.pool = pool
        self.scorer = scorer
        self.multilabel = classes.multilabel
        self.seen = torch.tensor(classes.seen)
        self.register_buffer("unseen", unseen_mask(classes.seen), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits `[B, C]` of features `[B, N, d]`."""
        return self.scorer(self.pool(features))

    def loss(self, logits: Tensor, targets: Sequence[Any]) -> Tensor:
        """Cross-entropy; binary where images have several classes."""
        if self.multilabel:
            return presence_loss(logits, targets, self.seen)
        return F.cross_entropy(without_unseen(logits.float(), self.unseen), _labels(targets, logits.device))

    def losses(self, logits: Tensor, targets: Sequence[Any]) -> Tensor:
        """Cross-entropy of each image over all classes `[B]`; where images have several, the mean over classes."""
        return label_losses(logits, targets, multilabel=self.multilabel)

    def answer(self, logits: Tensor) -> list[list[float]]:
        """Return the probability of each class."""
        logits = logits.double()
        probabilities = logits.sigmoid() if self.multilabel else logits.softmax(dim=-1)
        return cast("list[list[float]]", probabilities.tolist())

    def combine(self, one: Tensor, other: Tensor) -> Tensor:
        """Add two models' log-probabilities (control C6)."""
        if self.multilabel:
            return one + other
        return one.float().log_softmax(dim=-1) + other.float().log_softmax(dim=-1)


def presence_loss(logits: Tensor, targets: Sequence[Any], seen: Tensor) -> Tensor:
    """Binary cross-entropy of logits `[B, C]` over the `seen` classes; where a label is UNKNOWN nothing is asked.

    `seen` is a mask or indices, on the host.
    """
    presence = _presence(targets)
    asked = torch.zeros_like(presence, dtype=torch.bool)
    asked[:, seen] = presence[:, seen] != UNKNOWN
    wanted = presence[asked].to(logits.device, non_blocking=True)
    return F.binary_cross_entropy_with_logits(logits.float()[indices_of(asked, logits.device)], wanted)


def label_losses(logits: Tensor, targets: Sequence[Any], *, multilabel: bool) -> Tensor:
    """Cross-entropy of each row of logits `[B, C]`; where images have several classes, the binary one's mean."""
    if multilabel:
        wanted = _presence(targets).to(logits.device, non_blocking=True)
        known = (wanted != UNKNOWN).float()
        certain = logits.float().clamp(min=-_LARGEST_LOSS)  # a linear probe gives unseen classes minus infinity
        losses = F.binary_cross_entropy_with_logits(certain, wanted.clamp(min=0), reduction="none")
        return (losses * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
    return F.cross_entropy(logits.float(), _labels(targets, logits.device), reduction="none")


def _labels(targets: Sequence[Any], device: torch.device) -> Tensor:
    return torch.tensor([target.label for target in targets]).to(device, non_blocking=True)


def _presence(targets: Sequence[Any]) -> Tensor:
    return torch.tensor([list(target.labels) for target in targets], dtype=torch.float32)


def unseen_mask(seen: Sequence[bool]) -> Tensor | None:
    """Mark the classes without training samples, bool `[C]`; None where there are none."""
    return None if all(seen) else ~torch.tensor(seen)


def without_unseen(logits: Tensor, unseen: Tensor | None) -> Tensor:
    """Take classes without training samples out of a softmax over the last dimension."""
    return logits if unseen is None else logits.masked_fill(unseen, -torch.inf)


def build(shape: HeadShape) -> LabelHead:
    """Pool by attention; the mean of the backbone's own features."""
    pool: nn.Module = MeanPool() if shape.bare else AttentionPool(shape.width)
    return LabelHead(pool, shape.scorer, shape.classes)


labels = Head(
    "labels",
    "a probability for each class, pooled over places",
    ("labels", "labels:unseen"),
    "baselines.heads.label_head:build",
)

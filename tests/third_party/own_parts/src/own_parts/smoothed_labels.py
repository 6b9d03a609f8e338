"""Label smoothing: the right class is asked for with less than certainty (Szegedy et al. 2016, arXiv 1512.00567)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.heads.head import Head, HeadShape
from baselines.heads.label_head import LabelHead, MeanPool


class SmoothedLabels(LabelHead):
    """Cross-entropy with the share `smoothing` of each target spread over all classes."""

    smoothing = 0.0

    def loss(self, logits: Tensor, targets: Sequence[Any]) -> Tensor:
        """Mean over samples."""
        labels = torch.tensor([target.label for target in targets], device=logits.device)
        return F.cross_entropy(logits.float(), labels, label_smoothing=self.smoothing)


def build(shape: HeadShape) -> SmoothedLabels:
    """Build the head."""
    head = SmoothedLabels(MeanPool(), shape.scorer, shape.classes)
    head.smoothing = float(shape.settings["smoothing"])
    return head


smoothed_labels = Head(
    "smoothed-labels",
    "classes by cross-entropy with smoothed targets",
    ("labels", "labels:unseen"),
    "own_parts.smoothed_labels:build",
    settings={"smoothing": 0.1},
)

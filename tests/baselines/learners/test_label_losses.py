"""Losses of several labels an image: what nobody knows teaches nothing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from baselines.heads.label_head import label_losses, presence_loss
from harness.answers import UNKNOWN
from tasks.targets.targets import LabelTarget

LOGITS = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])


def test_known_labels_alone_are_learned_from() -> None:
    targets = [LabelTarget(-1, (1, UNKNOWN, 0)), LabelTarget(-1, (0, 1, UNKNOWN))]
    known = F.binary_cross_entropy_with_logits(torch.tensor([1.0, 0.5, 0.0, 3.0]), torch.tensor([1.0, 0.0, 0.0, 1.0]))
    assert float(presence_loss(LOGITS, targets, torch.tensor([True] * 3))) == pytest.approx(float(known))
    rows = [
        F.binary_cross_entropy_with_logits(torch.tensor(logits), torch.tensor(wanted))
        for logits, wanted in (([1.0, 0.5], [1.0, 0.0]), ([0.0, 3.0], [0.0, 1.0]))
    ]
    assert label_losses(LOGITS, targets, multilabel=True).tolist() == pytest.approx([float(row) for row in rows])
    moved = LOGITS.clone()
    moved[0, 1], moved[1, 2] = 9.0, 9.0
    assert torch.equal(label_losses(moved, targets, multilabel=True), label_losses(LOGITS, targets, multilabel=True))


def test_where_all_is_known_it_is_torchs_own_loss() -> None:
    targets = [LabelTarget(-1, (1, 0, 0)), LabelTarget(-1, (0, 1, 1))]
    wanted = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    seen = torch.tensor([True, False, True])
    expected = F.binary_cross_entropy_with_logits(LOGITS[:, seen], wanted[:, seen])
    assert torch.equal(presence_loss(LOGITS, targets, seen), expected)

"""The head that answers questions: its loss by hand, answers among options, and what training does not know."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from baselines.heads.answer_head import AnswerHead
from baselines.heads.head import AnswersAmong
from baselines.heads.label_head import MeanPool

HEAD = AnswerHead(MeanPool(), torch.nn.Identity(), ("yes", "no", "Red"))
LOGITS = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]])


def wanted(*accepted: str) -> SimpleNamespace:
    return SimpleNamespace(accepted=accepted)


def test_loss_is_cross_entropy_with_the_shares_of_known_answers() -> None:
    total = math.log(1 + math.e + math.e**2)
    losses = HEAD.losses(LOGITS, [wanted("red", "red", "no", "purple"), wanted("mauve")])
    assert losses.tolist() == pytest.approx([2 / 3 * (total - 2) + 1 / 3 * (total - 1), 0.0])
    assert float(HEAD.loss(LOGITS, [wanted("yes"), wanted("yes")])) == pytest.approx(
        (total + math.log(math.e**3 + 2) - 3) / 2
    )


def test_without_options_the_likeliest_answer_is_said() -> None:
    assert HEAD.answer(torch.cat([LOGITS, torch.zeros(1, 3)])) == ["Red", "yes", ""]
    assert HEAD.answer_among(LOGITS, ((), ())) == ["Red", "yes"]


def test_options_get_log_probabilities_and_unknown_ones_the_least() -> None:
    assert isinstance(HEAD, AnswersAmong)
    first, second = HEAD.answer_among(LOGITS, (("red", "violet", "no"), ()))
    known = LOGITS[0].double().log_softmax(-1).tolist()
    assert first == pytest.approx([known[2], min(known) - 1, known[1]]) and second == "yes"

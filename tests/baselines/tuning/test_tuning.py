"""Trainable weights under each policy, counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from baselines import catalog
from harness.errors import UsageError
from tests.baselines.conftest import train_steps

WIDTH, INNER, BLOCKS = 32, 64, 3


def counts(learner: Any) -> dict[str, int]:
    return {name: sum(p.numel() for _, p in group) for name, group in vars(learner.parameter_groups()).items()}


def new_weights(learner: Any) -> int:
    """Cross-attention, positions of visual tokens, and the head that BERT's checkpoint lacks."""
    visual, tokens = learner.vision.width, learner.vision.tokens
    layer = 2 * WIDTH + 2 * (WIDTH + 1) * WIDTH + (visual + 1) * 2 * WIDTH
    head = (WIDTH + 1) * WIDTH + 2 * WIDTH + learner.decoder.vocabulary.size
    return BLOCKS * layer + 2 * visual + tokens * visual + head


@pytest.mark.parametrize(
    ("policy", "language", "more"),
    [
        ("frozen", 0, 0),
        ("lora", 0, BLOCKS * 2 * 2 * (WIDTH + WIDTH)),  # rank 2, on query and value
        ("adapter", 0, BLOCKS * (2 * WIDTH * 8 + 8 + WIDTH)),
        ("ia3", 0, BLOCKS * (3 * WIDTH + INNER)),  # keys, values, what attention's output and the block's read
        ("bitfit", WIDTH + BLOCKS * (3 * WIDTH + 2 * WIDTH + INNER + 2 * WIDTH), 0),
    ],
)
def test_trainable_counts(policy: str, language: int, more: int, build: Any) -> None:
    learner = build(catalog.cross_attention, tune=policy)
    assert counts(learner) == {"language": language, "vision": 0, "new": new_weights(learner) + more}


def test_full_counts(build: Any) -> None:
    learner = build(catalog.cross_attention, tune="full")
    block = 4 * (WIDTH + 1) * WIDTH + (WIDTH + 1) * INNER + (INNER + 1) * WIDTH + 4 * WIDTH
    embeddings = (learner.decoder.vocabulary.size + 512 + 2 + 2) * WIDTH
    assert counts(learner) == {
        "language": BLOCKS * block + embeddings,
        "vision": 0,
        "new": new_weights(learner),
    }


@pytest.mark.parametrize("policy", ["frozen", "lora", "adapter", "ia3", "bitfit"])
def test_pretrained_weights_that_are_frozen_stay(policy: str, build: Any) -> None:
    learner = build(catalog.cross_attention, tune=policy)
    before = {name: p.detach().clone() for name, p in learner.named_parameters()}
    train_steps(learner, 2)
    moved = {name for name, p in learner.named_parameters() if not torch.equal(p, before[name])}
    trainable = {name for name, p in learner.named_parameters() if p.requires_grad}
    assert moved and moved <= trainable


@pytest.mark.parametrize("policy", ["lora", "adapter", "ia3", "bitfit", "full"])
def test_a_model_is_the_frozen_one_at_its_start(policy: str, build: Any) -> None:
    """Answers before training are those of the base model, to the last bit of the sums; after it they are others."""
    base, tuned = (build(catalog.cross_attention, tune=name) for name in ("frozen", policy))
    of_base = dict(base.named_parameters())
    shared = {name.replace(".base_layer.", "."): p for name, p in tuned.named_parameters()}
    with torch.no_grad():
        for name, parameter in of_base.items():  # what is new is drawn otherwise where other parts are drawn before it
            shared[name].copy_(parameter)
    words = torch.arange(1, 9).reshape(2, 4)

    def states(learner: Any) -> torch.Tensor:
        with torch.no_grad():
            return learner.eval().decoder.language.bert(input_ids=words).last_hidden_state

    torch.testing.assert_close(states(tuned), states(base), rtol=0, atol=1e-6)
    train_steps(tuned, 3)
    assert not torch.allclose(states(tuned), states(base), rtol=0, atol=1e-6)


def test_layers_of_ia3(build: Any) -> None:
    with pytest.raises(UsageError, match=r"no layers named q_proj.*model\.ia3_targets"):
        build(catalog.cross_attention, tune="ia3", ia3_targets="q_proj")
    with pytest.raises(UsageError, match="value is none of the layers key"):
        build(catalog.cross_attention, tune="ia3", ia3_targets="key", ia3_feedforward="value")
    few = build(catalog.cross_attention, tune="ia3", ia3_targets="key")
    assert counts(few)["new"] == new_weights(few) + BLOCKS * WIDTH


def test_fewer_blocks(build: Any) -> None:
    learner = build(catalog.cross_attention, language_layers=1)
    assert len(learner.decoder.language.bert.encoder.layer) == 1
    with pytest.raises(UsageError, match="3 blocks"):
        build(catalog.cross_attention, language_layers=4)


def test_unknown_policy_and_layers(build: Any) -> None:
    with pytest.raises(UsageError, match="'lora'"):
        build(catalog.prefix, tune="lorra")
    with pytest.raises(UsageError, match=r"no layers named q_proj.*query"):
        build(catalog.prefix, tune="lora", lora_targets="q_proj+v_proj")


def test_vision_can_be_tuned(build: Any) -> None:
    learner = build(catalog.cross_attention, vision_tune="full")
    assert not learner.vision_frozen
    assert counts(learner)["vision"] > 0
    learner.train()
    norms = [m for m in learner.vision.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert norms and not any(norm.training for norm in norms)

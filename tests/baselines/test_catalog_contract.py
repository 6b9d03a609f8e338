"""What every captioning model of the catalogue promises."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from baselines import catalog
from harness.answers import BOXES, CAPTIONS, CHOICES
from harness.errors import UsageError
from harness.protocols import Learner, Model, SupportsFit

from .conftest import random_batch, rows_of, train_steps, trained_state

MODELS = [value for value in vars(catalog).values() if hasattr(value, "recipe") and not isinstance(value, type)]
CAPTIONING = [model for model in MODELS if "captions" in model.answers]
TRAINED = [model for model in CAPTIONING if not model.name.startswith("retrieval")]
FUSED = [model for model in CAPTIONING if model.fused]


ANSWERING = ("C0", "C1", "C2", "C3", "C4", "C5", "C6")


def named(model: Any) -> str:
    return str(model.name)


def test_names_are_the_promised_ones() -> None:
    assert {model.name for model in MODELS} == {
        "retrieval", "retrieval-consensus", "text-only", "cnn-lstm", "cnn-transformer", "cross-attention", "prefix",
        "concat",
        "gated-cross-attention", "q-former", "cross-attention-frozen", "cross-attention-lora",
        "cross-attention-adapter", "cross-attention-bitfit", "attribute-classifier", "answer-prior",
        "probe", "vision-only", "fine-tuned", "class-embedding", "film", "gated", "bilinear",
        "late-transformer",
    }  # fmt: skip
    assert {model.name for model in CAPTIONING if not model.fused} == {
        "retrieval", "retrieval-consensus", "text-only", "cnn-lstm", "cnn-transformer",
    }  # fmt: skip


@pytest.mark.parametrize("model", MODELS, ids=named)
def test_fits_the_protocol(model: Any) -> None:
    assert isinstance(model, Model)
    controls = {CAPTIONS: ("C1", "C2"), CHOICES: ("C1", "C2"), BOXES: ANSWERING[:-1]}
    for kind in model.answers:
        assert model.controls_for(kind) == (controls.get(kind, ANSWERING) if model.fused else ())
    with pytest.raises(UsageError, match="C9"):
        model.with_control("C9")


@pytest.mark.parametrize("model", TRAINED, ids=named)
def test_learns_and_answers_alike_in_any_batch(model: Any, build: Any) -> None:
    learner = build(model)
    assert isinstance(learner, Learner)
    losses = train_steps(learner, 12, rate=1e-2)
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < 0.85 * losses[0]
    whole = random_batch(learner, 64, with_targets=False)
    answers = learner.predict(whole)
    assert len(answers) == 64 and all(answer and answer == answer.lower() for answer in answers)
    for size in (1, 7):
        parts = [learner.predict(rows_of(whole, slice(start, start + size))) for start in range(0, 7, size)]
        assert [answer for part in parts for answer in part] == answers[:7]


@pytest.mark.parametrize("model", TRAINED, ids=named)
def test_checkpoint_restores_the_answers(model: Any, build: Any) -> None:
    learner = build(model)
    before = {name: p.detach().clone() for name, p in learner.named_parameters() if not p.requires_grad}
    train_steps(learner, 3)
    again = build(model)
    report = again.load_state_dict(trained_state(learner), strict=False)
    assert not report.unexpected_keys
    assert set(report.missing_keys) <= {name for name, p in again.named_parameters() if not p.requires_grad} | {
        name
        for name in report.missing_keys
        if "decoder" in name or "lm_head" in name  # tied to frozen rows
    }
    again.eval()
    batch = random_batch(learner, 16, with_targets=False)
    assert again.predict(batch) == learner.predict(batch)
    after = dict(learner.named_parameters())
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("model", TRAINED, ids=named)
def test_the_seed_alone_decides_the_weights(model: Any, build: Any) -> None:
    first, torch_state = build(model), torch.random.get_rng_state()
    second, other = build(model), build(model, seed=1)
    assert torch.equal(torch_state, torch.random.get_rng_state())
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert any(
        not torch.equal(a, b) for a, b in zip(first.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("model", FUSED, ids=named)
def test_the_image_matters(model: Any, build: Any) -> None:
    learner = build(model)
    train_steps(learner, 1)  # the gates of gated cross-attention start at 0
    tokens = torch.zeros(2, 3, dtype=torch.int64)
    visual = random_batch(learner, 2).visual
    assert visual is not None
    with torch.no_grad():
        assert not torch.allclose(learner.decoder(visual, tokens), learner.decoder(visual.flip(0), tokens), atol=1e-6)


@pytest.mark.parametrize("name", ["cnn_lstm", "cnn_transformer", "cross_attention", "prefix"])
def test_beams_do_not_depend_on_the_batch(name: str, build: Any) -> None:
    learner = build(getattr(catalog, name), beams=3)
    train_steps(learner, 12)
    whole = random_batch(learner, 9, with_targets=False)
    answers = learner.predict(whole)
    assert answers == [learner.predict(rows_of(whole, slice(row, row + 1)))[0] for row in range(9)]


def test_bitfit_needs_biases(build: Any) -> None:
    with pytest.raises(UsageError, match="no biases"):
        build(catalog.cross_attention_bitfit, "llama")


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("cross_attention", "gpt2"), ("gated_cross_attention", "gpt2"), ("concat", "gpt2"),
        ("cross_attention_lora", "gpt2"), ("cross_attention_bitfit", "gpt2"), ("text_only", "gpt2"),
        ("cross_attention", "llama"), ("q_former", "llama"), ("cross_attention_adapter", "llama"),
        ("cross_attention_lora", "llama"),
    ],
)  # fmt: skip
def test_other_language_models_fit(name: str, language: str, build: Any) -> None:
    model = getattr(catalog, name)
    learner = build(model, language)
    losses = train_steps(learner, 8)
    assert losses[-1] < losses[0]
    whole = random_batch(learner, 7, with_targets=False)
    assert learner.predict(whole) == [learner.predict(rows_of(whole, slice(row, row + 1)))[0] for row in range(7)]


def test_retrieval_answers_with_training_captions(build: Any) -> None:
    learner = build(catalog.retrieval)
    assert isinstance(learner, SupportsFit)
    assert not any(vars(learner.parameter_groups()).values())
    batch = random_batch(learner, 64)
    learner.fit([rows_of(batch, slice(0, 40)), rows_of(batch, slice(40, 64))])
    answers = learner.predict(rows_of(batch, slice(0, 64)))
    assert answers[:5] == [learner.predict(rows_of(batch, slice(row, row + 1)))[0] for row in range(5)]
    again = build(catalog.retrieval)
    again.load_state_dict(trained_state(learner), strict=False)
    assert again.predict(rows_of(batch, slice(0, 5))) == answers[:5]

"""CLIP's learners: what they read, rewording, and the losses of single samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.clip import catalog
from baselines.pretrained.catalog import parse_model_name
from harness.protocols import HasSampleLosses, ReadsText

from .conftest import KINDS, SEVERAL, SPEC, TARGETS, feature_batch, image_batch
from .test_adaptations import LEARNED, answers, learn, make, named
from .test_dual_encoder import tokens_of

MODELS = [catalog.clip_zero_shot, *LEARNED]
TEXTS = SPEC.classes.texts
ROTATED = [*TEXTS[1:], TEXTS[0]]
CONTROLLED = [(m, c) for m in MODELS for c in (None, "C2", "C3") if c is None or m.controlled]
"""Models and their controls."""


def trained(build: Any, model: Any, control: str | None = None) -> Any:
    learner = make(build, model if control is None else model.with_control(control))
    if model is not catalog.clip_zero_shot:
        learn(learner, 3)
    return learner.eval()


@pytest.mark.parametrize(("model", "control"), CONTROLLED, ids=lambda value: getattr(value, "name", value))
def test_answers_follow_the_texts_and_come_back(model: Any, control: str | None, build: Any) -> None:
    learner = trained(build, model, control)
    assert isinstance(learner, ReadsText)
    assert learner.reads == (() if model is catalog.clip_linear_probe else ("classes",))
    first = answers(learner)
    learner.reword(TEXTS)
    assert np.array_equal(answers(learner), first)
    with torch.inference_mode():  # as a sweep does it
        learner.reword(ROTATED)
    assert np.array_equal(answers(learner), first) != bool(learner.reads)
    learner.reword([("",)] * len(TEXTS))
    assert np.isfinite(answers(learner)).all()
    learner.reword(TEXTS)
    assert np.array_equal(answers(learner), first)


@pytest.mark.parametrize("model", [m for m in MODELS if m.fused], ids=named)
def test_reworded_is_as_if_built_with_these_texts(model: Any, build: Any) -> None:
    """What is fixed by the texts follows them; what was learned stays, and here nothing was."""
    one = make(build, model).eval()
    one.reword(ROTATED)
    other = make(build, model, spec=replace(SPEC, classes=replace(SPEC.classes, texts=tuple(ROTATED)))).eval()
    np.testing.assert_allclose(answers(one), answers(other), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_text_tower_is_reread(kind: str, folders: Callable[[str], Path], context: Any) -> None:
    model: Any = parse_model_name(f"open_clip:local-dir:{folders(kind)}")
    learner = model.build(SPEC, context()).eval()
    assert learner.reads == ("classes",)
    first = answers(learner)
    learner.reword(ROTATED)
    np.testing.assert_allclose(answers(learner), np.roll(first, -1, axis=1), atol=1e-6)
    learner.reword(TEXTS)
    assert np.array_equal(answers(learner), first)


@pytest.mark.parametrize("model", MODELS, ids=named)
def test_a_loss_is_minus_the_log_of_the_answer(model: Any, build: Any) -> None:
    """Of all classes, those without training images included, which a linear probe cannot name."""
    learner = trained(build, model)
    assert isinstance(learner, HasSampleLosses)
    batch = feature_batch(7) if learner.vision_frozen else image_batch(learner, 7)
    last = 4 if model is catalog.clip_linear_probe else 6
    batch = replace(batch, targets=tuple(replace(TARGETS[row], label=row % last) for row in range(7)))
    losses = learner.losses(batch)
    probabilities = np.array(learner.predict(replace(batch, targets=None)))
    expected = -np.log(probabilities[range(7), [row % last for row in range(7)]])
    assert losses.shape == (7,) and losses.dtype == torch.float32
    np.testing.assert_allclose(losses.detach(), expected, rtol=1e-4, atol=1e-6)
    assert batch.visual is not None and batch.targets is not None
    one = replace(batch, sample_ids=("x",), visual=batch.visual[3:4], texts=(None,), targets=batch.targets[3:4])
    torch.testing.assert_close(learner.losses(one)[0], losses[3], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=named)
def test_gradients_reach_float_pixels(model: Any, build: Any) -> None:
    learner = trained(build, model)
    size = learner.vision.preprocessing.size
    pixels = torch.randint(0, 256, (3, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    floats = pixels.float().requires_grad_()
    visual = learner.vision(floats)
    with torch.no_grad():
        assert torch.equal(learner.vision(pixels.float()), learner.vision(pixels))
    torch.testing.assert_close(visual, learner.vision(pixels))  # with a graph attention takes another path
    batch = replace(feature_batch(3), visual=visual)
    (slope,) = torch.autograd.grad(learner.losses(batch).sum(), floats)
    assert bool(torch.isfinite(slope).all()) and bool((slope.flatten(1).abs().sum(dim=1) > 0).all())


def test_several_classes_an_image(build: Any) -> None:
    """Binary cross-entropy, mean over classes, by the answer's probabilities."""
    for model, kind in ((catalog.clip_zero_shot, "siglip"), (catalog.clip_linear_probe, "clip")):
        learner = make(build, model, kind, spec=SEVERAL).eval()
        batch = feature_batch(5)
        assert batch.targets is not None
        wanted = np.array([target.labels for target in batch.targets])
        answered = np.array(learner.predict(replace(batch, targets=None)))
        expected = -(wanted * np.log(answered) + (1 - wanted) * np.log1p(-answered)).mean(axis=1)
        np.testing.assert_allclose(learner.losses(batch).detach(), expected, rtol=1e-4)


@pytest.mark.parametrize("control", [None, "C2", "C3"])
@pytest.mark.parametrize("tune", [None, "bitfit"])
def test_the_dual_encoder(
    control: str | None, tune: str | None, prerequisite: Path, languages: dict[str, Path], context: Any
) -> None:
    model = catalog.dual_encoder if control is None else catalog.dual_encoder.with_control(control)
    given = context(prerequisite=prerequisite, language=str(languages["bert"]), joint_width=24, tune=tune)
    learner: Any = model.build(SPEC, given)
    learner.eval()
    assert isinstance(learner, HasSampleLosses) and isinstance(learner, ReadsText) and learner.reads == ("classes",)
    batch = tokens_of(learner, 7)
    batch = replace(batch, targets=tuple(replace(TARGETS[row], label=row % 6) for row in range(7)))
    first = learner.predict(batch)
    learner.reword(TEXTS)
    assert learner.predict(batch) == first
    expected = -np.log([row[index % 6] for index, row in enumerate(first)])
    np.testing.assert_allclose(learner.losses(batch).detach(), expected, rtol=1e-4)
    learner.reword(ROTATED)
    if control == "C3":
        assert learner.predict(batch) != first
    else:
        np.testing.assert_allclose(learner.predict(batch), np.roll(first, -1, axis=1), atol=1e-6)
    learner.train()
    loss = learner.loss(batch, torch.Generator().manual_seed(0))  # training after rewording pairs with the new texts
    assert bool(torch.isfinite(loss))
    learner.eval()
    learner.reword(TEXTS)
    assert learner.predict(batch) == first


@pytest.mark.parametrize("model", [m for m in MODELS if m.fused], ids=named)
def test_what_was_reworded_in_inference_mode_takes_part_in_a_gradient(model: Any, build: Any) -> None:
    learner = trained(build, model)
    with torch.inference_mode():
        learner.reword(ROTATED)
    batch = feature_batch(3)
    assert batch.visual is not None
    leaf = batch.visual.clone().requires_grad_()
    (slope,) = torch.autograd.grad(learner.losses(replace(batch, visual=leaf)).sum(), leaf)
    assert bool(slope.any())


def test_rewording_draws_nothing(build: Any) -> None:
    """Weights are drawn before they are read; that must not move what is drawn elsewhere."""
    learner = trained(build, catalog.clip_zero_shot)
    before = torch.random.get_rng_state()
    learner.reword(ROTATED)
    assert torch.equal(torch.random.get_rng_state(), before)

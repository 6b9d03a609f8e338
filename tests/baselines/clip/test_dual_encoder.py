"""The dual encoder: its loss, what it trains, and that open_clip's CustomTextCLIP computes the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.tokenizer import HFTokenizer

from baselines.clip.catalog import dual_encoder
from baselines.clip.dual_encoder import unicl_loss
from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.jobs.train import trained_state
from harness.protocols import Learner
from harness.sample import Batch

from .conftest import NAMES, SEVERAL, SPEC, TEMPLATES, feature_batch, rows_of, train_steps
from .open_clip_copy import to_open_clip

Build = Callable[..., Any]


@pytest.fixture(scope="module")
def make(prerequisite: Path, languages: dict[str, Path], context: Callable[..., Any]) -> Build:
    """Build a dual encoder on the default backbone and a tiny BERT."""

    def make(model: Any = dual_encoder, *, spec: Any = SPEC, language: str = "bert", **wishes: Any) -> Any:
        return model.build(
            spec, context(prerequisite=prerequisite, language=str(languages[language]), joint_width=24, **wishes)
        )

    return make


def tokens_of(learner: Any, count: int = 48) -> Batch:
    return feature_batch(count, tokens=learner.vision.tokens, width=learner.vision.width)


def test_what_is_composed() -> None:
    recipe = dict(dual_encoder.recipe(ModelOptions()))
    assert recipe["vision"]["name"] == "scenes-cnn" and recipe["language"]["name"] == "all-MiniLM-L6-v2"
    assert recipe["tune"] == "frozen" and "rank" not in recipe
    assert "rank" in dual_encoder.recipe(ModelOptions(tune="lora"))
    prerequisite = dual_encoder.prerequisite(ModelOptions())
    assert prerequisite is not None and prerequisite.model == "attribute-classifier"
    assert dual_encoder.prerequisite(ModelOptions(vision="resnet18")) is None
    with pytest.raises(UsageError, match="sofy"):
        dual_encoder.recipe(ModelOptions(tune="sofy"))


def test_the_loss_is_open_clips_where_all_classes_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    image, text = (F.normalize(torch.randn(7, 5, generator=generator), dim=1) for _ in range(2))
    own = unicl_loss(3.0 * image @ text.T, torch.arange(7))
    expected = open_clip.loss.ClipLoss()(image, text, torch.tensor(3.0))
    torch.testing.assert_close(own, expected)


def test_the_loss_by_hand_where_two_of_three_are_one_class() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 3.0]])
    e = math.exp
    rows = [e(2) + e(1) + 1, 1 + e(1) + e(1), e(1) + 1 + e(3)]
    columns = [e(2) + 1 + e(1), e(1) + e(1) + 1, 1 + e(1) + e(3)]
    to_text = (math.log(rows[0]) - 1.5 + math.log(rows[1]) - 0.5 + math.log(rows[2]) - 3) / 3
    to_image = (math.log(columns[0]) - 1.0 + math.log(columns[1]) - 1.0 + math.log(columns[2]) - 3) / 3
    loss = unicl_loss(logits, torch.tensor([4, 4, 0]))
    assert float(loss) == pytest.approx((to_text + to_image) / 2, abs=1e-6)


@pytest.mark.parametrize("tune", [None, "full", "lora", "adapter", "bitfit"])
def test_it_learns_and_answers_alike_in_any_batch(tune: str | None, make: Build) -> None:
    learner = make(tune=tune, rank=2, bottleneck=4)
    assert isinstance(learner, Learner) and learner.vision_frozen
    groups = learner.parameter_groups()
    assert not groups.vision and bool(groups.language) == (tune in ("full", "bitfit"))
    batch = tokens_of(learner, 16)
    losses = train_steps(learner, 8, batch=batch)
    assert losses[-1] < 0.9 * losses[0]
    batch = rows_of(batch, slice(0, 7))
    whole = np.array(learner.predict(batch))
    assert whole.shape == (7, len(NAMES)) and (whole > 0).all()
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-9)
    for size in (1, 3):
        parts = [learner.predict(rows_of(batch, slice(start, start + size))) for start in range(0, 7, size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)
    again = make(tune=tune, rank=2, bottleneck=4)
    assert trained_state(again).keys() == trained_state(learner).keys()
    again.load_state_dict(trained_state(learner), strict=False)
    np.testing.assert_allclose(again.eval().predict(batch), whole, atol=1e-6)


def test_what_is_trained_by_hand(make: Build) -> None:
    learner = make()
    names = {name: parameter.numel() for name, parameter in learner.parameter_groups().new}
    assert names == {"projection.weight": 128 * 24, "classes.inner.projection.weight": 32 * 24, "logit_scale": 1}
    learner = make(vision_tune="full")
    assert not learner.vision_frozen and learner.parameter_groups().vision


def test_the_seed_alone_decides_the_weights(make: Build) -> None:
    state = torch.random.get_rng_state()
    first = make()
    assert torch.equal(state, torch.random.get_rng_state())
    second, other = make(), make(seed=1)
    for learner in (first, second, other):
        train_steps(learner, 2, batch=tokens_of(learner, 8))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    assert not torch.equal(first.projection.weight, other.projection.weight)


def test_controls_change_the_language_alone(make: Build) -> None:
    models = (dual_encoder, dual_encoder.with_control("C2"), dual_encoder.with_control("C3"))
    own, random, permuted = (make(model, seed=1) for model in models)  # seed 0 drew the tiny BERT itself
    for other in (random, permuted):
        for name in ("projection.weight", "classes.inner.projection.weight", "logit_scale"):
            assert torch.equal(other.state_dict()[name], own.state_dict()[name])
        for name, tensor in own.vision.state_dict().items():
            assert torch.equal(other.vision.state_dict()[name], tensor)
    same = [torch.equal(a, b) for a, b in zip(own.text.parameters(), permuted.text.parameters(), strict=True)]
    assert all(same)
    texts = own.text.texts
    assert sorted(permuted.text.texts) == sorted(texts)
    assert all(a != b for a, b in zip(permuted.text.texts, texts, strict=True))
    pairs = zip(own.text.language.parameters(), random.text.language.parameters(), strict=True)
    assert not any(torch.equal(a, b) for a, b in pairs if a.ndim > 1)
    assert random.text.texts == texts


def test_several_classes_an_image_are_refused(make: Build) -> None:
    with pytest.raises(UsageError, match=r"dual-encoder cannot answer.*several classes"):
        make(spec=SEVERAL)


def test_no_class_of_the_batch_alone_is_a_loss(make: Build) -> None:
    """A batch of one class has nothing to tell apart: the loss says so and does not fail."""
    learner = make()
    batch = tokens_of(learner)
    assert batch.visual is not None and batch.targets is not None
    rows = [0, 4, 8]
    one = Batch(("a", "b", "c"), batch.visual[rows], (None,) * 3, tuple(batch.targets[row] for row in rows))
    loss = learner.loss(one, torch.Generator().manual_seed(0)).detach()
    assert math.log(3) - 0.1 < float(loss) < 10


def test_the_temperature_is_bounded(make: Build) -> None:
    learner = make()
    with torch.no_grad():
        learner.logit_scale.fill_(9.0)
    learner.loss(tokens_of(learner, 4), torch.Generator())
    assert float(learner.logit_scale.detach().exp()) == pytest.approx(100, rel=1e-5)


@pytest.mark.parametrize("tune", ["frozen", "full", "adapter"])
def test_open_clips_own_model_gives_the_same_logits(tune: str, make: Build, languages: dict[str, Path]) -> None:
    learner = make(tune=tune, bottleneck=4)
    train_steps(learner, 2, batch=tokens_of(learner, 16))
    model = to_open_clip(learner, languages["bert"])
    assert isinstance(model, open_clip.CustomTextCLIP)
    tokenizer = HFTokenizer(str(languages["bert"]), context_length=48)
    size = learner.vision.preprocessing.size
    assert model.visual.preprocess_cfg["size"] == size
    pixels = torch.randint(0, 256, (5, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        prompts = [text for group in SPEC.classes.texts for text in group]
        logits, _ = model.get_logits(pixels.float() / 255, tokenizer(prompts))
        batch = Batch(tuple("abcde"), learner.vision(pixels), (None,) * 5)
        own = learner.logit_scale.exp() * learner.embed(batch) @ learner.text.embed(prompts).T
        torch.testing.assert_close(own, logits, atol=1e-4, rtol=1e-5)
        classifier = open_clip.build_zero_shot_classifier(model, tokenizer, NAMES, TEMPLATES)
        features = model.encode_image(pixels.float() / 255, normalize=True)
        expected = (model.logit_scale.exp() * features @ classifier).softmax(dim=1)
        np.testing.assert_allclose(learner.predict(batch), expected, atol=1e-5)
    before = next(model.visual.parameters()).clone()
    train_steps(learner, 1, batch=tokens_of(learner, 8))
    assert torch.equal(next(model.visual.parameters()), before)  # a copy

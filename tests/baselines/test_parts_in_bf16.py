"""Compositions with `model.dtype`: what is frozen is kept in it, what is trained in fp32, and both work together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import catalog
from baselines.clip import catalog as clip_catalog
from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.measure.device import autocast
from tests.baselines.clip import conftest as clip_conftest
from tests.baselines.clip.conftest import folders as folders
from tests.baselines.clip.test_adaptations import TRAINED
from tests.baselines.conftest import SPEC, context_of, random_batch, train_steps

POLICIES = ("frozen", "lora", "adapter", "bitfit", "full")


def dtypes(parameters: Any) -> dict[torch.dtype, int]:
    found: dict[torch.dtype, int] = {}
    for parameter in parameters:
        found[parameter.dtype] = found.get(parameter.dtype, 0) + 1
    return found


def check_kept(learner: Any, dtype: torch.dtype) -> None:
    """Frozen matrices of language models and all of a frozen tower are in a dtype; all that is trained is in fp32."""
    for name, parameter in learner.named_parameters():
        frozen_tower = name.startswith("vision.") and learner.vision_frozen
        kept = not parameter.requires_grad and (parameter.ndim > 1 or frozen_tower)
        assert parameter.dtype == (dtype if kept else torch.float32), name


@pytest.mark.parametrize(
    ("policy", "language"),
    [*product(POLICIES, ("bert", "gpt2")), ("frozen", "llama"), ("lora", "llama")],
)
def test_a_captioner_trains_and_writes_with_frozen_weights_in_bf16(policy: str, language: str, build: Any) -> None:
    learner = build(catalog.cross_attention, language, tune=policy, dtype="bf16")
    whole = build(catalog.cross_attention, language, tune=policy)
    check_kept(learner, torch.bfloat16)
    check_kept(whole, torch.float32)
    assert (torch.bfloat16 in dtypes(learner.decoder.language.parameters())) == (policy != "full")
    batch = random_batch(learner, 8)
    with torch.no_grad(), autocast("cpu", "bf16"):
        expected = float(whole.eval().loss(batch, torch.Generator().manual_seed(0)))
        assert float(learner.eval().loss(batch, torch.Generator().manual_seed(0))) == pytest.approx(expected, rel=0.01)
    for precision in ("fp32", "bf16"):
        with autocast("cpu", precision):
            losses = train_steps(learner, 3)
        assert losses[-1] < losses[0]
    check_kept(learner, torch.bfloat16)
    assert all(isinstance(text, str) for text in learner.predict(random_batch(learner, 3, with_targets=False)))


@pytest.mark.parametrize("model", ["prefix", "gated_cross_attention", "q_former", "text_only", "cnn_lstm", "retrieval"])
def test_every_decoder_takes_it(model: str, build: Any) -> None:
    learner = build(getattr(catalog, model), dtype="bf16")
    check_kept(learner, torch.bfloat16)
    if learner.vision is not None:
        pixels = torch.randint(0, 256, (2, 3, *(learner.vision.preprocessing.size,) * 2), dtype=torch.uint8)
        tokens, plain = learner.vision(pixels), build(getattr(catalog, model)).vision(pixels)
        assert tokens.dtype == torch.float32
        torch.testing.assert_close(tokens, plain, atol=0.05 * float(plain.abs().max()), rtol=0)
        assert not torch.equal(tokens, plain)


def test_a_tower_in_another_dtype_has_another_key(build: Any) -> None:
    plain, half = (build(catalog.cnn_lstm, **wish).vision for wish in ({}, {"dtype": "bf16"}))
    assert plain.key != half.key
    assert build(catalog.cnn_lstm, dtype="bf16").vision.key == half.key
    tuned = build(catalog.cnn_lstm, dtype="bf16", vision_tune="full").vision
    assert tuned.key == plain.key
    assert set(dtypes(tuned.parameters())) == {torch.float32}


def test_fp16_weights_that_gradients_pass_want_a_scaled_loss(languages: dict[str, Path]) -> None:
    context = context_of(ModelOptions(language=str(languages["bert"]), settings={"dtype": "fp16"}))
    with pytest.raises(UsageError, match="gradients that pass fp16"):
        catalog.text_only.build(SPEC, replace(context, train=replace(context.train, precision="bf16")))
    learner: Any = catalog.text_only.build(SPEC, replace(context, train=replace(context.train, precision="fp16")))
    check_kept(learner, torch.float16)


@pytest.mark.parametrize("kind", clip_conftest.KINDS)
def test_clip_answers_in_bf16_much_as_in_fp32(kind: str, folders: Callable[[str], Path], tmp_path: Path) -> None:
    whole, half = (
        _clip(clip_catalog.clip_zero_shot, folders(kind), tmp_path, dtype=dtype) for dtype in ("fp32", "bf16")
    )
    assert set(dtypes(half.vision.parameters())) == {torch.bfloat16}
    one, other = (torch.tensor(learner.predict(clip_conftest.image_batch(learner, 8))) for learner in (whole, half))
    assert (one - other).abs().mean() < 0.05
    assert not torch.equal(one, other)


@pytest.mark.parametrize("model", TRAINED, ids=lambda model: str(model.name))
def test_adaptations_of_clip_train_with_towers_in_bf16(
    model: Any, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = {"dtype": "bf16"} if "dtype" in model.settings else {}
    for kind in ("clip", "hf"):
        learner = _clip(model, folders(kind), tmp_path, context_vectors=4, shots=4, **settings)
        groups = learner.parameter_groups()
        trained = [p for group in (groups.language, groups.vision, groups.new) for _, p in group]
        assert trained and {parameter.dtype for parameter in trained} == {torch.float32}
        batch = clip_conftest.feature_batch(16) if learner.vision_frozen else None
        losses = clip_conftest.train_steps(learner, 12, batch=batch)
        assert losses[-1] < losses[0]


def _clip(model: Any, folder: Path, cache: Path, **settings: Any) -> Any:
    options = ModelOptions(settings={"clip": f"local-dir:{folder}", **settings})
    return model.build(clip_conftest.SPEC, replace(context_of(options), cache=cache)).eval()

"""C1 is as large as the fused model, C2 differs from it in language weights alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from baselines import catalog
from baselines.language.scratch import ScratchSize
from baselines.learners.matched_capacity import match_size
from baselines.settings import Settings
from baselines.tuning.parameter_groups import count_trainable
from harness.errors import UsageError

from .conftest import train_steps
from .test_catalog_contract import FUSED, named


@pytest.mark.parametrize("model", FUSED, ids=named)
def test_capacity_is_matched(model: Any, build: Any) -> None:
    wanted = count_trainable(build(model))
    control = build(model.with_control("C1"))
    assert abs(count_trainable(control) - wanted) <= 0.02 * wanted
    assert not control.parameter_groups().language
    assert train_steps(control, 4)[-1] > 0


@pytest.mark.parametrize("model", FUSED, ids=named)
def test_only_language_weights_are_drawn_anew(model: Any, build: Any) -> None:
    fused, control = build(model), build(model.with_control("C2"))
    pretrained = {id(parameter) for parameter in fused._pretrained}
    language = {name for name, parameter in fused.named_parameters() if id(parameter) in pretrained}
    others = dict(control.named_parameters())
    assert list(others) == [name for name, _ in fused.named_parameters()]
    differing = {name for name, p in fused.named_parameters() if not torch.equal(p, others[name])}
    assert differing <= language
    assert any("embeddings" in name for name in differing)
    assert {n for n, p in fused.named_parameters() if p.requires_grad} == {
        n for n, p in control.named_parameters() if p.requires_grad
    }


def test_a_model_smaller_than_any_decoder_is_refused() -> None:
    with pytest.raises(UsageError, match="smallest decoder"):
        match_size(10, Settings(), lambda size: size.width * (100 + size.ffn))


def test_size_is_found_for_any_linear_count() -> None:
    def count(size: ScratchSize) -> int:
        return 50 * size.width + size.layers * size.width * (8 * size.width + 2 * size.ffn)

    for wanted in (50_000, 1_000_000, 30_000_000):
        assert abs(count(match_size(wanted, Settings(), count)) - wanted) <= 0.02 * wanted


def test_recipes_of_controls_differ(languages: Any) -> None:
    from harness.cell import ModelOptions

    options = ModelOptions(language=str(languages["bert"]))
    model = catalog.cross_attention
    recipes = [m.recipe(options) for m in (model, model.with_control("C1"), model.with_control("C2"))]
    assert [recipe["control"] for recipe in recipes] == [None, "C1", "C2"]

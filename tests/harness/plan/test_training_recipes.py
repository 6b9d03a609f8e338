"""Modifiers that change how a model is trained: each is a setting of the run, for the models that bear it."""

from __future__ import annotations

import pytest

from harness.entry_points import entries_of
from harness.errors import UsageError
from harness.plan.config import build_config
from harness.plan.plugins import load_model
from harness.plan.training_recipes import TrainingRecipe, by_recipe


def divided(model: str) -> list[tuple[str, dict[str, object]]]:
    """The models of each part of a run, and what is set for it."""
    usual = build_config({"task": "image-classification", "model": "film"}, (), None, None, "image-classification")
    config = build_config({"task": "image-classification", "model": model}, (), None, None, "image-classification")
    parts = []
    for each in by_recipe(config):
        changed = {k: v for k, v in vars(each.train).items() if v != getattr(usual.train, k)}
        changed |= {"tune": each.options.tune} if each.options.tune else {}
        parts.append((each.request.model, changed))
    return parts


def test_a_run_is_divided_by_the_recipes_of_its_models() -> None:
    assert divided("film,gated+mixup,film+replay:0.25+soup,film[C0],concat+mixup[C0],film+int8") == [
        ("film,film[C0],film+int8", {}),
        ("gated,concat [C0]", {"mix": "mixup"}),
        ("film", {"replay": 0.25, "soup": 3}),
    ]
    assert divided("film+lora+int8") == [("film+int8", {"tune": "lora"})]
    assert divided("film") == [("film", {})]
    assert load_model("film+mixup+int8").name == "film"


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("film+mixup:cutout", r"'\+mixup:cutout': wanted one of mixup, cutmix"),
        ("film+replay:1", "wanted a number that is 0 or more and less than 1"),
        ("film+soup:x", r"wanted a number, as \+soup:"),
        ("film+mixup+cutmix", "set the same option"),
        ("film+lora:8", "wanted lora alone"),
        ("film+mixap", r"Unknown modifier '\+mixap'. Did you mean 'mixup'"),
    ],
)
def test_wrong_recipes_are_refused(model: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        divided(model)


def test_all_that_are_installed_take_what_they_set() -> None:
    modifiers = [entry.load() for (entry, *_) in entries_of("bench.modifiers").values()]
    own = [each for each in modifiers if isinstance(each, TrainingRecipe)]
    assert len(own) > 10
    for each in own:
        each.check("")

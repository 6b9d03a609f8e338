"""What a condition makes of images and texts: by key and not by order, exchanges without fixed points, joint parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.condition import Condition, Part
from harness.perturb.replaced_texts import EXCHANGES
from harness.perturbed_inputs import Rewriter, Words, generator_for, part_for, permutation, words_for
from harness.plugins import load_perturbations

EXCHANGE_TEXT = next(exchange for exchange in EXCHANGES if exchange.name == "wrong-text")


@dataclass(frozen=True)
class Shout:
    """Marks each text with a number of its own generator."""

    name: str = "shout"
    summary: str = "planted"
    family: str = "word"
    modality: str = "text"
    severities: tuple[int, ...] = (1,)
    version: int = 1
    keeps_meaning: bool = False

    def apply(self, text: str, severity: int, rng: np.random.Generator) -> str:
        return f"{text} {rng.integers(10**6)}" if text else text


@given(st.integers(2, 60), st.integers(1, 5), st.integers(0, 3))
def test_a_permutation_moves_everyone_and_depends_on_its_number_alone(count: int, number: int, seed: int) -> None:
    part = Part("wrong-image", number)
    given_ = permutation(part, seed, count)
    assert sorted(given_) == list(range(count)) and all(a != b for a, b in enumerate(given_))
    assert given_ == permutation(part, seed, count)


def test_generators_differ_by_name_severity_seed_and_key_only() -> None:
    keys = [("fog", 1, 0, "a"), ("fog", 1, 0, "b"), ("fog", 2, 0, "a"), ("fog", 1, 1, "a"), ("snow", 1, 0, "a")]
    drawn = [generator_for(Part(name, s), seed, key).integers(2**60) for name, s, seed, key in keys]
    assert len(set(drawn)) == len(drawn)
    assert drawn[0] == generator_for(Part("fog", 1), 0, "a").integers(2**60)


def test_a_text_is_rewritten_alike_whoever_stands_beside_it() -> None:
    part, rewriter = Part("shout", 1), Rewriter(0)
    all_ = words_for(part, Shout(), Words(("one", None, "two"), (("a", "b"),), {}, {}), ["x", "y", "z"], rewriter)
    alone = words_for(part, Shout(), Words(("two",), (("a", "b"),), {}, {}), ["z"], rewriter)
    assert all_.texts[2] == alone.texts[0] != "two" and all_.texts[1] is None
    assert all_.class_texts == alone.class_texts
    assert all_.changed == {"text": 2, "classes": 1} and all_.notes["texts_changed"] == 4


def test_texts_and_classes_are_exchanged_without_keeping_any() -> None:
    original = Words(("a", "b", "c"), (("1",), ("2",), ("3",)), {}, {})
    found = words_for(Part("wrong-text", 1), EXCHANGE_TEXT, original, ["x", "y", "z"], Rewriter(0))
    assert sorted(found.texts) == ["a", "b", "c"] and all(a != b for a, b in zip(found.texts, "abc", strict=True))
    assert found.changed == {"text": 3, "classes": 3}


def test_a_joint_condition_has_a_part_for_each_modality() -> None:
    known = load_perturbations()
    joint = Condition((Part("fog", 3), Part("typo-keyboard", 2)))
    assert part_for(joint, "image", known) == Part("fog", 3)
    assert part_for(joint, "text", known) == Part("typo-keyboard", 2)
    assert part_for(Condition((Part("joint-attack", 1),)), "text", known) == Part("joint-attack", 1)


def test_every_installed_perturbation_says_what_it_is() -> None:
    known = load_perturbations()
    assert len(known) == 57
    for name, perturbation in known.items():
        assert perturbation.name == name and perturbation.summary and perturbation.version >= 1
        assert set(perturbation.modality.split("+")) <= {"image", "text"}
        assert list(perturbation.severities) == sorted(perturbation.severities) and perturbation.severities[0] == 1


@pytest.mark.parametrize("value", ["harness.perturb.grids:GRIDS"])
def test_what_is_no_perturbation_is_named(install: object, value: str) -> None:
    from harness.errors import PluginError

    install("broken_pack", {"bench.perturbations": {"broken": value}}, "")  # type: ignore[operator]
    with pytest.raises(PluginError, match=r"The perturbation plugin 'broken'.*it has no"):
        load_perturbations()

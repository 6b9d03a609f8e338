"""What a condition makes of images and texts: by key and not by order, exchanges without fixed points, joint parts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.condition import Condition, Part
from harness.errors import PluginError
from harness.inputs.perturbed_inputs import ImageSource, Rewriter, Words, part_for, words_for
from harness.perturb.randomness import generator_for, permutation
from harness.perturb.text.replaced_texts import EXCHANGES
from harness.plan.plugins import load_all_perturbations, load_perturbations

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
def test_what_is_no_perturbation_is_named_and_hides_no_other(install: object, value: str) -> None:
    install("broken_pack", {"bench.perturbations": {"broken": value}}, "")  # type: ignore[operator]
    known, (error,) = load_all_perturbations()
    assert re.search(r"The perturbation plugin 'broken'.*it has no", str(error))
    assert len(known) == 57


@dataclass(frozen=True)
class Pictures:
    """Stands for canvases: images of two sizes, by row."""

    images: tuple[np.ndarray, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(Path(f"folder/{row}.png") for row in range(len(self.images)))

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        return tuple((image.shape[1], image.shape[0]) for image in self.images)

    def read(self, row: int) -> np.ndarray:
        return self.images[row]


@pytest.mark.parametrize("name", ["gaussian-noise", "defocus-blur", "fog", "jpeg"])
def test_corruptions_on_a_device_are_those_of_the_cpu_whatever_the_batch(name: str) -> None:
    random = np.random.default_rng(0)
    shapes = ((40, 48), (32, 32), (40, 48), (32, 32))
    pictures = Pictures(tuple(random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes))
    known = load_perturbations()
    on_cpu = ImageSource(pictures, Part(name, 3), known[name], 7)  # type: ignore[arg-type]
    on_device = replace(on_cpu, device="cpu:0")  # as torch names a device: the way a GPU's images take
    together = on_device.perturbed({row: pictures.read(row) for row in (2, 0, 1, 3)})
    assert list(together) == [2, 0, 1, 3]
    for row in range(4):
        assert np.array_equal(on_device.perturbed({row: pictures.read(row)})[row], together[row])
        assert together[row].shape == pictures.images[row].shape and together[row].dtype == np.uint8
        assert np.abs(together[row].astype(int) - on_cpu.read(row)).max() <= 1
    assert any(not np.array_equal(together[row], pictures.images[row]) for row in range(4))


@pytest.mark.parametrize(
    ("modality", "members", "wanted"),
    [
        ("image", "movement = None", "`apply` or `affine` \\(`movement` is called `affine` now\\)"),
        ("text", "def apply(self, text, severity, rng): return text", "`apply` and `keeps_meaning`"),
        ("sound", "pass", "modality 'sound'"),
    ],
)
def test_a_perturbation_of_no_kind_says_what_is_wanted(install: Any, modality: str, members: str, wanted: str) -> None:
    """Else the first image that it is asked about ends the job of every model."""
    source = f"""
class Odd:
    name, summary, family, modality, severities, version = "odd", "odd", "odd", "{modality}", (1,), 1
    {members}
odd = Odd()
"""
    install("odd_perturbations", {"bench.perturbations": {"odd": "odd_perturbations:odd"}}, source)
    known, broken = load_all_perturbations()
    assert "odd" not in known and "fog" in known
    with pytest.raises(PluginError, match=wanted):
        raise broken[0]

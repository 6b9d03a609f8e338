from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.perturb.perturbation import TextPerturbation
from harness.perturb.text.sentences import CASUAL, FORMAL, SENTENCES


def draw(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_names_and_protocol() -> None:
    assert [p.name for p in SENTENCES] == ["formal", "casual", "passive", "active", "back-translation"]
    for perturbation in SENTENCES:
        assert isinstance(perturbation, TextPerturbation)
        assert (perturbation.severities, perturbation.keeps_meaning, perturbation.family) == ((1,), True, "sentence")


@pytest.mark.parametrize(
    ("text", "formal"),
    [
        ("a photo of a holed striped triangle.", "A photograph of a holed striped triangle."),
        ("It's big and he isn't there", "It is large and he is not there."),
        ("It’s here", "It is here"),
        ("Find the biggest one.", "Please locate the largest one."),
        ("We find a star", "We find a star"),
        ("You can see two bikes next to a fridge.", "One can observe two bicycles adjacent to a refrigerator."),
        ("A lot of snow", "A lot of snow"),
        ("Lots of dogs", "Many dogs"),
        ("It is snow, isn't it?", "It is snow, isn't it?"),
        ("TV", "Television"),
        ("dombust", "dombust"),
        ("", ""),
    ],
)
def test_formal(text: str, formal: str) -> None:
    assert FORMAL.apply(text, 1, draw(0)) == formal


def test_casual_by_hand() -> None:
    said = {CASUAL.apply("There is a large photograph of two men.", 1, draw(seed)) for seed in range(200)}
    assert len(said) == 6 * 5
    assert "Well, there's a big photo of two guys, you know" in said
    asked = {CASUAL.apply("Where is the small one?", 1, draw(seed)) for seed in range(100)}
    assert len(asked) == 6 and "Hey, where's the little one?" in asked
    assert CASUAL.apply("TV star\n", 1, draw(1)).endswith("\n")
    assert CASUAL.apply("  ?!\n", 1, draw(1)) == "  ?!\n"


def test_contractions_are_read_both_ways() -> None:
    for text in ("There is a star", "They are not red", "It does not fly"):
        contracted = CASUAL.apply(text, 1, draw(0))
        assert "'" in contracted
        assert text.lower() in FORMAL.apply(contracted, 1, draw(0)).lower()


@settings(max_examples=150, deadline=None)
@given(st.text(), st.sampled_from(SENTENCES[:2]), st.integers(0, 2**32))
def test_wild_texts(text: str, perturbation: TextPerturbation, seed: int) -> None:
    state = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[union-attr]
    new = perturbation.apply(text, 1, draw(seed))
    assert isinstance(new, str)
    assert new == perturbation.apply(text, 1, draw(seed))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state  # type: ignore[union-attr]
    assert bool(new) == bool(text)
    assert new.count("\n") == text.count("\n")

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.perturb.perturbation import TextPerturbation
from harness.perturb.text.characters import CHARACTERS, keyboard_neighbours
from harness.perturb.text.rewriting import Rewriting
from harness.perturb.text.word_spans import find_words

BY_NAME = {perturbation.name: perturbation for perturbation in CHARACTERS}
CAPTIONS = (
    "A large red star is to the left of the blue heart.",
    "a photo of a holed striped triangle.",
    "The keeper says the biggest one came from the museum.",
    "Somebody left twenty different wooden chairs beside another empty kitchen table yesterday morning.",
)


def draw(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def edits(one: str, other: str) -> int:
    """Levenshtein distance, by the book: insertions, deletions and substitutions."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


def test_names_and_protocol() -> None:
    assert list(BY_NAME) == ["typo-keyboard", "typo-ocr", "char-insert", "char-delete", "char-replace", "char-swap"]
    assert all(isinstance(perturbation, TextPerturbation) for perturbation in CHARACTERS)
    assert all(perturbation.severities == (1, 2, 3, 4, 5) for perturbation in CHARACTERS)


@pytest.mark.parametrize("perturbation", CHARACTERS, ids=lambda p: p.name)
@pytest.mark.parametrize("text", CAPTIONS)
def test_the_stated_rate(perturbation: Rewriting, text: str) -> None:
    """10 s % of the words, each with 30 % of its letters: counted word by word, as word counts never change."""
    before = [text[start:end] for start, end in find_words(text)]
    for severity in perturbation.severities:
        after = perturbation.apply(text, severity, draw(severity)).split()
        pairs = [(a, b.strip(".")) for a, b in zip(before, after, strict=True)]
        damaged = [(a, b) for a, b in pairs if a != b]
        eligible = sum(len(word) >= 4 for word in before)
        assert len(damaged) == min(eligible, max(1, severity * len(before) // 10))
        for a, b in damaged:
            assert len(a) >= 4
            most = max(1, 3 * len(a) // 10) * (2 if perturbation.name == "char-swap" else 1)
            assert 1 <= edits(a, b) <= most


@pytest.mark.parametrize("perturbation", CHARACTERS, ids=lambda p: p.name)
def test_the_same_generator_gives_the_same_text(perturbation: Rewriting) -> None:
    texts = [perturbation.apply(CAPTIONS[0], 3, draw(seed)) for seed in range(20)]
    assert texts == [perturbation.apply(CAPTIONS[0], 3, draw(seed)) for seed in range(20)]
    assert len(set(texts)) > 10


def test_what_each_does_to_a_word() -> None:
    for seed in range(200):
        new = {name: p.apply("planes", 1, draw(seed)) for name, p in BY_NAME.items()}
        assert len(new["char-insert"]) == 7 and edits("planes", new["char-insert"]) == 1
        assert len(new["char-delete"]) == 5 and edits("planes", new["char-delete"]) == 1
        assert len(new["char-replace"]) == 6 and edits("planes", new["char-replace"]) == 1
        assert sorted(new["char-swap"]) == sorted("planes") and new["char-swap"] != "planes"
        (place,) = [i for i in range(6) if new["typo-keyboard"][i] != "planes"[i]]
        assert new["typo-keyboard"][place] in keyboard_neighbours("planes"[place])


def test_the_keyboard_by_hand() -> None:
    assert set(keyboard_neighbours("g")) == set("ftyhbv")
    assert set(keyboard_neighbours("p")) == set("ol")
    assert set(keyboard_neighbours("z")) == set("asx")
    assert keyboard_neighbours("é") == keyboard_neighbours("7") == keyboard_neighbours("") == ""
    for one in "qwertyuiopasdfghjklzxcvbnm":  # a neighbour is a neighbour both ways
        assert all(one in keyboard_neighbours(other) for other in keyboard_neighbours(one))


def test_capitals_stay_where_they_are() -> None:
    swapped = {BY_NAME["char-swap"].apply("Star", 1, draw(seed)) for seed in range(50)}
    assert swapped == {"Tsar", "Satr", "Stra"}
    assert all(BY_NAME["typo-keyboard"].apply("STAR", 1, draw(seed)).isupper() for seed in range(50))


def test_digits_are_never_damaged() -> None:
    text = "room 4711 holds 12345 dogs"
    for perturbation in CHARACTERS:
        for seed in range(30):
            new = perturbation.apply(text, 5, draw(seed))
            assert "4711" in new.split() and "12345" in new.split()


@pytest.mark.parametrize(
    ("text", "unchanged"),
    [
        ("", set(BY_NAME)),
        ("  \n", set(BY_NAME)),
        ("123 👍🏽 ?!", set(BY_NAME)),
        ("a", {"char-delete", "char-swap"}),
        ("aaaa", {"char-swap"}),
        ("Привет", {"typo-keyboard", "typo-ocr"}),
        ("e\u0301e\u0301e\u0301e\u0301", set(BY_NAME)),
    ],
)
def test_what_cannot_be_damaged_stays(text: str, unchanged: set[str]) -> None:
    for name, perturbation in BY_NAME.items():
        assert (perturbation.apply(text, 5, draw(0)) == text) == (name in unchanged), name


def test_short_words_only_where_there_is_nothing_else() -> None:
    for perturbation in CHARACTERS:
        assert perturbation.apply("it is so", 1, draw(1)) != "it is so"
        for seed in range(20):
            assert perturbation.apply("it is large", 5, draw(seed)).startswith("it is ")


@settings(max_examples=150, deadline=None)
@given(st.text(), st.sampled_from(CHARACTERS), st.integers(1, 5), st.integers(0, 2**32))
def test_wild_texts(text: str, perturbation: Rewriting, severity: int, seed: int) -> None:
    state = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[union-attr]
    new = perturbation.apply(text, severity, draw(seed))
    assert isinstance(new, str)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state  # type: ignore[union-attr]
    kept = Counter(c for c in text if not c.isalpha())
    assert not kept - Counter(new)  # line breaks, emoji, accents, joiners survive

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.perturb.perturbation import TextPerturbation
from harness.perturb.text import synonyms
from harness.perturb.text.word_spans import find_words
from harness.perturb.text.words import PUNCTUATION, WORD_DELETE, WORD_INSERT, WORD_SWAP, WORD_SYNONYM, WORDS

TEXT = "A large red star is to the left of the small blue circle on the grass."


@pytest.fixture(autouse=True)
def no_thesaurus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The list by hand is enough here, and the table of paraphrases takes seconds."""
    monkeypatch.setattr(synonyms, "load_thesaurus", lambda: {})
    yield


def draw(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def words(text: str) -> list[str]:
    return [text[start:end].lower() for start, end in find_words(text)]


def changes(one: list[str], other: list[str]) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def test_names_and_protocol() -> None:
    names = ["word-synonym", "word-insert", "word-delete", "word-swap", "punctuation"]
    assert [perturbation.name for perturbation in WORDS] == names
    assert all(isinstance(perturbation, TextPerturbation) and perturbation.keeps_meaning for perturbation in WORDS)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(5))
def test_the_stated_rate(severity: int, seed: int) -> None:
    """TEXT has 16 words: 1, 3, 4, 6 and 8 of them are changed."""
    count = (1, 3, 4, 6, 8)[severity - 1]
    before = words(TEXT)
    assert len(before) == 16
    known = sum(bool(synonyms.synonyms_of(word)) for word in before)
    synonym, insert, delete, swap, marks = (p.apply(TEXT, severity, draw(seed)) for p in WORDS)
    assert changes(before, words(synonym)) == min(count, known)
    assert len(words(insert)) == 16 + count and not Counter(before) - Counter(words(insert))
    assert len(words(delete)) == 16 - count and not Counter(words(delete)) - Counter(before)
    assert Counter(words(swap)) == Counter(before) and changes(before, words(swap)) == 2 * count
    assert words(marks) == before and sum(marks.count(mark) for mark in ".,!?;:") == 1 + count


def test_synonyms_by_hand() -> None:
    new = {WORD_SYNONYM.apply("An orange", 1, draw(seed)) for seed in range(20)}
    assert new == {"A tangerine"}
    assert {WORD_SYNONYM.apply("A Large", 1, draw(seed)) for seed in range(20)} == {"A Big"}
    assert {WORD_SYNONYM.apply("a RED.", 1, draw(seed)) for seed in range(20)} == {"a CRIMSON.", "a SCARLET."}
    assert WORD_SYNONYM.apply("dombust", 5, draw(0)) == "dombust"


def test_inserted_words_are_synonyms_or_fillers() -> None:
    assert {WORD_INSERT.apply("red", 1, draw(seed)) for seed in range(20)} == {"crimson red", "scarlet red"}
    assert WORD_INSERT.apply("Dombust", 1, draw(0)).split()[0] in (
        "Also",
        "Indeed",
        "Just",
        "Quite",
        "Really",
        "Simply",
    )


def test_deletion_by_hand() -> None:
    assert {WORD_DELETE.apply("Red star.", 1, draw(seed)) for seed in range(20)} == {"Star.", "Red."}
    assert WORD_DELETE.apply("star.", 5, draw(0)) == "star."
    assert len(words(WORD_DELETE.apply("one two", 5, draw(0)))) == 1


def test_swaps_by_hand() -> None:
    assert WORD_SWAP.apply("Red star, two\nmoons", 1, draw(5)).count("\n") == 1
    assert {WORD_SWAP.apply("Red star.", 1, draw(seed)) for seed in range(9)} == {"Star red."}
    assert WORD_SWAP.apply("the The THE", 5, draw(0)) == "the The THE"


def test_punctuation_by_hand() -> None:
    assert {PUNCTUATION.apply("star", 1, draw(seed)) for seed in range(80)} == {f"{mark} star" for mark in ".,!?;:"}


@pytest.mark.parametrize("perturbation", WORDS, ids=lambda p: p.name)
def test_the_same_generator_gives_the_same_text(perturbation: TextPerturbation) -> None:
    texts = [perturbation.apply(TEXT, 3, draw(seed)) for seed in range(20)]
    assert texts == [perturbation.apply(TEXT, 3, draw(seed)) for seed in range(20)]
    assert len(set(texts)) > 10 and TEXT not in texts


@settings(max_examples=150, deadline=None)
@given(st.text(), st.sampled_from(WORDS), st.integers(1, 5), st.integers(0, 2**32))
def test_wild_texts(text: str, perturbation: TextPerturbation, severity: int, seed: int) -> None:
    state = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[union-attr]
    new = perturbation.apply(text, severity, draw(seed))
    assert isinstance(new, str)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state  # type: ignore[union-attr]
    if not find_words(text):
        assert new == text
    between = Counter(c for c in text if not c.isalnum() and c.isprintable() and c not in " '’-\u200c\u200d")
    if perturbation.name in ("word-synonym", "word-insert", "punctuation"):
        assert not between - Counter(new)
    if perturbation.name == "word-swap":
        assert Counter(new.casefold()) == Counter(text.casefold())

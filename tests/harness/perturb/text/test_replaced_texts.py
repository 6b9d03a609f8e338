from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.perturb.perturbation import IMAGE, TEXT, Exchange, TextPerturbation
from harness.perturb.text.meaning_check import encoder_folder
from harness.perturb.text.replaced_texts import (
    EMPTY_TEXT,
    EXCHANGES,
    RANDOM_TEXT,
    SHUFFLED_TEXT,
    TEXT_CONTROLS,
    count_tokens,
)
from harness.perturb.text.word_spans import find_words


def draw(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in find_words(text)]


def test_names_and_protocols() -> None:
    assert [control.name for control in TEXT_CONTROLS] == ["empty-text", "shuffled-text", "random-text"]
    assert all(isinstance(control, TextPerturbation) and not control.keeps_meaning for control in TEXT_CONTROLS)
    assert [(e.name, e.exchanged, e.severities) for e in EXCHANGES] == [
        ("wrong-image", IMAGE, (1, 2, 3, 4, 5)), ("wrong-text", TEXT, (1, 2, 3, 4, 5)),
    ]  # fmt: skip
    assert all(isinstance(exchange, Exchange) and not isinstance(exchange, TextPerturbation) for exchange in EXCHANGES)


def test_empty() -> None:
    assert EMPTY_TEXT.apply("A red star.", 1, draw(0)) == "" == EMPTY_TEXT.apply("", 1, draw(0))


def test_shuffled_by_hand() -> None:
    assert {SHUFFLED_TEXT.apply("red star,\nsnow!", 1, draw(seed)) for seed in range(60)} == {
        "star red,\nsnow!", "snow star,\nred!", "red snow,\nstar!", "star snow,\nred!", "snow red,\nstar!",
    }  # fmt: skip
    assert SHUFFLED_TEXT.apply("the the", 1, draw(0)) == "the the"
    assert SHUFFLED_TEXT.apply("star", 1, draw(0)) == "star"


@pytest.mark.parametrize(
    "text", ["A large red star is to the left of the heart.", "red", "antlered trigon שלום", "a, b"]
)
def test_random_words_are_as_many_tokens(text: str) -> None:
    """Counted by transformers' own tokenizer too."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder_folder())
    for seed in range(10):
        new = RANDOM_TEXT.apply(text, 1, draw(seed))
        assert len(tokenizer.tokenize(new)) == len(tokenizer.tokenize(text)) == count_tokens(text)
        assert not {word.lower() for word in words(text)} & set(words(new))
        assert new == RANDOM_TEXT.apply(text, 1, draw(seed)) != RANDOM_TEXT.apply(text, 1, draw(seed + 99))


def test_long_texts_are_counted_whole() -> None:
    assert count_tokens("star " * 700) == 700


@settings(max_examples=100, deadline=None)
@given(st.text(), st.integers(0, 2**32))
def test_wild_texts(text: str, seed: int) -> None:
    shuffled = SHUFFLED_TEXT.apply(text, 1, draw(seed))
    assert Counter(shuffled) == Counter(text) and Counter(words(shuffled)) == Counter(words(text))
    assert (shuffled == text) == (len(set(words(text))) < 2)
    new = RANDOM_TEXT.apply(text, 1, draw(seed))
    assert count_tokens(new) == count_tokens(text)
    if not text:
        assert new == ""

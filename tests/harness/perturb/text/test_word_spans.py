from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.perturb.text.word_spans import (
    article_before,
    cased_like,
    find_words,
    plain_letters,
    rewrite_words,
    share_of_words,
)


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in find_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a well-known dog's bone, isn't it?", ["a", "well-known", "dog's", "bone", "isn't", "it"]),
        ("", []),
        ("... !", []),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),  # the accent is a character of its own
        ("שלום עולם", ["שלום", "עולם"]),
        ("कुत्ता दौड़ता", ["कुत्ता", "दौड़ता"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("dog 👨‍👩‍👧 cat\nbird", ["dog", "cat", "bird"]),
        ("l’été", ["l’été"]),
    ],
)
def test_words_in_any_script(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(st.characters(max_codepoint=127)))
def test_two_ways_of_finding_words_agree(text: str) -> None:
    assert words(text) == words(text + " ü")[:-1]


@settings(max_examples=200)
@given(st.text())
def test_what_stands_between_words_stays(text: str) -> None:
    spans = find_words(text)
    assert all(start < end for start, end in spans)
    assert rewrite_words(text, spans, lambda _, word: word) == text
    for span in spans:
        for place in plain_letters(text, span):
            following = text[place + 1 : place + 2]
            assert text[place].isalpha()
            assert not following or not unicodedata.category(following).startswith("M")


def test_share_is_rounded_down_but_at_least_one() -> None:
    assert [share_of_words(percent, 8) for percent in (10, 20, 30, 40, 50)] == [1, 1, 2, 3, 4]
    assert share_of_words(50, 1) == 1
    assert share_of_words(50, 0) == 0


def test_capitals_and_articles() -> None:
    assert [cased_like("disc", model) for model in ("circle", "Circle", "CIRCLE", "C")] == [
        "disc",
        "Disc",
        "DISC",
        "Disc",
    ]
    spoken = {
        "apple": "an",
        "uniform": "a",
        "hour": "an",
        "umbrella": "an",
        "one": "a",
        "Orange": "an",
        "dog": "a",
        "": "a",
    }
    assert {word: article_before(word) for word in spoken} == spoken

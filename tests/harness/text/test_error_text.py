"""The words of an exception are bounded, printable, and there even where the exception itself is broken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.text.error_text import LONGEST_MESSAGE, error_text, named_error, shortened, traceback_text


class Broken(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def test_an_exception_that_cannot_say_what_it_is_still_has_a_name() -> None:
    assert named_error(Broken()) == "Broken: (its message cannot be read: its __str__ raises ValueError)"


def test_a_message_of_20_mb_is_cut_and_says_by_how_much() -> None:
    text = error_text(ValueError("a" * 10_000_000 + "z" * 10_000_000))
    assert text == f"{'a' * 1600} … (19,998,000 characters left out) … {'z' * 400}"


def test_escapes_and_half_characters_are_spelt() -> None:
    assert error_text(ValueError("\x1b[2J\ud800 ok\n")) == "\\u001b[2J\\ud800 ok\n"


@given(st.text(st.characters()))
def test_any_text_can_be_written_and_short_plain_text_is_left_alone(text: str) -> None:
    found = shortened(text)
    found.encode("utf-8")
    if text.isascii() and text.isprintable() and len(text) <= LONGEST_MESSAGE:
        assert found == text


def test_a_traceback_keeps_both_ends() -> None:
    try:
        raise ValueError("x" * 1_000_000)
    except ValueError:
        text = traceback_text()
    assert text.startswith("Traceback (most recent call last)")
    assert "characters left out" in text
    assert len(text) < 110_000

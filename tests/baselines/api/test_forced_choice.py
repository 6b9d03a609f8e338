"""One of several options from probabilities: by hand, and against a second implementation by brute force."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.api.forced_choice import first_token_scores, likelihood_score, shares


def test_tokens_count_for_the_one_answer_that_begins_with_them() -> None:
    first = {" Yes": math.log(0.5), "yes": math.log(0.1), "No": math.log(0.3), "The": math.log(0.1)}
    assert first_token_scores(first, ("yes", "no")) == pytest.approx([math.log(0.6), math.log(0.3)])


def test_letters_in_any_dress_and_an_option_that_is_not_listed() -> None:
    first = {"(B": math.log(0.7), "A.": math.log(0.2)}
    scores = first_token_scores(first, ("A", "B", "C"))
    assert scores == pytest.approx([math.log(0.2), math.log(0.7), math.log(0.1)])


def test_nothing_is_told_where_tokens_begin_several_answers_or_none() -> None:
    assert (
        first_token_scores({"tra": math.log(0.9), "light": math.log(0.05)}, ("traffic light", "train", "light")) is None
    )
    assert first_token_scores({"The": math.log(0.9)}, ("yes", "no")) is None
    assert first_token_scores({}, ("yes", "no")) is None
    assert first_token_scores({"(": math.log(0.9)}, ("A", "B")) is None


@given(st.lists(st.floats(0.001, 1.0), min_size=2, max_size=8))
def test_the_most_probable_letter_is_the_answer(masses: list[float]) -> None:
    total = sum(masses) * 1.01
    letters = "ABCDEFGH"[: len(masses)]
    first = {letter: math.log(mass / total) for letter, mass in zip(letters, masses, strict=True)}
    scores = first_token_scores(first, tuple(letters))
    assert scores is not None
    assert shares(scores) == pytest.approx([mass / sum(masses) for mass in masses])


def test_likelihood_is_of_the_tokens_at_the_end_of_a_request() -> None:
    tokens = [("<s>", -9.0), ("Which", -3.0), ("?", -1.0), (" traffic", -0.5), (" li", -0.25), ("ght", -0.25)]
    assert likelihood_score(tokens, "traffic light", "sum") == -1.0
    assert likelihood_score(tokens, "traffic light", "mean") == pytest.approx(-1 / 3)
    assert likelihood_score(tokens, "train", "sum") is None and likelihood_score([], "train", "sum") is None

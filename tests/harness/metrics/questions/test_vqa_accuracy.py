"""VQA accuracy: cases by hand, and a second implementation that follows the challenge's description step by step."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.questions.vqa_accuracy import vqa_accuracy, vqa_normal_form


@pytest.mark.parametrize(
    ("said", "answers", "expected"),
    [
        ("yes", ["yes"] * 10, 1.0),
        ("Yes", ["yes"] * 10, 0.0),  # nothing is normalised where all agree
        ("Yes.", ["yes"] * 9 + ["no"], 1.0),
        ("red", ["red"] * 3 + ["blue"] * 7, (3 * 2 / 3 + 7) / 10),
        ("red", ["red"] * 2 + ["blue"] * 8, (2 * 1 / 3 + 8 * 2 / 3) / 10),
        ("red", ["red"] + ["blue"] * 9, 9 * (1 / 3) / 10),
        ("two", ["2"] * 4 + ["3"] * 6, 1.0),
        ("a cat", ["the cat"] * 5 + ["dog"] * 5, 1.0),
        ("dont", ["don't"] * 5 + ["do"] * 5, 1.0),
        ("green", ["red"] * 4 + ["blue"] * 6, 0.0),
        ("", ["red"] * 4 + ["blue"] * 6, 0.0),
        ("1,000", ["1000"] * 5 + ["many"] * 5, 1.0),
        ("x", [], 0.0),
    ],
)
def test_by_hand(said: str, answers: list[str], expected: float) -> None:
    assert vqa_accuracy(said, answers) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "normal"),
    [
        ("The Dog.", "dog"), ("none", "0"), ("a", ""), ("ten people", "10 people"), ("black/white", "black white"),
        ("black / white", "black white"), ("3.5", "3.5"), ("$2.50!", "$2.50"), ("Im", "im"), ("hes", "he's"),
        ("couldntve", "couldntve"), ("couldn'tve", "couldn't've"), ("somebody'd", "somebodyd"), ("its", "its"),
        ("t-shirt", "t shirt"), ("t-shirt, red", "t shirt red"), ("1,000-2", "10002"), ("ya'll", "ya'll"),
    ],
)  # fmt: skip
def test_normal_forms(answer: str, normal: str) -> None:
    assert vqa_normal_form(answer) == normal


def second(said: str, answers: list[str]) -> float:
    """Leave each person out, count who of the others agrees, as the paper states it."""
    forms = [re.sub(r"[\n\t]", " ", text).strip() for text in (said, *answers)]
    if len(set(forms[1:])) > 1:
        forms = [vqa_normal_form(text) for text in forms]
    own, people = forms[0], forms[1:]
    shares = [min(1, (people[:n] + people[n + 1 :]).count(own) / 3) for n in range(len(people))]
    return sum(shares) / len(shares)


@settings(max_examples=100, deadline=None)
@given(
    said=st.sampled_from(["yes", "Yes", "no", "two", "2", "a cat", "cat"]),
    answers=st.lists(st.sampled_from(["yes", "Yes", "no", "2", "two", "cat", "the cat."]), min_size=1, max_size=10),
)
def test_like_the_second_implementation(said: str, answers: list[str]) -> None:
    assert vqa_accuracy(said, answers) == pytest.approx(second(said, answers))
    assert vqa_normal_form(vqa_normal_form(said)) == vqa_normal_form(said)

"""What option a model has named: cases by hand, the known faults of other harnesses, and what must always hold."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.text.said_option import parse_option

YES_NO = ("yes", "no")
PETS = ("cat", "dog")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("Yes.", 0),  # lmms-eval's exact match calls it wrong
        ("yes", 0),
        ("NO", 1),
        ("**Yes**", 0),
        ("`no`", 1),
        ("No, there is no dog in the image.", 1),
        ("No. None can be seen.", 1),
        ("Yes, there is a dog.", 0),
        ("The answer is yes.", 0),
        ("Answer: no", 1),
        ("<answer>yes</answer>", 0),
        ("I do NOT know", None),  # evalscope finds "NO" in all of these
        ("I CANNOT tell.", None),
        ("It is not KNOWN.", None),
        ("Another image, please.", None),
        ("There is no doubt.", None),
        ("No doubt, yes!", None),
        ("Nope", None),
        ("yesterday", None),
        ("Yes and no.", None),  # evalscope: right either way
        ("yes or no", None),
        ("Yes, but no.", None),
        ("yes\nno", None),
        ("Yes, there is not a single one.", None),
        ("Maybe yes.", None),
        ("It could be yes", None),
        ("Not really.", None),
        ("", None),
        (" \n", None),
        ("I'm sorry, I can't help with that.", None),
        ("[LMMS_EVAL_REQUEST_FAILED: no connection]", None),  # lmms-eval and VLMEvalKit score such texts
        ("Failed to obtain answer via API.", None),
    ],
)
def test_yes_and_no(said: str, wanted: int | None) -> None:
    assert parse_option(said, YES_NO) == wanted


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("(B)", 1), ("B.", 1), ("b", 1), ("B) dog", 1), ("(A) cat", 0), ("Option B", 1), ("Answer: (B)", 1),
        ("The answer is B because of the ears.", None), ("The correct answer is B.", 1), (r"\boxed{B}", 1),
        ("B. cat", None), ("(A) cat (B) dog", None), ("(A) or (B)", None), ("C", None), ("(C)", None),
        ("A", 0), ("A dog.", 1), ("It is a dog.", 1), ("It's a “dog”", 1), ("It is not a dog.", None),
        ("It isn't a cat", None), ("dog or cat", None), ("a dog, not a cat", None), ("dog or wolf", None),
        ("either a dog", None), ("dogs", None), ("hotdog", None), ("dog-like", None), ("the dog's bone", None),
        ("The image shows a cat beside a dog. The answer is: dog", 1), ("I can't say that the answer is dog", None),
        ("Neither", None), ("cat\ncat", 0), ("DOG!", 1),
    ],
)  # fmt: skip
def test_letters_and_texts(said: str, wanted: int | None) -> None:
    assert parse_option(said, PETS) == wanted


@pytest.mark.parametrize(
    ("said", "options", "wanted"),
    [
        ("a traffic light", ("light", "traffic light"), 1),
        ("traffic_light", ("light", "traffic light"), 1),
        ("a traffic  light", ("light", "traffic_light"), 1),
        ("a hot dog and a dog", ("dog", "hot dog"), None),
        ("There are 2 dogs.", ("1", "2", "3"), 1),
        ("12", ("1", "2"), None),
        ("2.5", ("2", "5"), None),
        ("1/2", ("1", "2"), None),
        ("-2", ("1", "2"), None),
        ("B", ("B", "A"), 0),
        ("The answer is B.", ("A", "B"), 1),
        ("a dog", ("A", "B"), None),
        ("none of the above", ("cat", "none of the above"), 1),
        ("False, it is not red.", ("true", "false"), 1),
        ("It is not false.", ("true", "false"), None),
        ("no", ("No", "no"), None),
        ("3.5 m", ("3.5", "3"), 0),
        ("anything", (), None),
        ("anything", ("", " "), None),
    ],
)
def test_options_that_are_like_each_other(said: str, options: tuple[str, ...], wanted: int | None) -> None:
    assert parse_option(said, options) == wanted


def test_letters_can_be_left_out() -> None:
    assert parse_option("B", PETS) == 1
    assert parse_option("B", PETS, letters=False) is None
    assert parse_option("(B) dog", PETS, letters=False) == 1


def is_plain(word: str) -> bool:
    """Whether a word neither negates nor hedges what stands beside it."""
    return parse_option(f"{word} xyz", ("xyz",)) == 0


WORDS = st.text(string.ascii_lowercase, min_size=3, max_size=8).filter(is_plain)
OPTIONS = st.lists(WORDS, min_size=2, max_size=6, unique=True)


@given(OPTIONS, st.data())
def test_a_plain_answer_is_found_in_any_of_its_dresses(options: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(options) - 1))
    dress = data.draw(st.sampled_from(["{}", "{}.", "It is {}.", "**{}**", "Answer: {}", " {}\n", '"{}"', "({})"]))
    assert parse_option(dress.format(options[place]), options) == place
    assert parse_option(dress.format(options[place].upper()), options) == place
    assert parse_option(f"({string.ascii_uppercase[place]}) {options[place]}", options) == place


@given(OPTIONS, st.data())
def test_what_is_doubtful_is_never_an_option(options: list[str], data: st.DataObject) -> None:
    first, second = data.draw(st.permutations(options))[:2]
    doubt = data.draw(
        st.sampled_from(
            ["{} or {}", "{} and {}", "not {}", "maybe {}", "It isn't {}", "neither {} nor {}", "x{}", "{}y", "un-{}"]
        )
    )
    said = doubt.format(first, second)
    if said not in options:
        assert parse_option(said, options) is None


@given(st.text(max_size=60), OPTIONS)
def test_the_order_of_options_moves_no_text(said: str, options: list[str]) -> None:
    found = parse_option(said, options, letters=False)
    turned = parse_option(said, options[::-1], letters=False)
    assert (found is None) == (turned is None)
    assert found is None or turned == len(options) - 1 - found


@given(st.text(max_size=80), st.lists(st.text(max_size=12), max_size=5))
def test_any_text_gives_a_place_or_none(said: str, options: list[str]) -> None:
    found = parse_option(said, options)
    assert found is None or 0 <= found < len(options)

"""Numbers that are said in answer to a question."""

from __future__ import annotations

import pytest

from harness.text.said_number import parse_number


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("2", 2), ("Two.", 2), ("There are three stars.", 3), ("3 stars, three in all", 3), ("0", 0), ("zero", 0),
        ("None", 0), ("No", 0), ("twenty", 20), ("**4**", 4), ("1,000", None), ("2.5", None), ("2 or 3", None),
        ("at least two", None), ("about 4", None), ("not two", None), ("there isn't one", None), ("", None),
        ("many", None), ("a few", None), ("someone", None), ("3rd", None), ("none of them is red", None),
        ("12:30", None),
    ],
)  # fmt: skip
def test_what_is_said(said: str, number: int | None) -> None:
    assert parse_number(said) == number

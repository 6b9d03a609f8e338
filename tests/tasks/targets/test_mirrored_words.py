"""Left and right change places where they are sides, and stay where they are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.affine import Affine
from tasks.scenes.expressions import _EXTREMES, _TEMPLATES
from tasks.scenes.templates import RELATION_WORDS
from tasks.targets.mirrored_words import moved_words

FLIP = Affine((-1, 0, 1, 0, 1, 0), mirrored=True)


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("a circle is left of a square", "a circle is right of a square"),
        ("To the right of the star there is a drop.", "To the left of the star there is a drop."),
        ("Right of the crescent is a heart", "Left of the crescent is a heart"),
        ("The leftmost one", "The rightmost one"),
        ("LEFT and Right, leftward, rightwards", "RIGHT and Left, rightward, leftwards"),
        ("holding it in his right hand", "holding it in his left hand"),
        ("a right-hand turn, on the left-hand side", "a left-hand turn, on the right-hand side"),
        ("a dog looks to the right and a skeleton on the left inside of a fence",
         "a dog looks to the left and a skeleton on the right inside of a fence"),
        ("over his left shoulder, the one on the right in red", "over his right shoulder, the one on the left in red"),
    ],
)  # fmt: skip
def test_sides(text: str, mirrored: str) -> None:
    assert moved_words(text, FLIP) == mirrored
    assert moved_words(mirrored, FLIP) == text
    assert moved_words(text, Affine((1, 0, 0, 0, 1, 0))) == text


@pytest.mark.parametrize(
    "text",
    [
        "a wine bottle right next to it", "a boat right in the harbour", "stares right at the camera",
        "the umbrella is left open in the house", "skiers have left a trail", "Ski equipment , left alone on snow",
        "Someone has left a small circle on the grass.", "a bag was left behind", "a bright leftover, upright",
    ],
)  # fmt: skip
def test_other_meanings(text: str) -> None:
    assert moved_words(text, FLIP) == text


def test_all_that_scenes_says_of_sides() -> None:
    of, to = RELATION_WORDS["left-of"]
    for words in (*of, *to):
        turned = moved_words(f"A circle is {words} a square.", FLIP)
        assert turned != f"A circle is {words} a square." and "left" in turned + words and "right" in turned + words
    for templates in _TEMPLATES.values():
        for template in templates:
            said = {word: template.format(words=word) for word in _EXTREMES}
            assert moved_words(said["leftmost"], FLIP) == said["rightmost"]
            assert moved_words(said["highest"], FLIP) == said["highest"]


@given(st.text(alphabet="leftrighmosLR ,.", max_size=40))
def test_any_text_keeps_everything_else(text: str) -> None:
    turned = moved_words(text, FLIP)
    assert turned.lower().replace("right", "left") == text.lower().replace("right", "left")

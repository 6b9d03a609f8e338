"""The grammar can be inverted, its captions are true and its foils false."""

from __future__ import annotations

import re
from collections import Counter
from math import log
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.scenes import proposition_scores, propositions, true_propositions
from tasks.scenes.claims import of_forms
from tasks.scenes.class_texts import CLASS_LEXICONS, class_attributes, class_texts
from tasks.scenes.drawing import caption_image, draw_image
from tasks.scenes.factors import KINDS, PARTS, PATTERNS, SHAPES
from tasks.scenes.foils import foil_pairs
from tasks.scenes.grammar import Voice, paraphrase
from tasks.scenes.lexicons import SYNONYM, meaning_after_with, plural
from tasks.scenes.meaning import is_true
from tasks.scenes.parser import normalised, parse
from tasks.scenes.remarks import CUES
from tasks.scenes.splits import SPLITS
from tasks.scenes.templates import HELD_OUT_TEMPLATES, TRAINING_TEMPLATES
from tests.tasks.scenes.conftest import SMALL, Sampled, read

USUAL = [name for name, spec in SPLITS.items() if spec.plan != "groups"]


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(USUAL), st.integers(0, 10**6))
def test_captions_parse_back_and_are_true(split: str, index: int) -> None:
    sight = draw_image(SPLITS[split], index).sight
    for text, form in caption_image(SPLITS[split], index, sight):
        assert parse(text) == form
        assert is_true(form, sight.facts)
        for voice in (Voice(), Voice("synonym", "held-out")):
            assert parse(paraphrase(form, index, voice=voice)) == form


def test_every_caption_of_every_split(small_root: Path) -> None:
    for split in SPLITS:
        document = read(small_root, "captions", split)
        facts = {image["id"]: image["facts"] for image in document["images"]}
        for row in document["annotations"]:
            assert parse(row["caption"]) == row["logical_form"]
            assert is_true(row["logical_form"], facts[row["image_id"]])
            assert of_forms([row["logical_form"]]) <= true_propositions(facts[row["image_id"]]) | {
                ("count", "object", "", "0")
            }


def test_each_foil_is_false_and_differs_in_one_respect(small_root: Path) -> None:
    facts = {image["id"]: image["facts"] for image in read(small_root, "captions", "foils")["images"]}
    types = []
    for scene in read(small_root, "scenes", "foils")["images"]:
        for pair in scene["foils"]:
            types.append(pair["type"])
            assert parse(pair["caption"]) == pair["logical_form"]
            assert parse(pair["foil"]) == pair["foil_form"]
            assert is_true(pair["logical_form"], facts[scene["id"]])
            assert not is_true(pair["foil_form"], facts[scene["id"]])
            if pair["type"] in ("relation", "attribute"):  # the same words in another order
                words = [sorted(set(normalised(pair[key]).split()) - {"a", "an"}) for key in ("caption", "foil")]
                assert words[0] == words[1] or pair["type"] == "attribute"
    assert {kind: types.count(kind) for kind in set(types)} == dict.fromkeys(
        ("attribute", "relation", "count", "object"), SMALL
    )


def test_held_out_templates_never_occur_in_training(train_sample: list[Sampled]) -> None:
    frames = {re.sub(r"\{\w+\}", " ", template) for rows in HELD_OUT_TEMPLATES.values() for template in rows}
    pieces = {normalised(piece) for frame in frames for piece in frame.split("   ")}
    telling = {"someone has left", "we find", "carries", "here we find", "this scene contains", "look", "we count"}
    assert any(piece in text for piece in pieces for text in telling)
    for item in train_sample:
        for text, _ in item.captions:
            assert not any(f" {phrase} " in f" {normalised(text)} " for phrase in telling)
            assert not normalised(text).startswith("beneath") and " covers " not in text
    for signature, templates in TRAINING_TEMPLATES.items():
        assert not set(templates) & set(HELD_OUT_TEMPLATES[signature])


def test_synonyms_never_occur_in_training(train_sample: list[Sampled]) -> None:
    said = {word for item in train_sample for text, _ in item.captions for word in normalised(text).split()}
    held_out = {word for factor in SYNONYM.words.values() for words in factor.values() for word in words}
    assert not said & (held_out | {plural(word) for word in held_out})
    assert 100 <= len(said) <= 250


def test_no_kind_word_in_a_remark(small_root: Path) -> None:
    kind_words = {*SHAPES, *PATTERNS, *PARTS, *(plural(shape) for shape in SHAPES)}
    kind_words |= {
        word for factor in ("shape", "pattern", "part") for row in SYNONYM.words[factor].values() for word in row
    }
    kind_words |= {word for phrase in meaning_after_with() for word in phrase.split() if word not in ("a", "an")}
    cues = [cue for row in CUES.values() for cue in row]
    assert len(set(cues)) == len(cues)
    for split in SPLITS:
        for scene in read(small_root, "scenes", split)["images"]:
            for condition, text in (scene["remarks"] or {}).items():
                words = set(normalised(text).split())
                assert not words & kind_words, text
                assert bool(words & set(cues)) == (condition in ("honest", "misleading"))


def test_an_expression_picks_one_object_and_does_not_name_it(small_root: Path) -> None:
    for scene in read(small_root, "scenes", "refer")["images"]:
        expression = scene["expression"]
        words = set(normalised(expression["text"]).split())
        assert not words & {*SHAPES, *PATTERNS, *PARTS}
        assert expression["annotation_id"] in scene["objects"]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("red star", set()),
        ("a red star", {("object", "star"), ("attribute", "star", "colour", "red")}),
        (
            "a red star on the on the snow",
            {("object", "star"), ("attribute", "star", "colour", "red"), ("ground", "snow")},
        ),
        ("", set()),
        ("the of the of", set()),
        (
            "two red circles and a star to the left of the blue heart",
            {
                ("count", "circle", "red", "2"), ("object", "star"), ("object", "heart"),
                ("attribute", "heart", "colour", "blue"), ("relation", "left-of", "star", "heart"),
            },
        ),
    ],
)  # fmt: skip
def test_what_can_be_made_out_of_broken_captions(caption: str, expected: set[tuple[str, ...]]) -> None:
    asserted, grammatical = propositions(caption)
    assert set(asserted) == expected
    assert not grammatical


def test_proposition_scores_of_a_known_case() -> None:
    facts = {
        "objects": [
            {"shape": "star", "colour": "red", "pattern": "solid", "part": "haloed", "size": "large", "pose": "upright"}
        ],
        "relations": [],
        "ground": "snow",
        "ground_colour": "white",
        "sky": "clear",
    }
    references = [parse("A red star is on the snow."), parse("There is a large star.")]
    assert None not in references
    forms = [form for form in references if form is not None]
    # asserted: a star, red (true), dotted (false), on snow (true); the references say star, red, large, snow
    scores = proposition_scores("A red dotted star is on the snow.", facts, forms)
    assert scores == (4, 3, 4, 3, True)
    assert proposition_scores("There are no circles.", facts, forms)[:2] == (1, 1)
    assert proposition_scores("There are two stars.", facts, forms)[:2] == (1, 0)


def test_class_texts() -> None:
    for lexicon in CLASS_LEXICONS:
        texts = class_texts(lexicon)
        assert list(texts) == [kind.name for kind in KINDS]
        firsts = [row[0] for row in texts.values()]
        assert len(set(firsts)) == len(KINDS)
    assert all(class_texts("shuffled")[kind.name][0] != kind.name for kind in KINDS)
    words = {word for row in class_texts("synonym").values() for text in row for word in text.split()}
    assert not words & {*SHAPES, *PATTERNS, *PARTS}
    names, rows = class_attributes()
    assert all(len(row) == len(names) and sum(row) == 3 for row in rows.values())
    with pytest.raises(ValueError, match="no class lexicon"):
        class_texts("latin")


def test_the_text_alone_does_not_tell_foils() -> None:
    """A word counter trained on half of the pairs stays near even odds on the other half."""
    pairs = [pair for index in range(200) for pair in _foils(index)]
    half = len(pairs) // 2
    true, false = Counter[str](), Counter[str]()
    for pair in pairs[:half]:
        true.update(_features(pair["caption"]))
        false.update(_features(pair["foil"]))

    def score(text: str) -> float:
        return sum(log((true[feature] + 1) / (false[feature] + 1)) for feature in _features(text))

    wins = [score(pair["caption"]) > score(pair["foil"]) for pair in pairs[half:]]
    assert 0.4 < sum(wins) / len(wins) < 0.6


def _foils(index: int) -> list[dict[str, Any]]:
    return foil_pairs(draw_image(SPLITS["foils"], index).sight, Voice(), "test", index)


def _features(text: str) -> list[str]:
    words = normalised(text).split()
    return words + [f"{place} {word}" for place, word in enumerate(words)]

"""Paraphrases by the grammar mean exactly the same."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.perturb.perturbation import TextPerturbation
from tasks.scenes import expressions
from tasks.scenes.class_texts import class_texts
from tasks.scenes.counter_rng import Stream
from tasks.scenes.drawing import caption_image, draw_image
from tasks.scenes.factors import KINDS
from tasks.scenes.grammar import Voice, paraphrase
from tasks.scenes.paraphrases import lexicon_of, scenes_paraphrase
from tasks.scenes.parser import normalised, parse, read_description
from tasks.scenes.remarks import CUES, remarks_about
from tasks.scenes.splits import SPLITS

WORDS = ("a", "red", "holed", "striped", "star", "with", "horns", "and", "stripes.", "on", "the", "snow")


def again(text: str, seed: int = 0) -> str:
    return scenes_paraphrase.apply(text, 1, np.random.default_rng(seed))


def test_protocol() -> None:
    assert isinstance(scenes_paraphrase, TextPerturbation)
    assert (scenes_paraphrase.name, scenes_paraphrase.family) == ("scenes-paraphrase", "sentence")
    assert (scenes_paraphrase.severities, scenes_paraphrase.keeps_meaning) == ((1,), False)


@pytest.mark.parametrize("split", ["test", "foils"])
def test_captions_say_the_same_and_differ(split: str) -> None:
    pairs = []
    for index in range(40):
        for text, form in caption_image(SPLITS[split], index, draw_image(SPLITS[split], index).sight):
            for voice in (Voice(), Voice("synonym", "held-out")):
                said = text if voice == Voice() else paraphrase(form, index, voice=voice)
                pairs.append((said, again(said, index)))
                assert parse(pairs[-1][1]) == form
                assert lexicon_of(pairs[-1][1]) == lexicon_of(said)
    assert sum(normalised(one) != normalised(other) for one, other in pairs) > 0.97 * len(pairs)


def test_remarks_name_the_same_place() -> None:
    cues = [cue for row in CUES.values() for cue in row]
    for number, kind in enumerate(KINDS):
        for templates in ("training", "held-out"):
            said = remarks_about(kind, Stream("test", number), templates)
            for condition in ("honest", "misleading"):
                new = again(said[condition], number)
                assert new != said[condition]
                assert [cue for cue in cues if cue in new] == [cue for cue in cues if cue in said[condition]]
            assert again(said["absent"]) == "" and again(said["irrelevant"]) == said["irrelevant"]


def test_expressions_pick_by_the_same_words() -> None:
    templates = [template for row in expressions._TEMPLATES.values() for template in row]
    for words in ("small", "leftmost large red", "lowest"):
        for template in templates:
            said = {again(template.format(words=words), seed) for seed in range(60)}
            assert said == {other.format(words=words) for other in templates if other != template}


@pytest.mark.parametrize("lexicon", ["transparent", "shuffled", "synonym"])
def test_names_keep_their_description(lexicon: str) -> None:
    names = [name for row in class_texts(lexicon).values() for name in row]
    for prompt in ("{}", "a photo of a {}."):
        pairs = [(prompt.format(name), again(prompt.format(name), number)) for number, name in enumerate(names)]
        for one, other in pairs:
            inner = [re.sub(r"^a photo of an? (.*)\.$", r"\1", text) for text in (one, other)]
            assert read_description(inner[0]) == read_description(inner[1]) is not None
        assert sum(one != other for one, other in pairs) >= 0.95 * len(pairs)  # a "solid cross" has one name only


def test_names_by_hand() -> None:
    assert {again("holed striped triangle", seed) for seed in range(60)} == {
        "striped triangle with a hole", "holed triangle with stripes", "triangle with a hole and stripes",
    }  # fmt: skip
    assert {again("a photo of a antlered uniform disc.", seed) for seed in range(9)} == {
        "a photo of a uniform disc with antlers."
    }
    assert {again("A striped arrow, 👍", seed) for seed in range(9)} == {"An arrow with stripes, 👍"}
    assert again("a star with horns here") == "a horned star here"


def test_definitions_stay_with_their_kind() -> None:
    for row in class_texts("definition").values():
        for text in row:
            assert {again(text, seed) for seed in range(60)} == set(row) - {text}
    for lexicon in ("opaque", "random"):
        assert all(again(text) == text for row in class_texts(lexicon).values() for text in row)


def test_requests_and_sentences_of_others_stay() -> None:
    for text in ("", "A man is riding a horse.", "a photo of a large box.", "Find the.", "The one.", "two dogs\n"):
        assert again(text) == text
    assert again("The keeper says the biggest one came from the moon.").endswith("the moon.")


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map(" ".join)),
    st.integers(0, 2**32),
)
def test_wild_texts(text: str, seed: int) -> None:
    state = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[union-attr]
    new = again(text, seed)
    assert isinstance(new, str) and new == again(text, seed)
    assert parse(new) == parse(text)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state  # type: ignore[union-attr]
    assert bool(new) == bool(text)

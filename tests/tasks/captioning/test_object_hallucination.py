"""CHAIR: mentions by hand and by a second reader, the faults of the authors' code, and liars of known rate."""

from __future__ import annotations

import hashlib
import random
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.estimates import estimate
from tasks.captioning.object_hallucination import CHAIR_I, CHAIR_S, ObjectTruth, chair_i, object_statistics
from tasks.captioning.object_words import caption_words, coco_words, only, plural_of
from tasks.captioning.word_limits import shorter

LISTED = (files("tasks.captioning") / "coco_objects.toml").read_bytes()
CONTENT = tomllib.loads(LISTED.decode())
DIGESTS = {1: "6725078e961a5ee9"}


def test_a_list_that_changes_has_another_version() -> None:
    assert hashlib.sha256(LISTED).hexdigest()[:16] == DIGESTS.get(CONTENT["version"]), "raise the version, add a digest"


def test_each_phrase_names_one_category() -> None:
    listed = [phrase for phrases in CONTENT["objects"].values() for phrase in phrases]
    assert len(set(listed)) == len(listed)
    assert len(CONTENT["objects"]) == 80
    assert not set(listed) & set(CONTENT["nothing"]["phrases"])
    for category in CONTENT["objects"]:
        assert coco_words().mentions(f"there is a {category} here") == [category] or category == "orange", category


@pytest.mark.parametrize(
    ("caption", "mentions"),
    [
        ("a hot dog and two HOT-DOGS", ["hot dog", "hot dog"]),
        ("a teddy bear, a bear; teddy bears", ["teddy bear", "bear", "teddy bear"]),
        ("a baby chair beside a baby", ["chair", "person"]),
        ("a baby elephant and its mother elephant", ["elephant", "elephant"]),
        ("an adult giraffe", ["giraffe"]),
        ("a male tennis player with rackets", ["person", "tennis racket"]),
        ("geese, sheep, mice, knives, wolves", ["bird", "sheep", "mouse", "knife"]),
        ("glasses of wine on benches", ["wine glass", "bench"]),
        ("men's skis; the woman's scissors", ["person", "skis", "person", "scissors"]),
        ("a train station and a train", ["train"]),
        ("toilet paper on the toilet seat", ["toilet"]),
        ("an orange cat on an orange couch", ["cat", "couch"]),
        ("an orange and a banana, oranges", ["orange", "banana", "orange"]),
        ("a cat that is orange", ["cat"]),
        ("a license plate at the home plate of a ball park", []),
        ("a category of cats, a catalogue", ["cat"]),
        ("a cat, dog", ["cat", "dog"]),
        ("hot, dog", ["dog"]),
        ("", []),
    ],
)
def test_mentions_by_hand(caption: str, mentions: list[str]) -> None:
    assert coco_words().mentions(caption) == mentions


_PLAIN = {"cat", "dog", "hot dog", "teddy bear", "bear", "car", "toilet", "sink", "pizza", "bench", "knife", "clock"}
_SECOND = sorted(
    ((phrase, name) for name in _PLAIN for phrase in CONTENT["objects"][name]), key=lambda item: -len(item[0])
)


def second_reader(caption: str) -> list[str]:
    """One regular expression over the list, which takes the longest phrase at each place."""
    forms: list[tuple[str, str | None]] = []
    for phrase, name in [*_SECOND, *((phrase, None) for phrase in CONTENT["nothing"]["phrases"])]:
        words = phrase.replace("'s", "").split()
        head = next((n for n in range(1, len(words)) if words[n] in ("of", "in")), len(words)) - 1
        several = [*words[:head], plural_of(words[head], CONTENT["plurals"]), *words[head + 1 :]]
        forms += [(" ".join(words), name), (" ".join(several), name)]
    forms.sort(key=lambda item: (-len(item[0].split()), item[0]))
    pattern = re.compile("|".join(f"(?P<f{n}>\\b{re.escape(form)}\\b)" for n, (form, _) in enumerate(forms)))
    named = [forms[int(str(found.lastgroup)[1:])][1] for found in pattern.finditer(caption)]
    return [name for name in named if name is not None]


WORDS = ["a", "the", "hot", "dogs", "dog", "teddy", "bear", "bears", "car", "park", "cat", "food", "seat", "toilet",
         "paper", "kitchen", "sinks", "pizza", "box", "knives", "block", "clock", "tower", "red", "police"]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_a_second_reader_finds_the_same(caption: str) -> None:
    assert only(coco_words(), _PLAIN).mentions(caption) == second_reader(caption)


@given(st.text(max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    words = coco_words()
    assert set(words.mentions(text)) <= set(words.categories)
    assert words.mentions(text) == words.mentions(text.lower())
    assert all(word == word.strip() and word for word in caption_words(text))


def truth_of(instances: Mapping[str, set[str]]) -> ObjectTruth:
    return ObjectTruth(coco_words(), {image: frozenset(objects) for image, objects in instances.items()})


def test_the_references_count_as_truth_too_and_unknown_images_do_not_count() -> None:
    truth = truth_of({"1": {"dog"}, "2": set()})
    references = {"1": ["a cat"], "2": ["a field"], "3": ["a horse"]}
    said = {"1": "a dog, a cat, a bus", "2": "a bus", "3": "a bus, a zebra"}
    found = object_statistics(truth, references, said)
    values = {name: None if s is None else s.value for name, s in found.items()}
    assert values[CHAIR_I] == pytest.approx(2 / 4)
    assert values[CHAIR_S] == 1.0
    assert values["object-recall"] == 1.0
    assert values["CHAIRi-first-5-words"] == pytest.approx(1 / 3)
    assert values["caption-words"] == pytest.approx((6 + 2 + 4) / 3)


def test_captions_that_mention_nothing_are_counted_and_no_division_by_zero() -> None:
    truth, references = truth_of({"1": {"dog"}, "2": set()}), {"1": ["a dog"], "2": ["grass"]}
    found = object_statistics(truth, references, {"1": "green", "2": ""})
    assert found[CHAIR_I] is None and found["CHAIRi-first-10-words"] is None
    values = {name: s.value for name, s in found.items() if s is not None}
    assert values == {CHAIR_S: 0.0, "object-recall": 0.0, "no-object": 1.0, "caption-words": 0.5}
    nobody = object_statistics(truth_of({}), references, {"1": "a cat", "2": "a cat"})
    assert nobody[CHAIR_S] is None and nobody[CHAIR_I] is None


@pytest.mark.parametrize(
    ("limit", "mentions"),
    [(1, []), (2, []), (3, ["hot dog"]), (5, ["hot dog"]), (6, ["hot dog", "toilet"]), (99, ["hot dog", "toilet"])],
)
def test_mentions_of_the_first_words_are_never_cut_in_two(limit: int, mentions: list[str]) -> None:
    assert coco_words().mentions("a hot dog, by the toilet-seat", limit) == mentions


def lies(rate: float, images: int, source: random.Random) -> tuple[ObjectTruth, dict[str, list[str]], dict[str, str]]:
    """A captioner of which each mention is false with a known chance."""
    names = [name for name in coco_words().categories if name != "orange"]
    instances: dict[str, set[str]] = {}
    captions: dict[str, str] = {}
    for image in map(str, range(images)):
        there = source.sample(names, 4)
        instances[image] = set(there)
        others = [name for name in names if name not in there]
        said = [source.choice(others if source.random() < rate else there) for _ in range(source.randint(1, 5))]
        captions[image] = ", ".join(f"a {name}" for name in said)
    return truth_of(instances), {image: ["a scene"] for image in instances}, captions


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_a_liar_of_known_rate_is_measured_at_its_rate(rate: float) -> None:
    source, held = random.Random(7), 0
    for _ in range(60):
        found = object_statistics(*lies(rate, 150, source))
        e = estimate(found[CHAIR_I], 300)
        assert e is not None and e.low is not None and e.high is not None
        held += e.low <= rate <= e.high
    assert held >= 53  # of 60 intervals of 95 %; fewer come by chance once in 100 times


def test_what_is_longer_has_more_false_captions_and_is_alike_at_equal_length() -> None:
    truth, references, captions = lies(0.3, 400, random.Random(3))
    short = {image: text.partition(",")[0] for image, text in captions.items()}
    values = [object_statistics(truth, references, texts)[CHAIR_S] for texts in (captions, short)]
    assert values[0] is not None and values[1] is not None and values[0].value > values[1].value + 0.1
    both = [chair_i(truth, references, texts, shorter(captions, short)) for texts in (captions, short)]
    assert both[0] is not None and both[1] is not None and both[0].value == both[1].value


def statistics_by_hand(said: Any, there: Any) -> float:
    false = sum(name not in objects for names, objects in zip(said, there, strict=True) for name in names)
    return false / sum(map(len, said))


@given(st.integers(0, 10**6))
def test_resamples_are_scored_as_corpora(seed: int) -> None:
    source = random.Random(seed)
    truth, references, captions = lies(0.4, 6, source)
    statistics = object_statistics(truth, references, captions)[CHAIR_I]
    assert statistics is not None
    drawn = [source.randrange(6) for _ in range(6)]
    counts = np.bincount(drawn, minlength=6)[None]
    said = [coco_words().mentions(captions[str(image)]) for image in drawn]
    there = [truth.instances[str(image)] for image in drawn]
    assert statistics.resample(counts)[0] == pytest.approx(statistics_by_hand(said, there))

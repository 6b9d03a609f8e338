"""False claims on Scenes: by hand, by the logical forms, and liars of known rate."""

from __future__ import annotations

import random
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from harness.stats.estimates import estimate
from tasks.captioning.false_claims import CAPTIONS, CLAIM_KINDS, SHARE, claim_counts, claim_statistics, false_claims
from tasks.scenes import proposition_scores, propositions
from tasks.scenes.claims import of_forms
from tasks.scenes.drawing import caption_image, draw_image
from tasks.scenes.foils import FOIL_TYPES, foil_pairs
from tasks.scenes.grammar import Voice
from tasks.scenes.meaning import is_true
from tasks.scenes.splits import SPLITS

FACTS = {
    "objects": [
        {"shape": "star", "colour": "red", "pattern": "solid", "part": "plain", "size": "small"},
        {"shape": "circle", "colour": "blue", "pattern": "dotted", "part": "plain", "size": "large"},
    ],
    "relations": [["left-of", 0, 1]],
    "ground": "snow",
    "ground_colour": "white",
    "sky": "clear",
}


@pytest.mark.parametrize(
    ("caption", "kinds"),
    [
        ("a red star", {"object": (0, 1), "attribute": (0, 1)}),
        ("a blue star", {"object": (0, 1), "attribute": (1, 1)}),
        ("a red heart", {"object": (1, 1), "attribute": (1, 1)}),
        ("a red star to the left of a blue circle", {"object": (0, 2), "attribute": (0, 2), "relation": (0, 1)}),
        ("a blue circle to the left of a red star", {"object": (0, 2), "attribute": (0, 2), "relation": (1, 1)}),
        ("exactly two objects", {"count": (0, 1)}),
        ("exactly three objects", {"count": (1, 1)}),
        ("nothing of the kind", {}),
    ],
)
def test_claims_by_hand(caption: str, kinds: dict[str, tuple[int, int]]) -> None:
    counts = claim_counts(caption, FACTS)
    assert {kind: found for kind, found in counts.items() if found != (0, 0)} == kinds


@cache
def scenes() -> list[tuple[Any, list[dict[str, Any]], list[dict[str, Any]]]]:
    found = []
    for index in range(120):
        sight = draw_image(SPLITS["test"], index).sight
        found.append((sight.facts, caption_image(SPLITS["test"], index, sight), foil_pairs(sight, Voice(), "t", index)))
    return found


def test_true_captions_claim_nothing_false_and_foils_claim_one_thing_of_their_kind() -> None:
    seen = set()
    for facts, captions, pairs in scenes():
        for text, form in captions:
            assert false_claims(propositions(text)[0], facts) == []
            assert of_forms([form]) == propositions(text)[0]
        for pair in pairs:
            assert false_claims(propositions(pair["caption"])[0], facts) == []
            counts = claim_counts(pair["foil"], facts)
            kinds = {kind for kind, (false, _) in counts.items() if false}
            assert not is_true(pair["foil_form"], facts)
            wanted = {"object": {"object", "attribute"}}.get(pair["type"], {pair["type"]})
            # colours exchanged between like shapes are told by the relation alone, which the claims do not hold
            assert kinds <= wanted | ({"attribute"} if pair["type"] == "relation" else set())
            seen |= kinds
    assert seen >= {"object", "attribute", "count"}


def test_the_share_is_one_minus_the_precision_of_propositions() -> None:
    for facts, _, pairs in scenes():
        for text in (text for pair in pairs for text in (pair["caption"], pair["foil"])):
            other = proposition_scores(text, facts, [])
            false, all_of_them = (sum(side) for side in zip(*claim_counts(text, facts).values(), strict=True))
            assert (all_of_them, all_of_them - false) == (other.asserted, other.asserted_true)


def scored(captions: dict[str, str], facts: dict[str, Any]) -> dict[str, Any]:
    samples: Any = [
        SimpleNamespace(sample_id=image, target=SimpleNamespace(facts={"facts": facts[image]})) for image in captions
    ]
    return claim_statistics(samples, captions)


@pytest.mark.parametrize("rate", [0.1, 0.4])
@pytest.mark.parametrize("kind", ["object", "count"])
def test_a_liar_of_known_rate_is_measured_at_its_rate(rate: float, kind: str) -> None:
    source, held = random.Random(11), 0
    usable = [
        (facts, pair) for facts, _, pairs in scenes() for pair in pairs
        if pair["type"] == kind and claim_counts(pair["foil"], facts)[kind][0]
    ]  # fmt: skip
    assert len(usable) > 40
    for _ in range(40):
        facts, captions = {}, {}
        for image in map(str, range(80)):
            known, pair = source.choice(usable)
            facts[image] = known
            captions[image] = pair["foil"] if source.random() < rate else pair["caption"]
        found = scored(captions, facts)
        for name in (CAPTIONS, f"{SHARE}:{kind}"):
            e = estimate(found[name], 200)
            assert e is not None and e.low is not None and e.high is not None
            held += e.low <= rate <= e.high
    assert held >= 70  # of 80 intervals of 95 %


def test_silence_is_counted_and_divides_by_nothing() -> None:
    found = scored({"1": "mumble", "2": ""}, {"1": FACTS, "2": FACTS})
    assert found[SHARE] is None and all(found[f"{SHARE}:{kind}"] is None for kind in CLAIM_KINDS)
    assert (found["no-claim"].value, found[CAPTIONS].value, found["caption-words"].value) == (1.0, 0.0, 0.5)
    assert set(FOIL_TYPES) <= set(CLAIM_KINDS)

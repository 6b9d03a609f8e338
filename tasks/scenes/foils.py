"""False captions that differ from a true one in a single respect: attribute, relation, count or object.

Each is false by construction and checked against the facts. The true and the false member of a pair come
from the same distribution of sentences, so that the text alone does not tell which is which.
"""

from __future__ import annotations

from typing import Any, Final

from tasks.scenes.captions import Sight
from tasks.scenes.counter_rng import Stream, key_of
from tasks.scenes.factors import BASE_KINDS
from tasks.scenes.grammar import Voice, say
from tasks.scenes.meaning import canonical, is_true

FOIL_TYPES: Final = ("attribute", "relation", "count", "object")
_COUNTS: Final = (2, 3, 4)
Form = dict[str, Any]


def foil_pairs(sight: Sight, voice: Voice, *key: int | str) -> list[dict[str, Any]]:
    """One pair of each type that the scene allows, as JSON: type, caption, foil and their logical forms."""
    makers = {"attribute": _attribute, "relation": _relation, "count": _count, "object": _object}
    pairs: list[dict[str, Any]] = []
    for kind in FOIL_TYPES:
        draw = Stream(*key, kind)
        for _ in range(20):
            made = makers[kind](sight, draw)
            if made is not None and is_true(made[0], sight.facts) and not is_true(made[1], sight.facts):
                pairs.append(_pair(kind, made, voice, key_of(*key, kind, "words")))
                break
    return pairs


def _pair(kind: str, forms: tuple[Form, Form], voice: Voice, words_key: int) -> dict[str, Any]:
    """Say both forms with the same template and, where they agree, the same words."""
    true, false = (canonical(form) for form in forms)
    return {
        "type": kind,
        "caption": say(true, Stream(words_key), voice),
        "foil": say(false, Stream(words_key), voice),
        "logical_form": true,
        "foil_form": false,
    }


def _two(sight: Sight, draw: Stream) -> tuple[str, dict[str, str], dict[str, str]] | None:
    if not sight.relations:
        return None
    name, one, other = draw.choice(sight.relations)
    objects = sight.facts["objects"]
    return name, objects[one], objects[other]


def _attribute(sight: Sight, draw: Stream) -> tuple[Form, Form] | None:
    """Exchange the colours, or the sizes, of two objects that are said together."""
    chosen = _two(sight, draw)
    if chosen is None:
        return None
    name, one, other = chosen
    factor = draw.choice(("colour", "colour", "size"))
    straight = [{factor: item[factor], "shape": item["shape"]} for item in (one, other)]
    exchanged = [
        {factor: other[factor], "shape": one["shape"]},
        {factor: one[factor], "shape": other["shape"]},
    ]
    form = {"plan": "relation", "relation": name}
    return {**form, "objects": straight}, {**form, "objects": exchanged}


def _relation(sight: Sight, draw: Stream) -> tuple[Form, Form] | None:
    chosen = _two(sight, draw)
    if chosen is None:
        return None
    name, *pair = chosen
    objects = [{"colour": item["colour"], "shape": item["shape"]} for item in pair]
    form = {"plan": "relation", "relation": name}
    return {**form, "objects": objects}, {**form, "objects": objects[::-1]}


def _count(sight: Sight, draw: Stream) -> tuple[Form, Form] | None:
    number = len(sight.facts["objects"])
    wrong = draw.choice([other for other in _COUNTS if other != number])
    form: Form = {"plan": "count", "objects": [{}]}
    return {**form, "count": number}, {**form, "count": wrong}


def _object(sight: Sight, draw: Stream) -> tuple[Form, Form] | None:
    """Put another shape in the place of one, drawn as the shapes of the scenes are."""
    item = draw.choice(sight.facts["objects"])
    wrong = draw.choice(BASE_KINDS).shape
    true, false = ({"colour": item["colour"], "shape": shape} for shape in (item["shape"], wrong))
    form: Form = {"plan": "object"}
    return {**form, "objects": [true]}, {**form, "objects": [false]}

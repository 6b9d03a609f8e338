"""Atomic claims: what a caption asserts, which of it is true, and how much of the references it says.

A proposition is a tuple of words:
    ("object", noun)                             there is one; the noun is a shape or "object"
    ("attribute", noun, factor, value)           one of them has this colour, pattern, part, size or pose
    ("relation", name, noun, noun)               a first one is left of, above or in front of a second one
    ("count", noun, colour or "", number)        there are exactly so many
    ("ground", g), ("ground_colour", g, colour), ("sky", s)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tasks.scenes.meaning import Description, Facts, LogicalForm
from tasks.scenes.parser import Reading, read_caption

Proposition = tuple[str, ...]
_ANY = "object"


class PropositionCounts(NamedTuple):
    """What corpus precision (asserted_true / asserted) and recall (recalled / reference) are summed from."""

    asserted: int
    asserted_true: int
    reference: int
    recalled: int
    grammatical: bool


def of_forms(forms: Iterable[LogicalForm]) -> frozenset[Proposition]:
    """The propositions that logical forms claim together."""
    return frozenset(proposition for form in forms for proposition in _of_form(form))


def _noun(description: Description) -> str:
    return description.get("shape", _ANY)


def _of_form(form: LogicalForm) -> list[Proposition]:
    found: list[Proposition] = []
    objects = form.get("objects", [])
    if "count" in form:
        description = objects[0]
        found.append(("count", _noun(description), description.get("colour", ""), str(form["count"])))
    else:
        for description in objects:
            noun = _noun(description)
            found.append(("object", noun))
            found += [("attribute", noun, key, value) for key, value in description.items() if key != "shape"]
    if "relation" in form:
        found.append(("relation", form["relation"], _noun(objects[0]), _noun(objects[1])))
    if "ground" in form:
        found.append(("ground", form["ground"]))
    if "ground_colour" in form:
        found.append(("ground_colour", form["ground"], form["ground_colour"]))
    if "sky" in form:
        found.append(("sky", form["sky"]))
    return found


def reading_propositions(caption: str) -> tuple[frozenset[Proposition], Reading]:
    """What a caption asserts, and how it was read (`Reading.grammatical` tells a sentence from fragments)."""
    reading = read_caption(caption)
    return of_forms(reading.forms), reading


def true_propositions(facts: Facts) -> frozenset[Proposition]:
    """Every proposition that is true of a scene, but for counts of what is not there."""
    objects: list[dict[str, str]] = facts["objects"]
    found: set[Proposition] = {
        ("ground", facts["ground"]),
        ("ground_colour", facts["ground"], facts["ground_colour"]),
        ("sky", facts["sky"]),
        ("count", _ANY, "", str(len(objects))),
    }
    for item in objects:
        for noun in (item["shape"], _ANY):
            found.add(("object", noun))
            found |= {("attribute", noun, key, value) for key, value in item.items() if key != "shape"}
            for colour in ("", item["colour"]):
                found.add(("count", noun, colour, str(_number(objects, noun, colour))))
    for name, one, other in facts["relations"]:
        for first in (objects[one]["shape"], _ANY):
            found |= {("relation", name, first, second) for second in (objects[other]["shape"], _ANY)}
    return frozenset(found)


def _number(objects: list[dict[str, str]], noun: str, colour: str) -> int:
    return sum(noun in (_ANY, item["shape"]) and colour in ("", item["colour"]) for item in objects)


def holds(proposition: Proposition, facts: Facts) -> bool:
    """Whether one proposition is true of a scene, counts of zero included."""
    if proposition[0] == "count":
        return str(_number(facts["objects"], proposition[1], proposition[2])) == proposition[3]
    return proposition in true_propositions(facts)


def count_propositions(caption: str, facts: Facts, reference_forms: Iterable[LogicalForm]) -> PropositionCounts:
    """Score one caption against the facts of its image and the logical forms of the reference captions.

    The reference is the union of what the references say, so leaving out what nobody said costs nothing.
    """
    asserted, reading = reading_propositions(caption)
    reference = of_forms(reference_forms)
    true = true_propositions(facts)
    correct = sum(1 for claim in asserted if claim in true or (claim[0] == "count" and holds(claim, facts)))
    return PropositionCounts(len(asserted), correct, len(reference), len(asserted & reference), reading.grammatical)

"""Reads a caption back: its logical form if it is a sentence of the grammar, else what can be made out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tasks.scenes.lexicons import (
    NUMBERS,
    meaning_after_with,
    meaning_of_plurals,
    meaning_of_surroundings,
    meaning_of_words,
)
from tasks.scenes.meaning import canonical
from tasks.scenes.templates import RELATION_WORDS, TEMPLATES, Signature


@dataclass(frozen=True, slots=True)
class Reading:
    """What a caption says: one logical form if `grammatical`, else one per fragment that could be read."""

    forms: tuple[dict[str, Any], ...]
    grammatical: bool


def normalised(caption: str) -> str:
    """Lower case, single spaces, no final punctuation."""
    return " ".join(re.sub(r"[^a-z0-9\- ]+", " ", caption.lower()).split())


def _any_of(words: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str:
    return "(?:" + "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word))) + ")"


@cache
def _phrases() -> dict[str, str]:
    """Regular expressions of the grammar's parts, by slot."""
    meanings = meaning_of_words()
    adjective = _any_of([word for word, (factor, _) in meanings.items() if factor != "shape"])
    noun = _any_of([word for word, (factor, _) in meanings.items() if factor == "shape"])
    tail = f"(?: with {_any_of(meaning_after_with())}(?: and {_any_of(meaning_after_with())})?)?"
    relations = [word for pair in RELATION_WORDS.values() for words in pair for word in words]
    colour, ground = (_any_of(meaning_of_surroundings(factor)) for factor in ("ground_colour", "ground"))
    singular = f"(?:{adjective} )*{noun}{tail}"
    return {
        "singular": singular,
        "an_object": f"(?:an?|the|one) {singular}",
        "A": f"an? {singular}",
        "B": f"an? {singular}",
        "the_A": f"the {singular}",
        "the_B": f"the {singular}",
        "rel": _any_of(relations),
        "inv": _any_of(relations),
        "n": f"(?:exactly )?{_any_of(NUMBERS)}",
        "N": f"(?:{adjective} )*(?:{_any_of(meaning_of_plurals())}|{noun}){tail}",
        "be": "(?:is|are)",
        "g": f"(?:{colour} )?{ground}",
        "s": f"an? {_any_of(meaning_of_surroundings('sky'))}",
    }


@cache
def _compiled() -> tuple[tuple[Signature, re.Pattern[str]], ...]:
    slots = {name: f"(?P<{name}>{phrase})" for name, phrase in _phrases().items()}
    result: list[tuple[Signature, re.Pattern[str]]] = []
    for rows in TEMPLATES.values():
        for signature, templates in rows.items():
            for template in templates:
                pattern = template.rstrip(".").format_map(slots)
                result.append((signature, re.compile(pattern, re.IGNORECASE)))
    return tuple(result)


def read_caption(caption: str) -> Reading:
    """Parse a caption; never fails: an unreadable one has no forms and is not grammatical."""
    text = normalised(caption)
    form = parse(text)
    return Reading((form,), True) if form is not None else Reading(tuple(_fragments(text)), False)


def parse(caption: str) -> dict[str, Any] | None:
    """The logical form of a sentence of the grammar, or None."""
    text = normalised(caption)
    for signature, pattern in _compiled():
        match = pattern.fullmatch(text)
        if match is not None:
            form = _form_of(signature, {name: part for name, part in match.groupdict().items() if part})
            if form is not None:
                return form
    return None


def _form_of(signature: Signature, parts: dict[str, str]) -> dict[str, Any] | None:
    form: dict[str, Any] = {"plan": signature[0]}
    if "n" in parts:
        form["count"] = NUMBERS.index(parts["n"].removeprefix("exactly "))
        form["objects"] = [read_description(parts["N"])]
        if parts["n"] == "one":  # without "exactly" it may be no more than an article
            return None
    else:
        objects = [parts.get(name) or parts.get(f"the_{name}") for name in "AB"]
        form["objects"] = [read_description(text) for text in objects if text]
    if "rel" in parts or "inv" in parts:
        relation, inverted = read_relation(parts.get("rel") or parts["inv"])
        if inverted != ("inv" in parts):
            form["objects"].reverse()
        form["relation"] = relation
    if "g" in parts:
        form |= _read_ground(parts["g"])
    if "s" in parts:
        form["sky"] = meaning_of_surroundings("sky")[parts["s"].split()[-1]]
    if not form["objects"]:
        del form["objects"]
    if any(description is None for description in form.get("objects", [])):
        return None
    return canonical(form)


def read_relation(words: str) -> tuple[str, bool]:
    """(canonical relation, whether the words say its inverse)."""
    for relation, (straight, inverse) in RELATION_WORDS.items():
        if words in straight or words in inverse:
            return relation, words in inverse
    raise ValueError(f"{words!r} is no relation of the grammar; expected one of {sorted(RELATION_WORDS)}")


def _read_ground(text: str) -> dict[str, str]:
    *colour, ground = text.split()
    form = {"ground": meaning_of_surroundings("ground")[ground]}
    if colour:
        form["ground_colour"] = meaning_of_surroundings("ground_colour")[colour[0]]
    return form


def read_description(text: str) -> dict[str, str] | None:
    """The description that a noun phrase gives; None if it contradicts itself ("a red blue star")."""
    head, _, tail = text.partition(" with ")
    meanings, plurals, behind = meaning_of_words(), meaning_of_plurals(), meaning_after_with()
    said: dict[str, str] = {}
    words = head.split()
    if words and words[0] in ("a", "an", "the", "one"):
        words = words[1:]
    found = [meanings[word] if word in meanings else ("shape", plurals[word]) for word in words]
    found += [behind[phrase] for phrase in tail.split(" and ") if phrase]
    for factor, value in found:
        if said.get(factor, value) != value:
            return None
        said[factor] = value
    return {factor: value for factor, value in said.items() if value}


@cache
def _fragment_patterns() -> tuple[tuple[Signature, re.Pattern[str]], ...]:
    p = _phrases()
    start, end = r"(?<![a-z\-])", r"(?![a-z\-])"
    one, number = p["an_object"], f"(?P<n>{p['n']}) (?P<N>{p['N']})"
    rows = (
        (("relation", True, False), f"{start}(?P<A>{one}) (?:is )?(?P<rel>{p['rel']}) (?P<B>{one}){end}"),
        (("count", True, False), f"{start}{number}{end}"),
        (("object", True, False), f"{start}(?P<A>{one}){end}"),
        (("object-ground", False, True), f"(?:on|over|the) (?:the )?(?P<g>{p['g']}){end}"),
        (("sky", False, False), f"(?P<s>{p['s']}) sky"),
    )
    return tuple((signature, re.compile(pattern)) for signature, pattern in rows)


def _fragments(text: str) -> list[dict[str, Any]]:
    """Every phrase of an ungrammatical caption that means something by itself, as a form of its own."""
    forms = [
        _form_of(signature, match.groupdict())
        for signature, pattern in _fragment_patterns()
        for match in pattern.finditer(text)
    ]
    return [form for form in forms if form is not None]

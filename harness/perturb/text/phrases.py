"""Noun phrases of plain sentences: whether a run of words is one, where it ends, and whether it is plural."""

from __future__ import annotations

from typing import Final

from harness.perturb.text.verbs import SHOWING, Verb, verb_forms


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_DETERMINERS: Final = _set_of(
    "a an the this that these those exactly one two three four five six some several many another no "
    "his her their its someone somebody people"
)
_PLURAL_DETERMINERS: Final = _set_of("these those two three four five six several many")
_SINGULAR_DETERMINERS: Final = _set_of("a an this that one another")
_PLURALS: Final = _set_of("people men women children sheep cattle geese")
_BARE: Final = _set_of("tennis baseball soccer frisbee food pizza water grass hay fruit luggage lunch dinner")
_GENERIC: Final = ("you", "one", "we")
PLACES: Final = _set_of(
    "in on at near next to by from under over above below behind beside besides before against across along alongside "
    "among amongst around atop into onto through down up off out outside inside past toward towards upon for while "
    "during between beneath here there together"
)
_NOUNS_IN_ING: Final = _set_of(
    "building buildings boxing ceiling ceilings clothing dining king living painting paintings parking ring rings "
    "string strings swimming thing things wedding wing wings"
)
DOUBTFUL: Final = _set_of(
    "and or but that who whose which where when while if as is are was were has have be been being not all "
    "his her their its him them himself herself themselves"
)
"""Where one of these stands, subject or object may be other than it seems."""


def split_object(after: list[str], verb: Verb) -> tuple[list[str], list[str]]:
    """Part the object from what follows it; no object where there may be none."""
    showing = verb.base in SHOWING
    end = next((i for i, word in enumerate(after) if word in PLACES), len(after))
    end -= showing and end > 0 and _is_doing(after[end - 1])  # "find a star / lying on ..."
    thing, rest = after[:end], after[end:]
    if not showing and ("with" in thing or any(_is_doing(word) for word in thing)):
        return [], []
    front = thing[: thing.index("with")] if "with" in thing else thing
    bare = bool(front) and front[0].lower() not in _DETERMINERS
    if bare and not (len(front) <= 3 and (is_plural(front) or front[-1] in _BARE)):
        return [], []
    doubt = DOUBTFUL - {"that", "his", "her", "their", "its"} if bare else DOUBTFUL - {"that"}
    return ([], []) if not front or doubt & set(front) or any(word.endswith("ly") for word in front) else (thing, rest)


def is_plain(phrase: list[str], *, with_places: bool = False, bare: bool = False) -> bool:
    """Whether a phrase is one noun phrase: a determiner, no clause after it, and no place unless that is allowed."""
    if not phrase or DOUBTFUL & set(phrase[1:]):
        return False
    first, rest = phrase[0].lower(), phrase[1:]
    if first in ("someone", "somebody"):
        return True
    if any(word in verb_forms() or _is_doing(word) for word in rest):
        return False
    placed = any(word in PLACES or word == "with" for word in rest)
    return (first in _DETERMINERS or (bare and first.isalpha())) and (with_places or not placed)


def is_plural(phrase: list[str]) -> bool:
    """Whether a noun phrase of one word or more takes a plural verb."""
    first = phrase[0].lower()
    if first in _PLURAL_DETERMINERS or first in _PLURALS:
        return True
    if first in _SINGULAR_DETERMINERS or (first == "exactly" and phrase[1:2] == ["one"]):
        return False
    end = next((i for i, word in enumerate(phrase) if word in PLACES or word in ("with", "of")), len(phrase))
    noun = phrase[max(end - 1, 0)].lower()
    return noun in _PLURALS or (noun.endswith("s") and not noun.endswith(("ss", "us", "is")))


def _is_doing(word: str) -> bool:
    return word.endswith("ing") and word not in _NOUNS_IN_ING


def is_generic(subject: list[str]) -> bool:
    """Whether a subject is nobody in particular, so that the passive leaves it out."""
    return " ".join(subject).lower() in _GENERIC

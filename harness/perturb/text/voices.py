"""Active to passive and back, for sentences as captions have them: one verb, a subject and an object.

Rules, not a parser: a sentence is rewritten only where they leave no doubt what is subject, verb and object, and stays
as it is everywhere else: of 1,575 COCO captions 4 % are put into the passive and 1 % into the active.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from harness.perturb.text.phrases import DOUBTFUL, PLACES, is_generic, is_plain, is_plural, split_object
from harness.perturb.text.rewriting import Rewriting
from harness.perturb.text.verbs import NEVER_BY, Verb, agent_words, verb_forms
from harness.perturb.text.word_spans import capitalised, uncapitalised

if TYPE_CHECKING:
    import numpy as np

_CLAUSE_AFTER: Final = re.compile(r"(they say(?: that)?|the keeper says(?: that)?|we hear that) (.+)", re.IGNORECASE)


def make_passive(text: str, severity: int, rng: np.random.Generator) -> str:
    """Return the passive, or the text as it is; nothing is random."""
    return _in_sentence(text, to_passive)


def make_active(text: str, severity: int, rng: np.random.Generator) -> str:
    """Return the active, or the text as it is; nothing is random."""
    return _in_sentence(text, to_active)


def to_passive(sentence: str) -> str | None:
    """Turn an active sentence without its full stop; None where it is not plainly one.

    >>> to_passive("A man is riding a horse on the beach")
    'A horse is being ridden on the beach by a man'
    """
    words = sentence.split()
    for place, word in enumerate(words):
        found = verb_forms().get(word)
        if found is not None and place > 0:
            return _passive_of(words[:place], found[0], word, words[place + 1 :])
    return None


def _passive_of(before: list[str], verb: Verb, form: str, after: list[str]) -> str | None:
    subject, auxiliary = before, ""
    if before[-1] in ("is", "are", "was", "were", "has", "have", "can"):
        subject, auxiliary = before[:-1], before[-1]
    thing, rest = split_object(after, verb)
    if not (is_generic(subject) or is_plain(subject)) or not thing or DOUBTFUL & set(rest):
        return None
    if any(word in verb_forms() for word in rest):
        return None
    be = _passive_auxiliary(verb, form, auxiliary, plural=is_plural(thing), singular_subject=not is_plural(subject))
    if be is None:
        return None
    agent = [agent_words(verb)[0], uncapitalised(" ".join(subject))]
    return capitalised(" ".join([*thing, *be, verb.participle, *rest, *([] if is_generic(subject) else agent)]))


def _passive_auxiliary(
    verb: Verb, form: str, auxiliary: str, *, plural: bool, singular_subject: bool
) -> list[str] | None:
    """Say which forms of to be stand between the new subject and the participle; None for forms that do not fit."""
    present, past = ("are", "were") if plural else ("is", "was")
    if form == verb.ing:
        return {"": ["being"], "is": [present, "being"], "are": [present, "being"], "was": [past, "being"],
                "were": [past, "being"]}.get(auxiliary)  # fmt: skip
    if auxiliary in ("has", "have"):
        return ["have" if plural else "has", "been"] if form == verb.participle else None
    if auxiliary == "can":
        return ["can", "be"] if form == verb.base else None
    if auxiliary:
        return None  # "is held ..." is passive as it stands
    if form == verb.third or (form == verb.base and (verb.base != verb.past or not singular_subject)):
        return [present]
    return [past] if form == verb.past else None


def to_active(sentence: str) -> str | None:
    """Turn a passive sentence without its full stop; None where it is not plainly one.

    >>> to_active("Two horses are being ridden by a man in a hat")
    'A man in a hat is riding two horses'
    """
    words = sentence.split()
    for place, word in enumerate(words):
        found = [verb for verb in verb_forms().get(word, ()) if verb.participle == word]
        if found and place > 0:
            return _active_of(words[:place], found[0], words[place + 1 :])
    return None


def _active_of(before: list[str], verb: Verb, after: list[str]) -> str | None:
    auxiliary: list[str] = []
    while before and before[-1] in ("is", "are", "was", "were", "being", "has", "have", "been", "can", "be"):
        auxiliary.insert(0, before.pop())
    place = next((i for i, word in enumerate(after) if word in agent_words(verb)), len(after))
    where, agent = after[:place], after[place + 1 :]
    if agent and verb.base in NEVER_BY:
        return None
    if auxiliary == ["can", "be"] and not agent:
        agent = ["you"]
    if not is_plain(before, with_places=bool(auxiliary)) or not is_plain(agent[:1], bare=True):
        return None
    if DOUBTFUL & {*where, *agent} or (where and where[0] not in PLACES):
        return None
    said = _active_verb(verb, " ".join(auxiliary), plural=is_plural(agent))
    if said is None:
        return None
    return capitalised(" ".join([*agent, said, uncapitalised(" ".join(before)), *where]))


def _active_verb(verb: Verb, auxiliary: str, *, plural: bool) -> str | None:
    now = verb.base if plural else verb.third
    be, was, has = ("are", "were", "have") if plural else ("is", "was", "has")
    return {
        "": verb.ing, "being": verb.ing, "is": now, "are": now, "was": verb.past, "were": verb.past,
        "is being": f"{be} {verb.ing}", "are being": f"{be} {verb.ing}", "was being": f"{was} {verb.ing}",
        "were being": f"{was} {verb.ing}", "has been": f"{has} {verb.participle}",
        "have been": f"{has} {verb.participle}", "can be": f"can {verb.base}",
    }.get(auxiliary)  # fmt: skip


def _in_sentence(text: str, turn: Callable[[str], str | None]) -> str:
    """Apply `turn` to a text that is one sentence, past what someone says of it; the full stop stays."""
    body = text.strip()
    sentence = body.rstrip(".").rstrip()
    if not sentence or re.search(r"[.!?,;:\"()\n]", sentence):
        return text
    reported = _CLAUSE_AFTER.fullmatch(sentence)
    turned = turn(reported[2] if reported else sentence)
    if turned is None:
        return text
    whole = f"{reported[1]} {uncapitalised(turned)}" if reported else turned
    whole = whole if sentence[:1].isupper() else uncapitalised(whole)
    return text.replace(sentence, whole, 1)


PASSIVE: Final = Rewriting("passive", "active sentences in the passive, where rules allow it", "sentence", make_passive)
ACTIVE: Final = Rewriting("active", "passive sentences in the active, where rules allow it", "sentence", make_active)

"""Which of some options a model has named in its own words: one of them, or none for sure.

Whoever counts a substring reads "no" out of "I do not know", and whoever takes all that is not "yes" for "no" makes
answers out of refusals. Here a doubtful answer names no option: several options, a negation, a hedge. The share of such
answers is shown beside the score and counts as wrong; it never changes sides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from string import ascii_lowercase

_MARKS = re.compile(r"[*`\"_]|<[^<>\s]{1,20}>")
_BOXED = re.compile(r"\\boxed\s*\{([^{}]*)\}")
_QUOTES = str.maketrans("“”„«»‘’´", '"""""\'\'\'')
_AROUND = " .,;:!?()[]{}"
_ONLY_FIRST = frozenset({"no", "not"})
"""Options that are words of negation: they are an answer at the beginning alone."""
_NEGATIVE = _ONLY_FIRST | {"none", "never", "nothing", "false"}
"""Options that a negation after them agrees with."""
_NEGATED = re.compile(
    r"(?<![\w'-])(?:no|not|none|never|neither|nor|cannot|nothing|without|unable|\w+n't"
    r"|(?:do|does|did|is|are|was|were|ca|could|would|wo)nt)(?![\w'-])"
)
_HEDGED = re.compile(
    r"(?<![\w'-])(?:maybe|perhaps|possibly|probably|presumably|might|may be|could be|either|unsure|uncertain|unclear"
    r"|unknown|ambiguous|depends|guess|hard to (?:say|tell|know)|difficult to (?:say|tell|know|determine))(?![\w'-])"
    r"|# or\b|\bor (?:an? |the )?#"
)
_DECLARED = re.compile(r"(?:answer|option|choice)(?:\s+is|\s*[:=])+\s*", re.IGNORECASE)
_LETTER = re.compile(r"(?:(?:option|choice)\s+)?[(\[{]?([a-z])[)\]}]?[\s.,;:!?]*")
_LETTER_FIRST = re.compile(r"(?:(?:option|choice)\s+)?(?:[(\[{]([a-z])[)\]}]\s*|([a-z])[).:]\s+)(?=\S)")
_LETTER_INSIDE = re.compile(r"[(\[{]([a-z])[)\]}]")


def parse_option(said: str, options: Sequence[str], *, letters: bool = True) -> int | None:
    """Find the place of the option that an answer names, by its text or its letter (A for the first); None if unsure.

    Texts count as whole words, whatever their case, and the longest wins: "traffic light" is no "light". A letter
    counts where it can be nothing else: alone, as "(B)", "B." or "B:" before the rest, or after "the answer is". None
    for an answer that names no option or several, or that negates or hedges. Where an option is itself a negation
    ("no"), it counts at the beginning alone: "No, there is none", not "there is no doubt". Without `letters` only texts
    are read; options that are single letters are read as such.

    >>> parse_option("No, there is no dog.", ("yes", "no")), parse_option("I do not know.", ("yes", "no"))
    (1, None)
    >>> parse_option("The answer is (B).", ("a cat", "a dog")), parse_option("A dog.", ("a cat", "a dog"))
    (1, 1)
    """
    texts = tuple(_plain(option) for option in options)
    answer = _plain(_declared(said))
    whole = {place for place, text in enumerate(texts) if text and text in (answer, answer.strip(_AROUND))}
    if whole or not answer:
        return _only(whole)
    by_letter = _letters(texts, letters)
    found, rest = _read_letters(answer, by_letter) if by_letter else (frozenset[int](), answer)
    words = tuple("" if text in by_letter else text for text in texts)
    named, left = _read_texts(rest, words)
    agrees = any(text in _NEGATIVE and _leads(text, rest) for text in words)
    if _HEDGED.search(left) or (_NEGATED.search(left) and not agrees):
        return None
    return _only(found | named)


def _only(places: frozenset[int] | set[int]) -> int | None:
    return next(iter(places)) if len(places) == 1 else None


def _plain(text: str) -> str:
    """Bring a text to the form in which it is compared: one case, plain quotes, no marks of emphasis, single blanks.

    Lines stay apart.
    """
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    text = _MARKS.sub(" ", _BOXED.sub(r" \1 ", text)).casefold()
    return "\n".join(line for part in text.splitlines() if (line := " ".join(part.split())))


def _declared(said: str) -> str:
    """Take what stands after the last "answer is" or "answer:", where its sentence neither negates nor hedges."""
    found = list(_DECLARED.finditer(said))
    if not found:
        return said
    before = re.split(r"[.!?\n]", said[: found[-1].start()])[-1].casefold().translate(_QUOTES)
    after = said[found[-1].end() :]
    return said if not after.strip() or _NEGATED.search(before) or _HEDGED.search(before) else after


def _letters(texts: Sequence[str], letters: bool) -> Mapping[str, frozenset[int]]:
    """Which options a letter means: those that are this letter, or else the one at its place in the alphabet."""
    alone = {text for text in texts if len(text) == 1 and text.isalpha()}
    if alone:
        return {letter: frozenset(place for place, text in enumerate(texts) if text == letter) for letter in alone}
    if not letters or len(texts) > len(ascii_lowercase):
        return {}
    return {letter: frozenset({place}) for place, letter in enumerate(ascii_lowercase[: len(texts)])}


def _read_letters(answer: str, by_letter: Mapping[str, frozenset[int]]) -> tuple[frozenset[int], str]:
    """The options that letters name, and the answer without a letter that leads it."""
    if match := _LETTER.fullmatch(answer):
        return by_letter.get(match[1], frozenset()), ""
    found: frozenset[int] = frozenset()
    if match := _LETTER_FIRST.match(answer):
        found, answer = by_letter.get(match[1] or match[2], found), answer[match.end() :]
    inside = (by_letter.get(match[1], frozenset()) for match in _LETTER_INSIDE.finditer(answer))
    return found.union(*inside), answer


def _read_texts(answer: str, texts: tuple[str, ...]) -> tuple[set[int], str]:
    """The options whose texts stand in an answer, and the answer with # for these texts."""
    found: set[int] = set()
    for text in sorted(filter(None, set(texts)), key=lambda text: (-len(text), text)):
        if text in _ONLY_FIRST and not _leads(text, answer):
            continue
        answer, count = _words(text).subn("#", answer)
        if count:
            found |= {place for place, other in enumerate(texts) if other == text}
    return found, answer


@lru_cache(maxsize=4096)
def _words(text: str) -> re.Pattern[str]:
    """How a text is found as whole words; of numbers never a part of another one."""
    words = r"\s+".join(re.escape(word) for word in text.split())
    return re.compile(rf"(?<![\w'-])(?<!\d[.,/:]){words}(?!['-]?\w)(?![.,/:]\d)")


def _leads(text: str, answer: str) -> bool:
    """Whether a text begins an answer and stands by itself there: "No." or "no, …", not "no doubt"."""
    match = _words(text).match(answer.lstrip(_AROUND)) if text else None
    return match is not None and re.match(r"\s*(?:[.,;:!?()-]|\n|$)", match.string[match.end() :]) is not None

"""Other words of exactly the same meaning, by Scenes' own grammar: the perturbation `scenes-paraphrase`.

A text is read back to what it says and said again in another way:
caption      logical form -> another template and other words of its lexicon
remark       the place that it names -> another of the sentences that tell of a place; irrelevant remarks each say
             something of their own and stay as they are
expression   the words that pick an object -> another request
definition   the kind that it defines -> another of its four definitions
noun phrase  "holed striped triangle" -> "striped triangle with a hole": the same words in front or behind, wherever
             it stands in a text (class names, prompts)
What is none of these stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from harness.perturb.perturbation import TEXT
from tasks.scenes.class_texts import class_texts
from tasks.scenes.counter_rng import Stream
from tasks.scenes.expressions import _TEMPLATES as REQUESTS  # a public name would change the digest of the data
from tasks.scenes.grammar import Voice, say
from tasks.scenes.lexicons import LEXICONS, Lexicon, article, meaning_after_with, meaning_of_words
from tasks.scenes.parser import normalised, parse, read_description
from tasks.scenes.remarks import _TELLING as TELLING
from tasks.scenes.remarks import CUES

if TYPE_CHECKING:
    import numpy as np

_DRAWS: Final = 20
"""A caption is said again so often until it differs."""
_MOVABLE: Final = ("pattern", "part")
"""What can be said in front of the noun or behind "with"."""


@dataclass(frozen=True)
class ScenesParaphrase:
    """Says the same in another way; exact by construction, so the check of meaning is not asked for."""

    name: str = "scenes-paraphrase"
    summary: str = "the same logical form in other words of Scenes' grammar"
    family: str = "sentence"
    modality: str = TEXT
    severities: tuple[int, ...] = (1,)
    version: int = 1
    keeps_meaning: bool = False

    def apply(self, text: str, severity: int, rng: np.random.Generator) -> str:
        """Return a paraphrase; the text as it is where it is none of Scenes' or cannot be said otherwise."""
        draw = Stream("scenes-paraphrase", int(rng.integers(2**63)))
        for way in (_other_caption, _other_remark, _other_expression, _other_definition, _other_noun_phrase):
            new = way(text, draw)
            if new is not None:
                return new
        return text


def _other_caption(text: str, draw: Stream) -> str | None:
    form = parse(text)
    if form is None:
        return None
    for _ in range(_DRAWS):
        voice = Voice(lexicon_of(text), draw.choice(("training", "held-out")))
        new = say(form, draw, voice)
        if normalised(new) != normalised(text) and parse(new) == form:
            return new
    return None


def lexicon_of(text: str) -> str:
    """Name the lexicon that a text is worded in: the synonyms as soon as one of them occurs."""
    return "synonym" if set(normalised(text).split()) & _synonyms() else "training"


@cache
def _synonyms() -> frozenset[str]:
    words = {name: {w for row in lx.words.values() for some in row.values() for w in some} | set(lx.generic_nouns)
             for name, lx in LEXICONS.items()}  # fmt: skip
    plurals = {f"{word}{end}" for word in words["synonym"] for end in ("s", "es")}
    return frozenset((words["synonym"] | plurals) - words["training"])


def _other_remark(text: str, draw: Stream) -> str | None:
    cues = tuple(cue for row in CUES.values() for cue in row)
    return _refilled(text, draw, TELLING, "cue", re.compile("|".join(cues)))


def _other_expression(text: str, draw: Stream) -> str | None:
    return _refilled(text, draw, REQUESTS, "words", re.compile(r"[a-z]+(?: [a-z]+)*"))


def _refilled(
    text: str, draw: Stream, templates: Mapping[str, tuple[str, ...]], slot: str, filler: re.Pattern[str]
) -> str | None:
    """Put what fills the slot of one template into another of them."""
    known = [template for row in templates.values() for template in row]
    for template in known:
        before, after = template.split(f"{{{slot}}}")
        match = re.fullmatch(f"{re.escape(before)}({filler.pattern}){re.escape(after)}", text.strip())
        if match is not None:
            return draw.choice([other for other in known if other != template]).format(**{slot: match[1]})
    return None


@cache
def _definitions() -> tuple[re.Pattern[str], dict[str, tuple[str, ...]]]:
    others = {
        text: tuple(other for other in row if other != text)
        for row in class_texts("definition").values()
        for text in row
    }
    longest_first = sorted(others, key=lambda text: (-len(text), text))
    return re.compile("|".join(map(re.escape, longest_first))), others


def _other_definition(text: str, draw: Stream) -> str | None:
    pattern, others = _definitions()
    match = pattern.search(text)
    if match is None:
        return None
    return text[: match.start()] + draw.choice(others[match[0]]) + text[match.end() :]


@dataclass(frozen=True, slots=True)
class _NounPhrase:
    """Where a noun phrase stands in a text, and what it says: words in front, the noun, and what it is with."""

    start: int
    end: int
    front: tuple[str, ...]
    noun: str
    behind: tuple[str, ...]


def _other_noun_phrase(text: str, draw: Stream) -> str | None:
    """Move patterns and parts of the first noun phrase that has some; its article follows."""
    for phrase in _noun_phrases(text):
        told = " ".join(text[phrase.start : phrase.end].split())
        ways = [way for way in _ways_to_say(phrase) if way != told]
        if ways:
            new = draw.choice(ways)
            indefinite = article(new.split()[0])
            before = re.sub(r"\b([Aa])n?( +)$", rf"\g<1>{indefinite[1:]}\g<2>", text[: phrase.start])
            return before + new + text[phrase.end :]
    return None


@cache
def _noun_phrase_pattern() -> re.Pattern[str]:
    def any_of(words: list[str]) -> str:
        return "(?:" + "|".join(map(re.escape, sorted(words, key=lambda word: (-len(word), word)))) + ")"

    meanings = meaning_of_words()
    adjective = any_of([word for word, (factor, _) in meanings.items() if factor != "shape"])
    noun = any_of([word for word, (factor, _) in meanings.items() if factor == "shape"])
    behind = any_of(list(meaning_after_with()))
    return re.compile(
        rf"(?<![\w-])(?P<front>(?:{adjective} +)*)(?P<noun>{noun})"
        rf"(?P<behind> +with +{behind}(?: +and +{behind})?)?(?![\w-])"
    )


def _noun_phrases(text: str) -> Iterator[_NounPhrase]:
    for match in _noun_phrase_pattern().finditer(text):
        behind = (match["behind"] or "").split(maxsplit=1)
        said = tuple(" ".join(part.split()) for part in re.split(r" +and +", behind[1])) if behind else ()
        yield _NounPhrase(match.start(), match.end(), tuple(match["front"].split()), match["noun"], said)


def _ways_to_say(phrase: _NounPhrase) -> list[str]:
    """Every place for each pattern and part; only what reads back as the same description is kept."""
    meaning = read_description(_in_words(phrase.front, phrase.noun, phrase.behind))
    places: list[list[Callable[[list[str], list[str]], None]]] = []
    for word in phrase.front:
        other = _said_behind(word)
        places.append([_put(0, word)] + ([_put(1, other)] if other else []))
    places += [[_put(1, words), _put(0, _said_in_front(words))] for words in phrase.behind]
    found: list[str] = []
    for choice in product(*places):
        front: list[str] = []
        behind: list[str] = []
        for put in choice:
            put(front, behind)
        way = _in_words(tuple(sorted(front, key=_rank)), phrase.noun, tuple(behind))
        if meaning is not None and read_description(way) == meaning and way not in found:
            found.append(way)
    return found


def _put(place: int, word: str) -> Callable[[list[str], list[str]], None]:
    return lambda front, behind: (front, behind)[place].append(word)


def _in_words(front: tuple[str, ...], noun: str, behind: tuple[str, ...]) -> str:
    return " ".join([*front, noun]) + (f" with {' and '.join(behind)}" if behind else "")


def _rank(word: str) -> int:
    """Adjectives in their English order; a class name says the part before the pattern, as sizes stand before both."""
    factor = meaning_of_words()[word][0]
    return ("size", "pose", "colour", "part", "pattern").index(factor)


def _said_behind(word: str) -> str | None:
    factor, value = meaning_of_words()[word]
    return _lexicon_with(word, factor, value).after_with.get(factor, {}).get(value) if factor in _MOVABLE else None


def _said_in_front(words: str) -> str:
    factor, value = meaning_after_with()[words]
    lexicon: Any = next(lx for lx in LEXICONS.values() if lx.after_with[factor].get(value) == words)
    word: str = lexicon.words[factor][value][0]
    return word


def _lexicon_with(word: str, factor: str, value: str) -> Lexicon:
    return next(lexicon for lexicon in LEXICONS.values() if word in lexicon.words[factor][value])


scenes_paraphrase: Final = ScenesParaphrase()
"""For the entry point group `bench.perturbations`."""

"""How questions about scenes are worded, in the words of training or in synonyms and templates held out from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tasks.scenes.counter_rng import Stream
from tasks.scenes.factors import SHAPES
from tasks.scenes.grammar import noun_phrase
from tasks.scenes.lexicons import LEXICONS, NUMBERS, Lexicon, article
from tasks.scenes.splits import SPLITS
from tasks.scenes.templates import RELATION_WORDS

_TEMPLATES: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "training": {
            "existence": ("Is there {A}?", "Can you see {A}?"),
            "attribute": ("Is the {N} {v}?",),
            "relation": ("Is the {N} {rel} the {M}?",),
            "count": ("{Be} there exactly {n} {N}?",),
            "colour": ("What colour is the {N}?",),
            "shape": ("What shape is the {v} object?",),
            "pattern": ("What pattern does the {v} object have?",),
            "ground": ("What is the ground made of?",),
            "sky": ("What is the sky like?",),
            "number": ("How many {N} are there?",),
            "ground colour": ("What colour is the {g}?",),
            "part": ("What does the {N} have?",),
        },
        "held-out": {
            "existence": ("Does the picture show {A}?", "Do you find {A} here?"),
            "attribute": ("Would you say that the {N} is {v}?",),
            "relation": ("Do you find the {N} {rel} the {M}?",),
            "count": ("Do you count {n} {N}, no more and no fewer?",),
            "colour": ("Which colour does the {N} have?",),
            "shape": ("Which shape does the {v} item have?",),
            "pattern": ("Which pattern is on the {v} item?",),
            "ground": ("Which ground do you find here?",),
            "sky": ("Which sky do you find here?",),
            "number": ("To how many {N} do you count?",),
            "ground colour": ("Which colour does the {g} have?",),
            "part": ("Which addition does the {N} carry?",),
        },
    }
)


@dataclass(frozen=True)
class Wording:
    """Words of a lexicon and templates of a set, drawn from one stream."""

    lexicon: Lexicon
    templates: Mapping[str, tuple[str, ...]]
    draw: Stream

    def existence(self, said: tuple[tuple[str, str], ...]) -> str:
        """Ask whether something of this description is there."""
        phrase = noun_phrase(dict(said), self.lexicon, self.draw)
        return self._say("existence", A=f"{article(phrase)} {phrase}")

    def attribute(self, shape: str, factor: str, value: str) -> str:
        """Ask whether the one object of a shape has this value."""
        return self._say("attribute", N=self._word("shape", shape), v=self._word(factor, value))

    def relation(self, name: str, shapes: tuple[str, str], *, inverse: bool) -> str:
        """Ask whether the first is left of, above or in front of the second; `inverse`: right of, below, behind it."""
        words = self.draw.choice(RELATION_WORDS[name][int(inverse)])
        one, other = (self._word("shape", shape) for shape in shapes)
        return self._say("relation", N=one, M=other, rel=words)

    def count(self, said: tuple[tuple[str, str], ...], number: int) -> str:
        """Ask whether there are exactly so many of a description."""
        phrase = noun_phrase(dict(said), self.lexicon, self.draw, many=number != 1)
        return self._say("count", N=phrase, n=NUMBERS[number], Be="Is" if number == 1 else "Are")

    def open_question(self, family: str, subject: str) -> str:
        """Ask an open question of a family about its subject: a shape, a colour, a ground, or nothing."""
        if family == "number":
            described = {} if not subject else {"shape" if subject in SHAPES else "colour": subject}
            return self._say(family, N=noun_phrase(described, self.lexicon, self.draw, many=True))
        slots = {"colour": ("N", "shape"), "part": ("N", "shape"), "ground colour": ("g", "ground")}
        slots |= dict.fromkeys(("shape", "pattern"), ("v", "colour"))
        if family not in slots:
            return self._say(family)
        slot, factor = slots[family]
        return self._say(family, **{slot: self._word(factor, subject)})

    def _word(self, factor: str, value: str) -> str:
        return self.draw.choice(self.lexicon.words[factor][value])

    def _say(self, family: str, **slots: str) -> str:
        return self.draw.choice(self.templates[family]).format(**slots)


def wording_of(split: str, draw: Stream) -> Wording:
    """How questions of a split are worded."""
    spec = SPLITS[split]
    return Wording(LEXICONS[spec.lexicon], _TEMPLATES[spec.templates], draw)

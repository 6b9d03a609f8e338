"""The transitive verbs that captions use, in all their forms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_VERBS: Final = """
ride rides rode ridden riding
hold holds held held holding
eat eats ate eaten eating
wear wears wore worn wearing
carry carries carried carried carrying
watch watches watched watched watching
throw throws threw thrown throwing
catch catches caught caught catching
cut cuts cut cut cutting
hit hits hit hit hitting
pull pulls pulled pulled pulling
push pushes pushed pushed pushing
feed feeds fed fed feeding
fly flies flew flown flying
drive drives drove driven driving
read reads read read reading
use uses used used using
play plays played played playing
cook cooks cooked cooked cooking
prepare prepares prepared prepared preparing
serve serves served served serving
drink drinks drank drunk drinking
wash washes washed washed washing
paint paints painted painted painting
show shows showed shown showing
depict depicts depicted depicted depicting
contain contains contained contained containing
cover covers covered covered covering
surround surrounds surrounded surrounded surrounding
fill fills filled filled filling
top tops topped topped topping
herd herds herded herded herding
block blocks blocked blocked blocking
decorate decorates decorated decorated decorating
accompany accompanies accompanied accompanied accompanying
send sends sent sent sending
make makes made made making
bring brings brought brought bringing
find finds found found finding
see sees saw seen seeing
count counts counted counted counting
leave leaves left left leaving
"""
SHOWING: Final = ("show", "depict", "contain", "cover", "carry", "find", "see", "count", "leave")
"""Verbs whose object takes a "with ..." that follows; with others it may be a tool."""
NEVER_BY: Final = ("leave", "find", "see", "hit")
"""Verbs after whose participle "by" is more often beside than through."""
_AGENT_AFTER: Final = {
    "contain": ("in", "by"), "show": ("in", "by"), "depict": ("in", "by"), "fill": ("with", "by"),
    "cover": ("by", "with", "in"), "decorate": ("by", "with"), "surround": ("by", "with"), "top": ("with", "by"),
}  # fmt: skip
"""The words before the subject in the passive, the first where it is made; "by" for all others."""


@dataclass(frozen=True)
class Verb:
    """The forms of a transitive verb."""

    base: str
    third: str
    past: str
    participle: str
    ing: str


def agent_words(verb: Verb) -> tuple[str, ...]:
    """The words that may stand before the agent in the passive, the first where it is made."""
    return _AGENT_AFTER.get(verb.base, ("by",))


@lru_cache(maxsize=1)
def verb_forms() -> dict[str, tuple[Verb, ...]]:
    """Form -> the verbs that have it."""
    found: dict[str, tuple[Verb, ...]] = {}
    for row in _VERBS.strip().split("\n"):
        verb = Verb(*row.split())
        for form in dict.fromkeys((verb.base, verb.third, verb.past, verb.participle, verb.ing)):
            found[form] = (*found.get(form, ()), verb)
    return found

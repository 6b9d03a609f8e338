"""Track R: an expression that picks one object of the image without naming what it is.

The answer is the referent: its box, or its shape. Image alone and expression alone leave it open; together
they settle it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tasks.scenes.counter_rng import Stream

_SAID: Final = ((), ("size",), ("colour",), ("size", "colour"))
_EXTREMES: Final = {"leftmost": (0, 1), "rightmost": (0, -1), "highest": (1, 1), "lowest": (1, -1)}
_MARGIN_PX: Final = 10
_TEMPLATES: Final = {
    "training": (
        "The {words} one.",
        "Find the {words} one.",
        "Point at the {words} one.",
        "Show me the {words} one.",
    ),
    "held-out": ("Where is the {words} one?", "Which is the {words} one?"),
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to pick one object: `extreme` (or "") among those that have the same values of `said`."""

    referent: int
    extreme: str
    said: tuple[str, ...]


def candidates(objects: list[dict[str, str]], centres: list[tuple[int, int]]) -> list[Candidate]:
    """Every expression that picks exactly one object; `centres` are (x, y) in pixels."""
    found: list[Candidate] = []
    for referent, item in enumerate(objects):
        for said in _SAID:
            rivals = [
                i
                for i, other in enumerate(objects)
                if i != referent and all(other[factor] == item[factor] for factor in said)
            ]
            if not rivals and said:
                found.append(Candidate(referent, "", said))
            for extreme, (axis, sign) in _EXTREMES.items():
                ahead = [(centres[i][axis] - centres[referent][axis]) * sign for i in rivals]
                if ahead and min(ahead) >= _MARGIN_PX:
                    found.append(Candidate(referent, extreme, said))
    return found


def refer(
    objects: list[dict[str, str]], centres: list[tuple[int, int]], draw: Stream, templates: str
) -> tuple[Candidate, str] | None:
    """A referent, every object equally likely, and an expression for it; None if none can be picked."""
    if len(objects) < 2:
        return None
    possible = candidates(objects, centres)
    for referent in draw.shuffled(range(len(objects))):
        mine = [candidate for candidate in possible if candidate.referent == referent]
        if mine:
            chosen = draw.choice(mine)
            return chosen, say_candidate(chosen, objects, draw, templates)
    return None


def say_candidate(candidate: Candidate, objects: list[dict[str, str]], draw: Stream, templates: str) -> str:
    """Word an expression; `templates` is training or held-out."""
    item = objects[candidate.referent]
    words = " ".join([candidate.extreme, *(item[factor] for factor in candidate.said)]).strip()
    return draw.choice(_TEMPLATES[templates]).format(words=words)


def expression_row(candidate: Candidate, text: str, objects: list[dict[str, str]]) -> dict[str, Any]:
    """The JSON of an expression, but for the referent's annotation id."""
    item = objects[candidate.referent]
    form = {factor: item[factor] for factor in candidate.said}
    if candidate.extreme:
        form["extreme"] = candidate.extreme
    return {"text": text, "form": form, "shape": item["shape"], "choices": len(objects)}

"""The sentences of the caption grammar, as data: every template of one row says the same thing.

Slots: {A} an object with its article, {B} the second one; {the_A}, {the_B} the same with "the"; {rel} the
relation of A to B, {inv} the relation of B to A; {n} a number, {N} a bare noun phrase that agrees with it,
{be} is or are; {g} a ground, with its colour if that is said; {s} a sky with its article, {sky} without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Signature = tuple[str, bool, bool]
"""(plan, whether an object is said, whether a ground is said)."""

_RELATION: Final = (
    "{A} is {rel} {the_B}.", "There is {A} {rel} {the_B}.", "{rel} {the_B} is {A}.",
    "{rel} {the_B} there is {A}.",
    "{A} appears {rel} {the_B}.", "{B} is {inv} {the_A}.", "There is {B} {inv} {the_A}.", "{inv} {the_A} is {B}.",
)  # fmt: skip
TRAINING_TEMPLATES: Final[Mapping[Signature, tuple[str, ...]]] = {
    ("object-ground", True, True): (
        "{A} stands on the {g}.", "{A} is on the {g}.", "There is {A} on the {g}.", "On the {g} stands {A}.",
        "On the {g} there is {A}.", "A picture of {A} on the {g}.", "{A} sits on the {g}.",
        "{A} rests on the {g}.", "{A} lies on the {g}.", "A drawing of {A} on the {g}.",
    ),
    ("object", True, False): (
        "There is {A}.", "A picture of {A}.", "The picture shows {A}.", "{A} is in the picture.",
        "You can see {A} here.",
        "An image with {A}.", "{A} is visible.", "A drawing of {A}.", "One can make out {A}.",
    ),
    ("relation", True, False): _RELATION,
    ("count", True, True): (
        "There {be} {n} {N} on the {g}.", "{n} {N} {be} on the {g}.", "On the {g} there {be} {n} {N}.",
        "On the {g} you can see {n} {N}.",
    ),
    ("count", True, False): (
        "There {be} {n} {N}.", "The picture shows {n} {N}.", "{n} {N} {be} in the picture.",
        "You can see {n} {N} here.",
        "An image with {n} {N}.", "{n} {N} {be} visible.", "Altogether there {be} {n} {N}.",
    ),
    ("sky", True, True): (
        "{A} stands on the {g} under {s} sky.", "Under {s} sky {A} stands on the {g}.",
        "On the {g} under {s} sky there is {A}.", "There is {A} on the {g} under {s} sky.",
    ),
    ("sky", True, False): (
        "{A} stands under {s} sky.", "Under {s} sky there is {A}.", "There is {A} under {s} sky.",
        "{s} sky hangs over {A}.", "A picture of {A} under {s} sky.", "{A} with {s} sky behind it.",
        "{A} in the open under {s} sky.",
    ),
    ("sky", False, True): (
        "{s} sky hangs over the {g}.", "There is {s} sky over the {g}.", "The {g} lies under {s} sky.",
        "A picture of the {g} under {s} sky.",
    ),
}  # fmt: skip
HELD_OUT_TEMPLATES: Final[Mapping[Signature, tuple[str, ...]]] = {
    ("object-ground", True, True): (
        "Someone has left {A} on the {g}.",
        "We find {A} resting on the {g}.",
        "The {g} carries {A}.",
    ),
    ("object", True, False): ("Here we find {A}.", "This scene contains {A}.", "Look at {A}."),
    ("relation", True, False): ("Look {rel} {the_B} to find {A}.", "We find {B} {inv} {the_A}."),
    ("count", True, True): ("We count {n} {N} on the {g}.", "The {g} carries {n} {N}."),
    ("count", True, False): ("We count {n} {N}.", "This scene contains {n} {N}."),
    ("sky", True, True): ("Beneath {s} sky we find {A} on the {g}.", "{s} sky covers the {g} and {A}."),
    ("sky", True, False): ("Beneath {s} sky we find {A}.", "{s} sky covers {A}."),
    ("sky", False, True): ("Beneath {s} sky we find the {g}.", "{s} sky covers the {g}."),
}
TEMPLATES: Final = {"training": TRAINING_TEMPLATES, "held-out": HELD_OUT_TEMPLATES}

RELATION_WORDS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "left-of": (("to the left of", "left of"), ("to the right of", "right of")),
    "above": (("above", "higher than"), ("below", "lower than")),
    "in-front-of": (("in front of",), ("behind",)),
}
"""Canonical relation -> (ways to say it, ways to say its inverse)."""

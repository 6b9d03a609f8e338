"""The factors of a scene and the 40 kinds of object: every word the rest of the package knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

IMAGE_SIZE_PX: Final = 128

SHAPES: Final = (
    "circle",
    "square",
    "triangle",
    "star",
    "cross",
    "heart",
    "crescent",
    "diamond",
    "arrow",
    "drop",
)
PATTERNS: Final = ("solid", "striped", "dotted", "checkered", "ringed")
PARTS: Final = ("plain", "horned", "holed", "haloed")
COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
SIZES: Final = ("small", "medium", "large")
POSES: Final = ("upright", "tilted")
GROUNDS: Final = ("grass", "sand", "snow", "water", "stone", "soil")
SKIES: Final = ("clear", "cloudy", "sunset", "stormy")
NIGHT_SKY: Final = "night"
"""What every sky looks like at night: a fifth value of the sky, never drawn as a factor of its own."""
TRAINING_LIGHTS: Final = ("day", "dusk", "night")
HELD_OUT_LIGHTS: Final = ("dim", "glare")
TRAINING_TINTS: Final = ("neutral", "warm", "cool")
HELD_OUT_TINTS: Final = ("rosy", "green")
TRAINING_STYLES: Final = ("flat", "outlined", "grainy")
HELD_OUT_STYLES: Final = ("mosaic", "sketch", "inverted")
BADGES: Final = ("none", "disc", "bar")
RELATIONS: Final = ("left-of", "above", "in-front-of")
"""The canonical direction of each relation; right-of, below and behind are these the other way round."""

NATURAL_GROUND_COLOUR: Final = {
    "grass": "green", "sand": "yellow", "snow": "white", "water": "blue", "stone": "grey", "soil": "brown",
}  # fmt: skip
CONFLICT_GROUND_COLOURS: Final = ("purple", "pink", "red", "orange", "blue", "green", "yellow")
HOME_GROUND: Final = {
    "circle": "grass", "square": "stone", "triangle": "sand", "star": "snow", "cross": "soil",
    "heart": "water", "crescent": "snow", "diamond": "stone", "arrow": "sand", "drop": "water",
}  # fmt: skip
"""Where a target of each shape is usually seen in training; the ground-swap split breaks it."""
SWAPPED_GROUND: Final = {
    "grass": "water", "water": "grass", "sand": "snow", "snow": "sand", "stone": "soil", "soil": "stone",
}  # fmt: skip

SIZE_RANGE_PX: Final = {"small": (22, 26), "medium": (32, 38), "large": (46, 54)}
"""Diameter of the body, both ends included; the gaps keep the words apart."""


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """A category of object: what it is, whatever its colour, size or place."""

    category_id: int
    shape: str
    pattern: str
    part: str
    tier: str
    """base (plenty of training images), rare (1, 2, 4 or 8) or novel (none)."""

    @property
    def name(self) -> str:
        """The transparent name, e.g. "holed striped triangle"; a plain part is not said."""
        words = (self.pattern, self.shape) if self.part == "plain" else (self.part, self.pattern, self.shape)
        return " ".join(words)


# Each row is a silhouette (shape, part) with its two patterns: at night the two are the same pixels.
_SILHOUETTES: Final = {
    "base": (
        ("circle", "horned", "solid", "striped"),
        ("circle", "haloed", "dotted", "checkered"),
        ("square", "holed", "striped", "ringed"),
        ("triangle", "plain", "dotted", "ringed"),
        ("triangle", "holed", "solid", "checkered"),
        ("star", "haloed", "striped", "checkered"),
        ("cross", "plain", "solid", "dotted"),
        ("heart", "horned", "checkered", "ringed"),
        ("crescent", "plain", "striped", "dotted"),
        ("diamond", "haloed", "solid", "ringed"),
        ("arrow", "holed", "striped", "dotted"),
        ("drop", "horned", "solid", "checkered"),
    ),
    "rare": (
        ("square", "plain", "solid", "dotted"),
        ("star", "horned", "ringed", "dotted"),
        ("cross", "haloed", "checkered", "striped"),
        ("heart", "holed", "striped", "solid"),
    ),
    "novel": (
        ("crescent", "haloed", "striped", "checkered"),
        ("diamond", "holed", "solid", "dotted"),
        ("arrow", "horned", "dotted", "ringed"),
        ("drop", "plain", "checkered", "striped"),
    ),
}


def _build_kinds() -> tuple[Kind, ...]:
    kinds: list[Kind] = []
    for tier, rows in _SILHOUETTES.items():
        for shape, part, *patterns in rows:
            kinds += [Kind(len(kinds) + 1 + i, shape, pattern, part, tier) for i, pattern in enumerate(patterns)]
    return tuple(kinds)


KINDS: Final = _build_kinds()
"""All 40, by category id 1 .. 40: 24 base, then 8 rare, then 8 novel."""
BASE_KINDS: Final = tuple(kind for kind in KINDS if kind.tier == "base")
RARE_KINDS: Final = tuple(kind for kind in KINDS if kind.tier == "rare")
NOVEL_KINDS: Final = tuple(kind for kind in KINDS if kind.tier == "novel")
RARE_TRAINING_IMAGES: Final = tuple((kind, (1, 2, 4, 8, 8, 4, 2, 1)[i]) for i, kind in enumerate(RARE_KINDS))
"""How many training images hold each rare kind (one object of it in each)."""
GROUP_PATTERNS: Final = ("striped", "dotted")
GROUP_BADGES: Final = ("disc", "bar")
"""The label and the bias of the groups splits: striped goes with disc, dotted with bar."""


def night_twin(kind: Kind) -> Kind:
    """The other kind of the same silhouette and tier: pixel-identical to `kind` at night."""
    return next(other for other in KINDS if other != kind and (other.shape, other.part) == (kind.shape, kind.part))

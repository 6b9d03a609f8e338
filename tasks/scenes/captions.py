"""Chooses what the five captions of an image say: one of each content plan, with random omissions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tasks.scenes.counter_rng import Stream
from tasks.scenes.factors import NIGHT_SKY
from tasks.scenes.meaning import Facts, canonical

CAPTIONS_PER_IMAGE: Final = 5
_SAID_PERMILLE: Final = {"shape": 930, "colour": 800, "pattern": 700, "part": 700, "size": 450, "pose": 400}
_UNSAYABLE: Final = {"part": "plain", "pose": "upright"}
_HIDDEN_AT_NIGHT: Final = ("colour", "pattern")


@dataclass(frozen=True, slots=True)
class Sight:
    """What a caption writer sees: the facts, the target's index in them and which relations are clear."""

    facts: Facts
    target: int
    relations: tuple[tuple[str, int, int], ...]
    ground_colour_permille: int = 150

    @property
    def night(self) -> bool:
        """Whether colours, patterns and the ground are hidden, so that no caption names them."""
        return bool(self.facts["sky"] == NIGHT_SKY)


def caption_forms(sight: Sight, draw: Stream) -> list[dict[str, Any]]:
    """Five logical forms, true of the scene, in a random order."""
    if not sight.facts["objects"]:
        forms = [_empty_sky(sight, draw), _count(sight, draw), _empty_sky(sight, draw), _count(sight, draw)]
        forms.append(_empty_sky(sight, draw))
    else:
        forms = [
            _object_ground(sight, draw), _relation(sight, draw), _count(sight, draw), _sky(sight, draw),
            _object(sight, draw),
        ]  # fmt: skip
    return [canonical(form) for form in draw.shuffled(forms)]


def describe(sight: Sight, index: int, draw: Stream) -> dict[str, str]:
    """A description of one object: each factor is said or left out by itself; never empty."""
    item = sight.facts["objects"][index]
    sayable = [
        factor for factor in _SAID_PERMILLE
        if item[factor] != _UNSAYABLE.get(factor) and not (sight.night and factor in _HIDDEN_AT_NIGHT)
    ]  # fmt: skip
    said = [factor for factor in sayable if draw.chance(_SAID_PERMILLE[factor])]
    return {factor: item[factor] for factor in said or ["shape"]}


def _any_object(sight: Sight, draw: Stream) -> int:
    return draw.below(len(sight.facts["objects"]))


def _ground(sight: Sight, draw: Stream, permille: int = 1000) -> dict[str, str]:
    if sight.night or not draw.chance(permille):
        return {}
    form = {"ground": sight.facts["ground"]}
    if draw.chance(sight.ground_colour_permille):
        form["ground_colour"] = sight.facts["ground_colour"]
    return form


def _object(sight: Sight, draw: Stream) -> dict[str, Any]:
    return {"plan": "object", "objects": [describe(sight, _any_object(sight, draw), draw)]}


def _object_ground(sight: Sight, draw: Stream) -> dict[str, Any]:
    description = describe(sight, sight.target, draw)
    if sight.night:
        return {"plan": "sky", "objects": [description], "sky": sight.facts["sky"]}
    return {"plan": "object-ground", "objects": [description], **_ground(sight, draw)}


def _relation(sight: Sight, draw: Stream) -> dict[str, Any]:
    if not sight.relations:
        return _object_ground(sight, draw)
    with_target = [row for row in sight.relations if sight.target in row[1:]]
    name, one, other = draw.choice(with_target if with_target and draw.chance(600) else sight.relations)
    return {"plan": "relation", "objects": [describe(sight, i, draw) for i in (one, other)], "relation": name}


def _count(sight: Sight, draw: Stream) -> dict[str, Any]:
    objects = sight.facts["objects"]
    factor = draw.weighted((("", 2), ("shape", 1), ("colour", 1)))
    description: dict[str, str] = {}
    if objects and factor and not (sight.night and factor == "colour"):
        description = {factor: objects[_any_object(sight, draw)][factor]}
    number = sum(all(item[key] == value for key, value in description.items()) for item in objects)
    return {"plan": "count", "objects": [description], "count": number, **_ground(sight, draw, 600)}


def _sky(sight: Sight, draw: Stream) -> dict[str, Any]:
    description = describe(sight, sight.target, draw)
    return {"plan": "sky", "objects": [description], "sky": sight.facts["sky"], **_ground(sight, draw, 500)}


def _empty_sky(sight: Sight, draw: Stream) -> dict[str, Any]:
    return {"plan": "sky", "sky": sight.facts["sky"], **_ground(sight, draw)}

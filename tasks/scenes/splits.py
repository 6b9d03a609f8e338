"""The named splits: how many images each has and in what it departs from the training distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from tasks.scenes.factors import (
    HELD_OUT_LIGHTS,
    HELD_OUT_STYLES,
    HELD_OUT_TINTS,
    TRAINING_STYLES,
    TRAINING_TINTS,
)

SEED: Final = 20_26
USUAL_COUNTS: Final = ((0, 2), (1, 18), (2, 30), (3, 28), (4, 22))
USUAL_LIGHTS: Final = (("day", 60), ("dusk", 25), ("night", 15))
CLEAR_LIGHTS: Final = (("day", 70), ("dusk", 30))


@dataclass(frozen=True, slots=True)
class SplitSpec:
    """What a split draws from; the defaults are the training distribution."""

    name: str
    size: int
    plan: str = "usual"
    """How kinds and places are drawn: usual, rare, novel, novel-hard, twins, groups, refer or foils."""
    stream: str = ""
    """The name that keys the random draws; another split's name makes this one a prefix of it."""
    counts: tuple[tuple[int, int], ...] = USUAL_COUNTS
    lights: tuple[tuple[str, int], ...] = USUAL_LIGHTS
    tints: tuple[str, ...] = TRAINING_TINTS
    styles: tuple[str, ...] = TRAINING_STYLES
    ground_rule: str = "home"
    """home (the target's home ground in half the images), uniform, swapped or conflict (wrong colours)."""
    scale: str = "usual"
    lexicon: str = "training"
    templates: str = "training"
    badge_agreement_permille: int = -1
    """For groups: how often the badge agrees with the label; -1: the badge is independent of everything."""
    all_visible: bool = False

    @property
    def key(self) -> str:
        """The name under which this split's draws are made."""
        return self.stream or self.name


def _of_at_least(least: int) -> tuple[tuple[int, int], ...]:
    return tuple((count, weight) for count, weight in USUAL_COUNTS if count >= least)


_TRAIN = SplitSpec("train", 4000)
_SHIFT = SplitSpec("", 600, counts=_of_at_least(1))
_CLEAR = replace(_SHIFT, lights=CLEAR_LIGHTS)
_GROUPS = SplitSpec(
    "groups", 1600, plan="groups", counts=((1, 40), (2, 40), (3, 20)), lights=CLEAR_LIGHTS,
    ground_rule="uniform", badge_agreement_permille=500, all_visible=True,
)  # fmt: skip

_ALL: Final = (
    _TRAIN,
    replace(_TRAIN, name="tiny", size=1500, stream="train"),
    SplitSpec("val", 600),
    SplitSpec("test", 1000),
    replace(_CLEAR, name="novel", plan="novel"),
    replace(_CLEAR, name="novel-hard", plan="novel-hard", counts=((3, 50), (4, 50))),
    replace(_SHIFT, name="rare", plan="rare"),
    replace(_SHIFT, name="style", styles=HELD_OUT_STYLES),
    replace(_CLEAR, name="ground-swap", ground_rule="swapped"),
    replace(_SHIFT, name="light", lights=tuple((light, 50) for light in HELD_OUT_LIGHTS), tints=HELD_OUT_TINTS),
    replace(_SHIFT, name="scale", scale="unusual", counts=((1, 30), (2, 40), (3, 30))),
    replace(_SHIFT, name="count", counts=((5, 50), (6, 50))),
    replace(_SHIFT, name="lexical", lexicon="synonym", templates="held-out"),
    replace(_CLEAR, name="prior-conflict", ground_rule="conflict"),
    replace(_SHIFT, name="twins", plan="twins", lights=(("night", 1),)),
    replace(_CLEAR, name="refer", plan="refer", counts=((3, 50), (4, 50)), all_visible=True),
    replace(_CLEAR, name="foils", plan="foils", counts=((2, 1), (3, 1), (4, 1)), all_visible=True),
    _GROUPS,
    replace(_GROUPS, name="groups-train", badge_agreement_permille=950),
)
SPLITS: Final[Mapping[str, SplitSpec]] = MappingProxyType({spec.name: spec for spec in _ALL})

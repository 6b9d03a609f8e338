"""`--perturb` becomes conditions: named grids, single names, joint ones; and what does not fit is named."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.condition import CLEAN, Condition, Part
from harness.errors import UsageError
from harness.perturb.grids import STANDARD_CORRUPTIONS, parse_grid


@dataclass(frozen=True)
class Planted:
    name: str
    family: str = "noise"
    modality: str = "image"
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    summary: str = "planted"
    version: int = 1


KNOWN = {
    p.name: p
    for p in (
        *(Planted(name) for name in STANDARD_CORRUPTIONS),
        Planted("rotate", "geometry"),
        Planted("typo-keyboard", "character", "text"),
        Planted("word-synonym", "word", "text"),
        Planted("formal", "sentence", "text", (1,)),
        Planted("wrong-text", "modality", "text"),
    )
}
SHIFTS = ("style", "light")


def test_a_name_means_all_severities_and_clean_comes_first() -> None:
    assert parse_grid("fog", KNOWN, ()) == (CLEAN, *(Condition((Part("fog", s),)) for s in range(1, 6)))


def test_ranges_single_severities_shifts_and_repetitions() -> None:
    found = parse_grid("fog:2-3, jpeg:5,fog:3,shift-light", KNOWN, SHIFTS)
    assert [c.label for c in found] == ["clean-0", "fog-2", "fog-3", "jpeg-5", "shift-light-0"]


def test_a_joint_condition_names_both() -> None:
    found = parse_grid("fog:3+typo-keyboard:3,fog:1+typo-keyboard:2", KNOWN, ())
    assert [c.label for c in found[1:]] == ["fog+typo-keyboard-3", "fog-1+typo-keyboard-2-2"]


def test_the_standard_grid_has_the_75_cells_texts_and_shifts() -> None:
    found = parse_grid("standard", KNOWN, SHIFTS)
    images = [c for c in found if c.parts and c.parts[0].name in STANDARD_CORRUPTIONS]
    assert len(images) == 75
    assert [c.label for c in found if c.parts and c.parts[0].name == "typo-keyboard"] == [
        "typo-keyboard-1", "typo-keyboard-3", "typo-keyboard-5",
    ]  # fmt: skip
    assert {"formal-1", "wrong-text-5", "shift-style-0"} <= {c.label for c in found}
    assert not any(c.parts and c.parts[0].name == "rotate" for c in found)
    assert any(c.name == "rotate" for c in parse_grid("full", KNOWN, SHIFTS))


def test_full_takes_every_installed_perturbation_at_all_severities() -> None:
    own = (
        Planted("posterize", "print", severities=(1, 2)), Planted("slang", "word", "text", (2, 7)),
        Planted("louder", "sound"), Planted("mist", "weather"),
    )  # fmt: skip
    known = {**KNOWN, **{p.name: p for p in own}}
    full = {c.label for c in parse_grid("full", known, SHIFTS) if len(c.parts) == 1}
    assert full == {f"{p.name}-{s}" for p in known.values() for s in p.severities}
    standard = {c.name for c in parse_grid("standard", known, SHIFTS)}
    assert standard.isdisjoint({"posterize", "slang", "louder", "mist", "rotate"}), "no severity of 1, 3, 5, no family"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fogg", "Unknown perturbation 'fogg'. Did you mean 'fog'"),
        ("standrad", "Did you mean 'standard'"),
        ("fog:6", "wanted severities of 1 to 5, seen 6"),
        ("fog:0-2", "wanted severities of 1 to 5"),
        ("fog:3-1", "wanted severities"),
        ("fog:x", "'x' is no severity"),
        ("fog:1-", "is no severity"),
        ("formal:2", "wanted severities of 1 to 1"),
        ("fog:1+jpeg:1", "one perturbation of the image and one of the text"),
        ("shift-stile", "no such shift. Did you mean 'style'"),
        (" , ", "names nothing"),
    ],
)
def test_what_does_not_fit_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        parse_grid(text, KNOWN, SHIFTS)

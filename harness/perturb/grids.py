"""Turns `--perturb` into conditions: named grids, and single perturbations with their severities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from harness.condition import CLEAN, Condition, Part
from harness.errors import UsageError, nearest
from harness.perturb.perturbation import Perturbation

STANDARD_CORRUPTIONS = (
    "gaussian-noise", "shot-noise", "impulse-noise", "defocus-blur", "glass-blur", "motion-blur", "zoom-blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic-transform", "pixelate", "jpeg",
)  # fmt: skip
"""The 15 corruptions of ImageNet-C (Hendrycks & Dietterich 2019, arXiv 1903.12261): mCE and mPC are means over them."""
_MILD_TO_STRONG = (1, 3, 5)
_TEXT_FAMILIES = ("character", "word", "sentence")
_SMOKE = (
    "gaussian-noise:3", "glass-blur:5", "fog:3", "jpeg:5", "rotate:2", "flip:1", "typo-keyboard:3", "word-synonym:3",
    "blank-image:1", "wrong-image:1", "wrong-text:1", "gaussian-noise:3+typo-keyboard:3", "shift-style",
)  # fmt: skip
GRIDS = ("smoke", "standard", "full")


def parse_grid(text: str, known: Mapping[str, Perturbation], shifts: Sequence[str]) -> tuple[Condition, ...]:
    """Read `standard`, `fog,jpeg:1-3`, `fog:3+typo-keyboard:2`, `smoke,shift-style`; clean always comes first.

    A name alone means all of its severities. Raises UsageError naming the nearest perturbation.
    """
    conditions = [CLEAN]
    for item in (part.strip() for part in text.split(",")):
        if not item:
            continue
        conditions += _named_grid(item, known, shifts) if item in GRIDS else _conditions(item, known, shifts)
    if len(conditions) == 1:
        raise UsageError(f"--perturb '{text}' names nothing. Take one of {', '.join(GRIDS)}, or names as fog:1-3.")
    return tuple(dict.fromkeys(conditions))


def _named_grid(name: str, known: Mapping[str, Perturbation], shifts: Sequence[str]) -> list[Condition]:
    """The conditions of a grid; shifts that the data does not have are left out of it.

    `full` takes every installed perturbation at all of its severities, those of other packages included.
    """
    if name == "smoke":
        return [c for item in _SMOKE if _possible(item, known, shifts) for c in _conditions(item, known, shifts)]
    conditions = [Condition((Part(corruption, s),)) for corruption in STANDARD_CORRUPTIONS for s in range(1, 6)]
    text = [p for p in known.values() if p.family in _TEXT_FAMILIES]
    conditions += [
        Condition((Part(p.name, s),)) for p in text for s in p.severities if name == "full" or s in _MILD_TO_STRONG
    ]
    conditions += [
        Condition((Part(p.name, s),)) for p in known.values() if p.family == "modality" for s in p.severities
    ]
    conditions += [Condition(shift=shift) for shift in shifts]
    if name == "full":
        covered = {part.name for condition in conditions for part in condition.parts}
        rest = [p for p in known.values() if p.name not in covered]
        conditions += [Condition((Part(p.name, s),)) for p in rest for s in p.severities]
        joint = product(("gaussian-noise", "motion-blur", "fog", "jpeg"), ("typo-keyboard", "word-synonym"), (1, 3, 5))
        conditions += [Condition((Part(image, s), Part(words, s))) for image, words, s in joint]
    return conditions


def _possible(item: str, known: Mapping[str, Perturbation], shifts: Sequence[str]) -> bool:
    return not item.startswith("shift-") or item.removeprefix("shift-") in shifts


def _conditions(item: str, known: Mapping[str, Perturbation], shifts: Sequence[str]) -> list[Condition]:
    """Read one item: a shift, or perturbations joined by +, each with its severities."""
    if item.startswith("shift-"):
        shift = item.removeprefix("shift-")
        if shift not in shifts:
            raise UsageError(f"--perturb {item}: this data has no such shift. {nearest(shift, shifts)}")
        return [Condition(shift=shift)]
    choices = [_parts(part.strip(), known) for part in item.split("+")]
    modalities = [known[choice[0].name].modality for choice in choices]
    if len(set(modalities)) < len(modalities):
        raise UsageError(
            f"--perturb {item}: a joint condition takes one perturbation of the image and one of the text."
        )
    return [Condition(parts) for parts in product(*choices)]


def _parts(text: str, known: Mapping[str, Perturbation]) -> list[Part]:
    name, colon, wish = text.partition(":")
    if name not in known:
        raise UsageError(
            f"Unknown perturbation '{name}'. {nearest(name, [*known, *GRIDS])} See 'bench list perturbations'."
        )
    severities = known[name].severities
    return [Part(name, s) for s in (_severities(text, wish, severities) if colon else severities)]


def _severities(text: str, wish: str, offered: Sequence[int]) -> Iterable[int]:
    first, dash, last = wish.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise UsageError(f"--perturb {text}: '{wish}' is no severity; wanted a number or a range, as 3 or 1-5.")
    wanted = range(int(first), int(last if dash else first) + 1)
    if not wanted or not set(wanted) <= set(offered):
        raise UsageError(f"--perturb {text}: wanted severities of {min(offered)} to {max(offered)}, seen {wish}.")
    return wanted

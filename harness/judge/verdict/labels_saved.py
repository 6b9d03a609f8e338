"""How many labels fusion saves: the horizontal distance between two learning curves.

Of how many labels F needs for the score that vision alone has with the most, read off its curve, straight over log2 n
between the sizes. The interval holds every number at which F's curve and that score are not told apart, by the same
interval over seeds and samples (as Fieller's, of `harness.judge.verdict.tuning`); the curve is no higher than is known,
so its upper end is open where F is not shown to be above with the most labels either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from harness.judge.verdict.comparison import Term, contrast_with_control
from harness.judge.verdict.evidence import Evidence, Group
from harness.judge.verdict.verdict import LEVEL, Number
from harness.stats.difference import Difference

CurvePoint = tuple[int, Group, Group]
"""A number of labels, and the two models that were trained on it."""
_STEPS = 8
"""So many places between two sizes are looked at for the ends of the interval."""


def labels_saved(evidence: Evidence, name: str, curve: Sequence[CurvePoint]) -> tuple[Number, ...]:
    """The share of the most labels that F needs; nothing where its curve does not reach the score, or has no interval.

    `curve` ascends in labels, two points or more.
    """
    most, _, control = curve[-1]
    along = [(place, _above(evidence, curve, place, control)) for place in _places(curve)]
    if any(isinstance(found, str) for _, found in along):
        return ()
    known = [(place, found) for place, found in along if isinstance(found, Difference)]
    needed = crossing([(place, found.value) for place, found in known])
    if needed is None:
        return ()
    first = next((place for place, found in known if found.high >= 0), known[-1][0])
    below = [place for place, found in known if found.low <= 0]
    last = None if below and below[-1] == known[-1][0] else below[-1] if below else known[0][0]
    share, low = 2.0**needed / most, min(2.0**first, 2.0**needed) / most
    high = None if last is None else max(2.0**last, 2.0**needed) / most
    saved = f"{most - 2.0**needed:.0f} of {most} labels saved"
    ends = f", at most {most * (1 - low):.0f}" + ("" if high is None else f", at least {most * (1 - high):.0f}")
    note = f"{saved}{ends}{'' if high is not None else ', or none'}"
    return (Number(f"share of the labels that F needs for {name}'s best", share, low, high or 1.0, note, LEVEL),)


def crossing(values: Sequence[tuple[float, float]]) -> float | None:
    """The first place at which a curve of (place, value) is 0 or more, straight between its points.

    >>> crossing([(0.0, -0.2), (2.0, 0.2)]), crossing([(0.0, 0.1), (1.0, 0.2)]), crossing([(0.0, -1.0), (1.0, -0.5)])
    (1.0, 0.0, None)
    """
    if values[0][1] >= 0:
        return values[0][0]
    for (left, below), (right, above) in pairwise(values):
        if above >= 0:
            return left + (right - left) * below / (below - above)
    return None


def _places(curve: Sequence[CurvePoint]) -> list[float]:
    """Places on the scale of log2 n, ascending."""
    ends = [math.log2(labels) for labels, *_ in curve]
    return [a + (b - a) * step / _STEPS for a, b in pairwise(ends) for step in range(_STEPS)] + [ends[-1]]


def _above(evidence: Evidence, curve: Sequence[CurvePoint], place: float, control: Group) -> Difference | str:
    """By how much F's curve is above the score of a model at a place."""
    ends = [math.log2(labels) for labels, *_ in curve]
    right = next(n for n, end in enumerate(ends) if end >= place - 1e-12)
    terms: list[Term] = [(-1.0, control)]
    if right == 0 or abs(ends[right] - place) < 1e-12:
        terms.append((1.0, curve[right][1]))
    else:
        share = (place - ends[right - 1]) / (ends[right] - ends[right - 1])
        terms += [(1 - share, curve[right - 1][1]), (share, curve[right][1])]
    return contrast_with_control(evidence, evidence.metric, terms)

"""Computes the metrics of questions from how answers were judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.metrics.questions.judged import JudgedQuestions
from harness.metrics.unparsed import unparsed_share

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.protocols import Statistics

_SAMPLES_OF_A_GROUP, _SIDES = 4, 2
UNITS = {
    "question-accuracy": ("group", "question"),
    "image-accuracy": ("group", "image"),
    "group-accuracy": ("group",),
}
"""What of a group must be answered rightly together, both images or questions or all four."""


def question_scores(judged: JudgedQuestions) -> dict[str, Statistics | None]:
    """Every metric of questions; those are left out of which the data has nothing, as of yes and no.

    None marks one that the data has and these answers do not allow: AUC without scores.
    """
    from harness.stats.proportions import ProportionStatistics, proportion
    from harness.stats.resampling import MeanStatistics

    right = judged.marks("right")
    found: dict[str, Statistics | None] = {"accuracy": proportion(right)}
    if judged.known("agreement").all():
        found["VQA-accuracy"] = MeanStatistics(judged.numbers("agreement"), (0.0, 1.0))
    found["unparsed"] = unparsed_share(judged.marks("answered"))
    found |= _of_groups(judged, right) | _of_yes_and_no(judged)
    wrong = ~right & judged.marks("answered") & judged.known("is_prior")
    if wrong.any():
        found["prior-share"] = ProportionStatistics(judged.marks("is_prior"), wrong)
    return found


def _of_yes_and_no(judged: JudgedQuestions) -> dict[str, Statistics | None]:
    """F1 of yes, the share of yes among all such questions, and AUC; a question without an answer is no yes."""
    import numpy as np

    from harness.metrics.questions.area import AreaStatistics
    from harness.stats.proportions import ProportionStatistics
    from harness.stats.sums import SumStatistics

    asked = judged.known("yes")
    if not asked.any():
        return {}
    truth, said = judged.marks("yes") & asked, judged.marks("said_yes") & asked
    parts = np.stack([truth & said, ~truth & said, truth & ~said], axis=1).astype(np.float64)
    found: dict[str, Statistics | None] = {
        "yes-F1": SumStatistics(parts, _f1),
        "yes-share": ProportionStatistics(said, asked),
    }
    both_there = bool(truth.any() and (asked & ~truth).any())
    scored = bool((judged.known("yes_score") | ~asked).all())
    if both_there:
        found["yes-AUC"] = AreaStatistics(judged.numbers("yes_score"), truth, asked & ~truth) if scored else None
    return found


def _f1(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[R, 3] hits, false alarms and misses -> [R] 2 hits / (2 hits + false alarms + misses); NaN where all are 0."""
    import numpy as np

    from harness.stats.sums import ratio_of_sums

    hits, alarms, misses = sums.T
    return ratio_of_sums(np.stack([2 * hits, 2 * hits + alarms + misses], axis=1))


def _of_groups(judged: JudgedQuestions, right: npt.NDArray[np.bool_]) -> dict[str, Statistics | None]:
    """Of whole groups of two images and two questions alone: what a limit has cut is left out."""
    from harness.stats.proportions import ProportionStatistics

    whole = whole_groups(judged)
    found: dict[str, Statistics | None] = {}
    for name, keys in UNITS.items() if whole else ():
        success, trial = _units(judged, right, keys, whole)
        found[name] = ProportionStatistics(success, trial)
    return found


def whole_groups(judged: JudgedQuestions) -> frozenset[str]:
    """Groups of which all four samples are there, two of each image and question."""
    members: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in judged.rows:
        if row.group:
            members[row.group].append((row.image, row.question))
    return frozenset(
        name
        for name, pairs in members.items()
        if len(pairs) == len(set(pairs)) == _SAMPLES_OF_A_GROUP
        and all(len(set(s)) == 2 for s in zip(*pairs, strict=True))
    )


def _units(
    judged: JudgedQuestions, right: npt.NDArray[np.bool_], keys: tuple[str, ...], whole: frozenset[str]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """[N] each unit stands at its first sample: whether all of it is right, and where there is one."""
    import numpy as np

    places: Mapping[tuple[str, ...], list[int]] = defaultdict(list)
    for place, row in enumerate(judged.rows):
        if row.group in whole:
            places[tuple(getattr(row, key) for key in keys)].append(place)
    success, trial = np.zeros(len(judged), dtype=np.bool_), np.zeros(len(judged), dtype=np.bool_)
    for own in places.values():
        trial[own[0]], success[own[0]] = True, bool(right[own].all())
    return success, trial

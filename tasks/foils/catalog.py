"""The metrics of foils, registered by the entry points of `bench.metrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.metrics.metric import Golden, Metric

if TYPE_CHECKING:
    from harness.protocols import Statistics

_SUGARCREPE = "Hsieh et al. 2023, arXiv 2306.14610"
_WINOGROUND = "Thrush et al. 2022, arXiv 2204.03162"
_ALONE = "What texts alone give away"
"""The table in which the scores without an image stand."""
Case = Sequence[tuple[str, str, tuple[str, str], int, tuple[float, float]]]
_CASE = Golden(
    (
        # group, image, texts, the true one, scores
        ("g", "g", ("a cat on a dog", "a dog on a cat"), 0, (0.9, 0.1)),
        ("g", "g", ("a cat on a dog", "a dog on a cat"), 1, (0.2, 0.3)),
        ("h", "h", ("red", "a blue one"), 0, (0.5, 0.5)),
        ("h", "h", ("red", "a blue one"), 1, (0.6, 0.4)),
    ),
    {
        "matching-accuracy": 2 / 4,
        "image-score": 2 / 4,
        "group-score": 2 / 4,
        "matching-chance": 1 / 2,
        "blind-longest": 2 / 4,
        "blind-shortest": 2 / 4,
        "blind-words": 2 / 4,
        "above-blind": 0.0,
    },
    name="two groups of two images",
)


def _scores(case: Case) -> Mapping[str, Statistics | None]:
    from pathlib import Path

    from harness.sample import Sample
    from tasks.foils.scoring import foil_statistics
    from tasks.foils.targets import FoilTarget

    samples = [
        Sample(str(place), Path(), FoilTarget(choice, (), image, group), choices=texts)
        for place, (group, image, texts, choice, _) in enumerate(case)
    ]
    return foil_statistics(samples, [scores for *_, scores in case])


def _metric(
    name: str, title: str, better: bool | None, source: str, *, together: str = "", lowest: float = 0.0
) -> Metric:
    return Metric(name, title, better, source, _scores, (_CASE,), "", lowest, 1.0, together=together)


def _longest(most: str) -> str:
    return f"definition: the text of {most} characters is taken, ties share the credit"


FOILS = (
    _metric("matching-accuracy", "share of images whose true caption scores above every foil", True, _SUGARCREPE),
    _metric("image-score", "share of groups in which each caption picks its image", True, _WINOGROUND),
    _metric("group-score", "share of groups in which all captions and images are matched", True, _WINOGROUND),
    _metric(
        "above-blind", "accuracy above the best guess from the texts", True,
        "definition: matching-accuracy less the highest of blind-words, blind-longest and blind-shortest",
        together=_ALONE, lowest=-1.0,
    ),
    _metric(
        "blind-words", "accuracy of words commoner in true captions", None,
        "definition: the text with the highest sum of log ratios of its words, counted on other images of the set",
        together=_ALONE,
    ),
    _metric("blind-longest", "accuracy of the longest text", None, _longest("most"), together=_ALONE),
    _metric("blind-shortest", "accuracy of the shortest text", None, _longest("fewest"), together=_ALONE),
    _metric(
        "matching-chance", "accuracy of guessing", None, "definition: 1 / number of texts, the mean over samples",
        together=_ALONE,
    ),
)  # fmt: skip

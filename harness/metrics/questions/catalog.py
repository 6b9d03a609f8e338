"""The metrics of questions that come with the harness, registered by the entry points of `bench.metrics`."""

from __future__ import annotations

from typing import Any

from harness.metrics.metric import Golden, HasValue, Metric
from harness.metrics.questions.judged import JudgedQuestion as Row
from harness.metrics.questions.judged import JudgedQuestions


def _pair(group: str, *said: tuple[bool, float]) -> tuple[Row, ...]:
    """Two images a and b, two questions 0 and 1; yes is right of a and 0, of b and 1."""
    places = (("a", "0", True), ("a", "1", False), ("b", "0", False), ("b", "1", True))
    return tuple(
        Row(yes == answer, True, yes, answer, score, 0.9, group, group + image, question)
        for (image, question, yes), (answer, score) in zip(places, said, strict=True)
    )


_ROWS = (
    *_pair("g", (True, 0.9), (False, -0.5), (False, -0.1), (False, -0.2)),
    *_pair("h", (True, 0.5), (False, -0.3), (False, 0.1), (True, 0.1)),
    Row(False, False, agreement=0.0),
    Row(False, agreement=0.0, is_prior=True),
    Row(False, agreement=0.3, is_prior=False),
    Row(True, agreement=0.9, is_prior=True),
)
_CASE = Golden(
    JudgedQuestions(_ROWS),
    {
        "accuracy": 8 / 12, "VQA-accuracy": (8 * 0.9 + 0.3 + 0.9) / 12, "unparsed": 1 / 12,
        "question-accuracy": 3 / 4,  # of group g the second one is wrong of image b
        "image-accuracy": 3 / 4, "group-accuracy": 1 / 2,
        "yes-F1": 2 * 3 / (2 * 3 + 0 + 1), "yes-share": 3 / 8,
        "yes-AUC": (4 + 2 + 4 + 3.5) / 16,  # of .9, -.2, .5 and .1 against -.5, -.1, -.3 and .1
        "prior-share": 1 / 2,
    },
    name="two groups and four questions counted by hand",
)  # fmt: skip
_NATURAL = "Li et al. 2024, arXiv 2410.14669 (NaturalBench); Thrush et al. 2022, arXiv 2204.03162 (Winoground)"
_POPE = "Li et al. 2023, arXiv 2305.10355 (POPE)"


def _compute(judged: JudgedQuestions) -> dict[str, HasValue | None]:
    from harness.metrics.questions.scores import question_scores

    return dict(question_scores(judged))


def _metric(name: str, title: str, reference: str, higher_is_better: bool | None = True, **more: Any) -> Metric:
    return Metric(name, title, higher_is_better, reference, _compute, (_CASE,), **more)


METRICS = (
    _metric("accuracy", "share of questions that are answered rightly", "Antol et al. 2015, arXiv 1505.00468"),
    _metric("VQA-accuracy", "agreement with people, at most 1 for three", "Goyal et al. 2017, arXiv 1612.00837"),
    _metric("question-accuracy", "share of a group's questions that are right of both images", _NATURAL),
    _metric("image-accuracy", "share of a group's images of which both questions are right", _NATURAL),
    _metric("group-accuracy", "share of groups that are right in all four cases", _NATURAL),
    _metric("yes-F1", "F1 of yes among questions of yes and no", _POPE),
    _metric("yes-AUC", "how often yes scores higher where it is right than where it is not", "Mann & Whitney 1947"),
    _metric("yes-share", "share of yes among answers to questions of yes and no", _POPE, None, each_condition=True),
    _metric(
        "prior-share", "share of wrong answers that are the commonest of such questions in training",
        "Vo et al. 2025, arXiv 2505.23941 (bias ratio)", False,
    ),
)  # fmt: skip

"""Scores of label probabilities: by hand, against scikit-learn, in slices, and several questions about an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, log_loss

from harness.answers import NO_CLASS, UNKNOWN
from harness.errors import DataError
from harness.metrics.labels.classification import OF_PROBABILITIES
from harness.sample import Classes, Outcome, Sample
from harness.stats.bias_amplification import OF_ATTRIBUTES
from harness.stats.estimates import estimate, estimates
from harness.stats.grouped import GroupedStatistics
from harness.stats.intervals import wilson
from harness.stats.proportions import Proportion
from tasks.classification.scoring import LabelScorer
from tasks.classification.task import image_classification
from tasks.classification.zero_shot import zero_shot_classification
from tasks.targets.matching import in_sample_order
from tasks.targets.targets import LabelTarget
from tests.harness.stats.single_metrics import bootstrap

NAMES = ("cat", "dog", "eel")


def sample(name: str, label: int = 0, image: str | None = None, *slices: str) -> Sample:
    return Sample(name, Path(), LabelTarget(label, slices=slices, image_id=image or name))


def answered(samples: list[Sample], answers: list[list[float]]) -> list[Outcome]:
    return [Outcome(s.sample_id, answer) for s, answer in zip(samples, answers, strict=True)]


def values(found: Any) -> dict[str, float]:
    return {name: statistics.value for name, statistics in found.items()}


SAMPLES = [sample("a", 0), sample("b", 1), sample("c", 1), sample("d", 2)]
ANSWERS = [[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]


def test_single_labels_by_hand() -> None:
    with LabelScorer(Classes(NAMES)) as scorer:
        assert scorer.prepare(SAMPLES).startswith("labels:v")
        found = scorer.score(SAMPLES, answered(SAMPLES, ANSWERS)[::-1])
    scores = values(found)
    assert scores["top-1"] == 3 / 4
    assert "top-5" not in scores, "of three classes the right one always is among five"
    assert scores["balanced-accuracy"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert scores["macro-F1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert scores["NLL"] == pytest.approx(-np.log([0.6, 0.4, 0.8, 0.6]).mean())
    assert scores["Brier"] == pytest.approx((0.26 + 0.62 + 0.06 + 0.24) / 4)
    assert {name: scores[f"top-1:{name}"] for name in NAMES} == {"cat": 1, "dog": 1 / 2, "eel": 1}
    assert set(image_classification.metrics) - set(scores) == {"top-5", "mAP", "micro-F1", "unparsed"}
    assert next(iter(scores)) == "top-1"


def test_single_labels_equal_scikit_learns() -> None:
    draw = np.random.default_rng(3)
    labels = draw.integers(0, 3, 60)
    probabilities = draw.dirichlet(np.ones(3), 60)
    samples = [sample(str(number), int(label)) for number, label in enumerate(labels)]
    scores = values(LabelScorer(Classes(NAMES)).score(samples, answered(samples, probabilities.tolist())))
    predicted = probabilities.argmax(axis=1)
    assert scores["top-1"] == pytest.approx((predicted == labels).mean())
    assert scores["balanced-accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert scores["macro-F1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert scores["NLL"] == pytest.approx(log_loss(labels, probabilities))


def test_several_labels_equal_scikit_learns() -> None:
    draw = np.random.default_rng(4)
    labels, scores = draw.integers(0, 2, (40, 3)), draw.random((40, 3))
    samples = [Sample(str(n), Path(), LabelTarget(-1, tuple(row.tolist()))) for n, row in enumerate(labels)]
    found = values(LabelScorer(Classes(NAMES, multilabel=True)).score(samples, answered(samples, scores.tolist())))
    assert found["mAP"] == pytest.approx(average_precision_score(labels, scores, average="macro"))
    assert found["micro-F1"] == pytest.approx(f1_score(labels, scores > 0.5, average="micro"))
    assert found["macro-F1"] == pytest.approx(f1_score(labels, scores > 0.5, average="macro"))
    assert set(found) <= set(image_classification.metrics)


def test_seen_and_unseen_by_hand() -> None:
    classes = Classes(NAMES, seen=(True, True, False))
    answers = [[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.5, 0.2, 0.3]]
    found = LabelScorer(classes, zero_shot=True).score(SAMPLES, answered(SAMPLES, answers))
    scores = values(found)
    assert scores["unseen-top-1"] == 1, "the only unseen class is right among the unseen"
    assert (scores["S"], scores["U"], scores["H"]) == (pytest.approx((1 + 1 / 2) / 2), 0, 0)
    assert (scores["top-1"], 0 < scores["AUSUC"] < 1) == (2 / 4, True)
    assert next(iter(scores)) == zero_shot_classification.metrics[0]
    first = found["unseen-top-1"]
    assert isinstance(first, Proportion)
    assert estimate(first, 50).count == 1  # type: ignore[union-attr]


def test_without_unseen_samples_the_first_metric_is_absent() -> None:
    classes = Classes(NAMES, seen=(True, True, True))
    scores = values(LabelScorer(classes, zero_shot=True).score(SAMPLES, answered(SAMPLES, ANSWERS)))
    assert "unseen-top-1" not in scores and scores["S"] == pytest.approx(5 / 6)


def test_slices_by_hand() -> None:
    samples = [
        sample("a", 0, None, "clear"), sample("b", 1, None, "clear", "small"), sample("c", 1, None, "night"),
        sample("d", 2, None, "night", "rare"), sample("e", 2, None, "night"),
    ]  # fmt: skip
    found = values(LabelScorer(Classes(NAMES)).score(samples, answered(samples, [*ANSWERS, [0.4, 0.4, 0.2]])))
    assert {name: value for name, value in found.items() if "[" in name} == {
        "top-1[clear]": 1 / 2, "top-1[night]": pytest.approx(2 / 3),
    }, "a slice of one sample is left out"  # fmt: skip


def test_proportions_have_wilsons_interval() -> None:
    samples = [sample(str(number), 0, None, "day") for number in range(20)]
    found = LabelScorer(Classes(NAMES)).score(samples, answered(samples, [[0.8, 0.1, 0.1]] * 20))
    scores = estimates(found, 50)
    for name in ("top-1", "top-1[day]", "top-1:cat"):
        e = scores[name]
        assert e is not None
        assert (e.value, (e.low, e.high), e.count) == (1.0, wilson(20, 20), 20), name
    brier = scores["Brier"]
    assert brier is not None and brier.low < brier.value < brier.high, "images that score alike are no certainty"


def test_questions_about_one_image_are_drawn_together() -> None:
    """Forty images, each asked about four times with the same answer: no more is known than of forty."""
    draw = np.random.default_rng(0)
    right = draw.random(40) < 0.5
    alone = [sample(f"{i}", 0, f"{i}", "day") for i in range(40)]
    samples = [sample(f"{i}-{c}", 0, f"{i}", "day", c) for i in range(40) for c in "wxyz"]
    answer = {True: [0.8, 0.1, 0.1], False: [0.1, 0.8, 0.1]}
    scorer = LabelScorer(Classes(NAMES))
    found = scorer.score(samples, answered(samples, [answer[bool(r)] for r in right for _ in "wxyz"]))
    single = scorer.score(alone, answered(alone, [answer[bool(r)] for r in right]))
    for name in ("top-1", "NLL", "top-1[day]", "top-1:cat"):
        statistics = found[name]
        assert isinstance(statistics, GroupedStatistics), name
        assert not isinstance(statistics, Proportion), "four answers about one image are no four trials"
        assert estimate(statistics, 400) == estimates({name: statistics}, 400 * (1 + 4 * (":" in name)))[name]
        together, reference = estimate(statistics, 1000), wilson(int(right.sum()), 40)
        if name == "NLL":
            reference = bootstrap(single[name], 1000)[:2]  # type: ignore[arg-type]
        assert together is not None
        few = 0 if name == "NLL" else 0.01  # the spread of forty images is not known either: Student's quantile
        assert (together.low, together.high) == pytest.approx(reference, abs=1e-9 + few), name
        assert name == "NLL" or together.high - together.low > reference[1] - reference[0]
        naive = wilson(int(4 * right.sum()), 160)
        assert together.high - together.low > 1.5 * (naive[1] - naive[0]) or name == "NLL"
    assert isinstance(found["top-1[w]"], Proportion), "one question an image: independent"
    assert found["top-1:cat"].per_sample.shape == (160,)  # type: ignore[union-attr]


def test_labels_alone_have_no_probability_metrics() -> None:
    """Case A of the faults: sixteen labels of eight classes, all wrong, had a top-5 of one half and an NLL of 36."""
    names = tuple("abcdefgh")
    samples = [sample(str(n), n % 8) for n in range(16)]
    outcomes = [Outcome(str(n), (n + 1) % 8) for n in range(16)]
    scorer = LabelScorer(Classes(names))
    found = scorer.score(samples, outcomes)
    assert {name for name, one in found.items() if one is None} == set(OF_PROBABILITIES)
    assert {n: found[n].value for n in ("top-1", "macro-F1", "balanced-accuracy")} == dict.fromkeys(  # type: ignore[union-attr]
        ("top-1", "macro-F1", "balanced-accuracy"), 0
    )
    assert all(e is not None for name, e in estimates(found, 20).items() if name not in OF_PROBABILITIES)
    (note,) = scorer.notes(samples, outcomes)
    assert str(note) == "16 of 16 answers are labels without probabilities: what needs these is absent"


def test_one_label_among_probabilities_makes_them_all_labels() -> None:
    answers: list[Any] = [*ANSWERS[:3], 2]
    found = LabelScorer(Classes(NAMES)).score(SAMPLES, answered(SAMPLES, answers))
    assert found["top-1"].value == 3 / 4  # type: ignore[union-attr]
    assert found["NLL"] is None
    (note,) = LabelScorer(Classes(NAMES)).notes(SAMPLES, answered(SAMPLES, answers))
    assert (note.count, note.total) == (1, 4)


def test_labels_that_name_no_class_are_wrong_everywhere() -> None:
    found = LabelScorer(Classes(NAMES)).score(SAMPLES, answered(SAMPLES, [0, NO_CLASS, 1, 2]))
    assert found["top-1"].value == 3 / 4  # type: ignore[union-attr]
    assert found["macro-F1"].value == pytest.approx((1 + 2 / 3 + 1) / 3)  # type: ignore[union-attr]
    assert found["unparsed"].value == 1 / 4  # type: ignore[union-attr]


def test_labels_alone_in_zero_shot() -> None:
    """What would be answered among unseen classes alone is not known from an answer among all."""
    classes = Classes(NAMES, seen=(True, True, False))
    found = LabelScorer(classes, zero_shot=True).score(SAMPLES, answered(SAMPLES, [0, 0, 1, 1]))
    assert found["unseen-top-1"] is None and found["AUSUC"] is None
    scores = {name: one.value for name, one in found.items() if one is not None}
    assert (scores["S"], scores["U"], scores["H"], scores["top-1"]) == (pytest.approx(3 / 4), 0, 0, 0.5)
    assert scores["unparsed"] == 0


def test_ties_are_counted_in_notes() -> None:
    names = tuple("abcdef")
    classes = Classes(names, seen=(True, True, True, True, False, False))
    samples = [sample("a", 0), sample("b", 5), sample("c", 4)]
    answers = [[0.5, 0.5, 0, 0, 0, 0], [0.4, 0.3, 0.2, 0.1, 0, 0], [0.1, 0.1, 0.1, 0.1, 0.4, 0.2]]
    notes = [str(note) for note in LabelScorer(classes, zero_shot=True).notes(samples, answered(samples, answers))]
    assert notes == [
        "1 of 3 samples have several classes of the highest probability: no answer, so no hit",
        "1 of 3 samples have the right class on a place that others share, beyond the first 5: not in the top 5",
        "1 of 3 samples of unseen classes have several unseen classes of the highest probability: no hit among these",
    ]
    assert LabelScorer(classes).notes(samples[2:], answered(samples[2:], answers[2:])) == ()
    scores = LabelScorer(classes, zero_shot=True).score(samples, answered(samples, answers))
    assert scores["unseen-top-1"].value == 0.5  # type: ignore[union-attr]


def test_what_is_unknown_is_not_scored() -> None:
    """VOC's case: three images, a cat in one, a difficult cat in another; the only known cat is found."""
    targets = [(1, 0), (0, 1), (UNKNOWN, 1)]
    samples = [Sample(str(n), Path(), LabelTarget(-1, labels)) for n, labels in enumerate(targets)]
    answers = [[0.9, 0.1], [0.1, 0.9], [0.95, 0.8]]
    found = values(LabelScorer(Classes(NAMES[:2], multilabel=True)).score(samples, answered(samples, answers)))
    assert {name: found[name] for name in ("mAP", "macro-F1", "micro-F1")} == dict.fromkeys(
        ("mAP", "macro-F1", "micro-F1"), 1
    )
    assert LabelScorer(Classes(NAMES[:2], multilabel=True)).notes(samples, answered(samples, answers)) == ()


def test_an_empty_split_is_no_zero() -> None:
    with pytest.raises(DataError, match="The split has no samples: there is nothing to score"):
        LabelScorer(Classes(NAMES)).prepare([])


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([[0.5, 0.5]] * 4, r"Sample a has the answer \[0.5, 0.5\]; wanted 3 probabilities, one for each class"),
        ([[0.6, 0.3, 0.1, 0.0]] * 4, "Sample a has the answer .*; wanted 3 probabilities"),
        ([ANSWERS[0], "dog", ANSWERS[2], ANSWERS[3]], "Sample b has the answer dog; wanted 3 probabilities"),
        ([None] * 4, "Sample a has the answer None"),
        ([0, 1, 2, 3], r"Sample d has the answer 3; wanted .* or the index of one \(0\.\.2; -1 for none\)"),
        ([True, 1, 2, 0], "Sample a has the answer True"),
        ([-2, 1, 2, 0], "Sample a has the answer -2"),
        ([[0.6, 0.3, "x"], *ANSWERS[1:]], "The answers are not numbers .*; wanted 3 probabilities a sample"),
        ([[0.6, 0.3, None], *ANSWERS[1:]], "Row 0|not numbers"),
        ([*ANSWERS[:2], [2.0, 1.0, 0.5], ANSWERS[3]], "Row 2 of the probabilities sums to 3.5"),
        ([*ANSWERS[:3], [1.2, -0.2, 0.0]], "Row 3 of the probabilities holds -0.2 for class 1"),
        ([[float("nan"), 0.5, 0.5], *ANSWERS[1:]], "Row 0 of the probabilities holds nan for class 0"),
    ],
)  # fmt: skip
def test_answers_that_are_no_probabilities_are_refused(answers: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        LabelScorer(Classes(NAMES)).score(SAMPLES, answered(SAMPLES, answers))


def test_several_labels_must_be_probabilities_too() -> None:
    samples = [Sample("a", Path(), LabelTarget(-1, (1, 0, 1)))]
    with pytest.raises(DataError, match=r"1.5"):
        LabelScorer(Classes(NAMES, multilabel=True)).score(samples, answered(samples, [[0.5, 1.5, 0.1]]))
    with pytest.raises(DataError, match="Sample a has the answer 1; wanted 3 probabilities, one for each class"):
        LabelScorer(Classes(NAMES, multilabel=True)).score(samples, [Outcome("a", 1)])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("abc", r"1 of 4 samples have no answer \(first: d\)"),
        ("a", r"3 of 4 samples have no answer \(first: b, c, d\)"),
        ("abcdz", r"1 are for samples that the split does not have \(first: z; the split has a, b, c …\). Check that"),
        ("abcdd", "1 samples have more than one answer. Keep one"),
    ],
)
def test_answers_are_for_each_sample_once(names: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        LabelScorer(Classes(NAMES)).score(SAMPLES, [Outcome(name, ANSWERS[0]) for name in names])


def test_answers_come_in_the_order_of_the_samples() -> None:
    outcomes = [Outcome(name, name.upper()) for name in "dbca"]
    assert in_sample_order(SAMPLES, outcomes, "answer") == ["A", "B", "C", "D"]


def test_amplification_from_an_attribute_by_hand_and_by_pairs() -> None:
    """Two samples of each of two attributes, cat goes with the first; and by the definition over pairs."""
    lured = [(0,), (0,), (1,), (1,)]
    labels, answers = [0, 1, 0, 1], [0, 0, 1, 2]
    samples = [
        Sample(str(n), Path(), LabelTarget(label, image_id=str(n), lured=own))
        for n, (label, own) in enumerate(zip(labels, lured, strict=True))
    ]
    rows = np.eye(3)[answers] * 0.8 + 0.2 / 3
    with LabelScorer(Classes(NAMES)) as scorer:
        scorer.prepare(samples)
        found = scorer.score(samples, answered(samples, rows.tolist()))[OF_ATTRIBUTES]
    assert found is not None
    assert found.value == pytest.approx(np.mean([1 - 1, 1 - 0, 1 - 0, 0 - 1]))
    shares = [np.mean([labels[n] == own[0] for n in range(4) if lured[n] == own]) for own in ((0,), (1,))]
    said = [np.mean([answers[n] == own[0] for n in range(4) if lured[n] == own]) for own in ((0,), (1,))]
    assert found.value == pytest.approx(np.mean(np.subtract(said, shares)))
    with LabelScorer(Classes(NAMES)) as scorer:
        assert OF_ATTRIBUTES not in scorer.score(SAMPLES, answered(SAMPLES, ANSWERS))

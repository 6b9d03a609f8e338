from __future__ import annotations

import math
import time
from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.metrics.labels.classification import (
    OF_PROBABILITIES,
    classification_statistics,
    label_statistics,
    per_class_statistics,
)
from harness.metrics.labels.probabilities import top_class
from harness.stats.intervals import wilson
from harness.stats.proportions import Proportion
from tests.harness.stats.single_metrics import bootstrap
from tests.machine_pace import cpu_seconds

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
NAMES = [
    *("top-1", "top-5", "macro-F1", "balanced-accuracy", "NLL", "Brier"),
    *("ECE", "adaptive-ECE", "ECE-null", "adaptive-ECE-null"),
]
HAND = np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]]), np.array([0, 0, 0, 1])


def names(classes: int) -> list[str]:
    return [f"class {index}" for index in range(classes)]


def random_case(seed: int, n: int, classes: int, occurring: int) -> tuple[FloatArray, IntArray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, occurring, n)
    logits = generator.normal(size=(n, classes))
    logits[np.arange(n), labels] += 1.5
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True), labels


@st.composite
def cases(draw: st.DrawFn) -> tuple[FloatArray, IntArray]:
    """Probabilities of small integers, so that many are equal and some are 0."""
    n, classes = draw(st.integers(1, 12)), draw(st.integers(2, 8))
    row = st.lists(st.integers(0, 3), min_size=classes, max_size=classes).filter(any)
    odds = np.array(draw(st.lists(row, min_size=n, max_size=n)), dtype=np.float64)
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    return odds / odds.sum(axis=1, keepdims=True), np.array(labels, dtype=np.int64)


def slow(probabilities: FloatArray, labels: IntArray) -> dict[str, float]:
    """All metrics but the calibration errors, sample by sample."""
    rows = list(zip(probabilities.tolist(), labels.tolist(), strict=True))
    named = [row.index(max(row)) if row.count(max(row)) == 1 else None for row, _ in rows]
    right, answered, hits = Counter(labels.tolist()), Counter(c for c in named if c is not None), Counter[int]()
    for (_, label), answer in zip(rows, named, strict=True):
        hits[label] += answer == label
    n = len(rows)
    return {
        "top-1": sum(hits.values()) / n,
        "top-5": sum(sum(p >= row[label] for p in row) <= 5 for row, label in rows) / n,
        "macro-F1": sum(2 * hits[c] / (right[c] + answered[c]) for c in right | answered) / len(right | answered),
        "balanced-accuracy": sum(hits[c] / right[c] for c in right) / len(right),
        "NLL": sum(-math.log(max(row[label], 2**-52)) for row, label in rows) / n,
        "Brier": sum(sum((p - (c == label)) ** 2 for c, p in enumerate(row)) for row, label in rows) / n,
    }


def test_by_hand() -> None:
    statistics = classification_statistics(*HAND, ["a", "b", "c"])
    # Right: rows 0, 1, 3. Class a: recall 2/3, precision 2/2, F1 0.8. Class b: recall 1/1, precision 1/2, F1 2/3.
    assert statistics["top-1"].value == 0.75
    assert statistics["balanced-accuracy"].value == pytest.approx((2 / 3 + 1) / 2)
    assert statistics["macro-F1"].value == pytest.approx((0.8 + 2 / 3) / 2)
    assert statistics["NLL"].value == pytest.approx(-math.log(0.6 * 0.5 * 0.2 * 0.8) / 4)
    # 0.16 + 0.09 + 0.01; 0.25 + 0.04 + 0.09; 0.64 + 0.49 + 0.01; 0.01 + 0.04 + 0.01
    assert statistics["Brier"].per_sample == pytest.approx([0.26, 0.38, 1.14, 0.06])
    # Gaps +0.4, +0.5, -0.7, +0.2, each in a bin of its own.
    assert statistics["ECE"].value == pytest.approx(1.8 / 4)
    assert "top-5" not in statistics


def test_per_class_by_hand() -> None:
    statistics = per_class_statistics(HAND[0].argmax(axis=1), HAND[1], ["a", "b", "c"])
    assert {name: one.value for name, one in statistics.items()} == {"per-class:a": 2 / 3, "per-class:b": 1.0}
    assert statistics["per-class:a"].successes.tolist() == [True, True, False]
    np.testing.assert_array_equal(statistics["per-class:a"].per_sample, [1, 1, 0, np.nan])
    counts = np.array([[1, 0, 2, 1], [0, 0, 0, 4]])
    np.testing.assert_allclose(statistics["per-class:a"].resample(counts), [1 / 3, np.nan])


def test_a_model_that_tells_nothing_apart_scores_nothing() -> None:
    probabilities = np.full((7, 7), 1 / 7)
    statistics = classification_statistics(probabilities, np.arange(7), names(7))
    assert statistics["top-1"].value == statistics["top-5"].value == statistics["macro-F1"].value == 0
    two = np.array([[0.5, 0.5, 0.0], [0.6, 0.4, 0.0]])
    found = classification_statistics(two, np.array([0, 1]), ["a", "b", "c"])
    assert found["top-1"].per_sample.tolist() == [0, 0], "a tie is no answer"
    # Class a: one sample, one wrong answer. Class b: one sample, none. Nothing is right.
    assert found["macro-F1"].value == 0
    five = np.array([[0.3, 0.2, 0.15, 0.15, 0.1, 0.1], [0.3, 0.2, 0.15, 0.15, 0.15, 0.05]])
    ranked = classification_statistics(five, np.array([4, 4]), names(6))
    assert ranked["top-5"].per_sample.tolist() == [0, 1], "places 5 and 6 are shared; places 3 to 5 are"


@given(cases(), st.randoms())
@settings(max_examples=80, deadline=None)
def test_no_score_depends_on_the_order_of_the_classes(case: tuple[FloatArray, IntArray], random: object) -> None:
    probabilities, labels = case
    order = list(range(probabilities.shape[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    place = np.argsort(order)
    first = classification_statistics(probabilities, labels, names(len(order)))
    other = classification_statistics(probabilities[:, order], place[labels], names(len(order)))
    for name in NAMES:
        assert (name in first) == (name in other)
        if name in first:
            assert first[name].value == pytest.approx(other[name].value, abs=1e-9), name


@given(cases(), st.data())
@settings(max_examples=80, deadline=None)
def test_labels_alone_score_as_the_probabilities_that_name_them(
    case: tuple[FloatArray, IntArray], data: st.DataObject
) -> None:
    probabilities, labels = case
    whole = classification_statistics(probabilities, labels, names(probabilities.shape[1]))
    predicted = top_class(probabilities)
    found = label_statistics(predicted, labels, names(probabilities.shape[1]))
    assert list(found) == [name for name in NAMES if name not in OF_PROBABILITIES]
    counts = np.array([data.draw(st.lists(st.integers(0, 2), min_size=len(labels), max_size=len(labels)).filter(any))])
    for name, one in found.items():
        assert one.value == whole[name].value
        np.testing.assert_array_equal(one.resample(counts), whole[name].resample(counts))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_macro_f1_equals_both_references_on_any_labels(pairs: list[tuple[int, int]]) -> None:
    import torch
    from sklearn.metrics import f1_score
    from torchmetrics.functional.classification import multiclass_f1_score

    labels, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    found = label_statistics(predicted, labels, names(5))["macro-F1"].value
    assert found == pytest.approx(f1_score(labels, predicted, average="macro"), abs=1e-12)
    given_, truth = torch.tensor(predicted), torch.tensor(labels)
    assert found == pytest.approx(float(multiclass_f1_score(given_, truth, 5, average="macro")), abs=1e-6)


def test_macro_f1_of_a_class_that_is_only_predicted() -> None:
    # Two of a, two of b, none of c; a, c, b, b: F1 of a 2/3, of b 1, of c 0. scikit-learn and torchmetrics: 0.5556.
    found = label_statistics(np.array([0, 2, 1, 1]), np.array([0, 0, 1, 1]), ["a", "b", "c"])
    assert found["macro-F1"].value == pytest.approx((2 / 3 + 1 + 0) / 3)


@pytest.mark.parametrize(
    ("predicted", "labels", "message"),
    [
        ([], [], "nothing to score"),
        ([0], [0, 1], "do not fit"),
        ([2, 3], [0, 1], "Row 1 predicts the class 3, but there are 3 classes"),
        ([-2], [0], "Row 0 predicts the class -2"),
        ([0], [3], "Row 0 has the label 3"),
    ],
)
def test_predicted_classes_that_are_none_are_refused(predicted: list[int], labels: list[int], message: str) -> None:
    given_, truth = np.array(predicted, dtype=np.int64), np.array(labels, dtype=np.int64)
    for function in (label_statistics, per_class_statistics):
        with pytest.raises(DataError, match=message):
            function(given_, truth, ["a", "b", "c"])


@pytest.mark.parametrize("seed", range(5))
def test_equals_sklearn(seed: int) -> None:
    from sklearn import metrics

    probabilities, labels = random_case(seed, 200, classes=9, occurring=7)
    statistics = classification_statistics(probabilities, labels, names(9))
    predicted, occurring = probabilities.argmax(axis=1), np.unique(labels)
    every = list(range(9))
    expected = {
        "top-1": metrics.accuracy_score(labels, predicted),
        "top-5": metrics.top_k_accuracy_score(labels, probabilities, k=5, labels=every),
        "macro-F1": metrics.f1_score(labels, predicted, average="macro"),
        "balanced-accuracy": metrics.recall_score(labels, predicted, labels=occurring, average="macro"),
        "NLL": metrics.log_loss(labels, probabilities, labels=every),
        "Brier": metrics.brier_score_loss(labels, probabilities, labels=every, scale_by_half=False),
    }
    for name, value in expected.items():
        assert statistics[name].value == pytest.approx(value, abs=1e-12), name
    recalls = metrics.recall_score(labels, predicted, labels=occurring, average=None)
    own = per_class_statistics(predicted, labels, names(9))
    assert {name: one.value for name, one in own.items()} == pytest.approx(
        {f"per-class:class {index}": recall for index, recall in zip(occurring, recalls, strict=True)}
    )


def test_equals_torchmetrics() -> None:
    import torch
    from torchmetrics.functional import classification

    probabilities, labels = random_case(9, 400, classes=8, occurring=8)
    statistics = classification_statistics(probabilities, labels, names(8))
    given, truth = torch.tensor(probabilities), torch.tensor(labels)
    for name, value in {
        "top-1": classification.multiclass_accuracy(given, truth, 8, average="micro"),
        "top-5": classification.multiclass_accuracy(given, truth, 8, average="micro", top_k=5),
        "macro-F1": classification.multiclass_f1_score(given, truth, 8, average="macro"),
        "balanced-accuracy": classification.multiclass_accuracy(given, truth, 8, average="macro"),
        "ECE": classification.multiclass_calibration_error(given, truth, 8, n_bins=15),
    }.items():
        assert statistics[name].value == pytest.approx(float(value), abs=1e-6), name


@given(cases(), st.data())
@settings(max_examples=150, deadline=None)
def test_equals_slow_reference_on_any_resample(case: tuple[FloatArray, IntArray], data: st.DataObject) -> None:
    probabilities, labels = case
    n, classes = probabilities.shape
    statistics = classification_statistics(probabilities, labels, names(classes))
    assert list(statistics) == [name for name in NAMES if name != "top-5" or classes > 5]
    drawn = st.lists(st.integers(0, n - 1), min_size=1, max_size=2 * n)
    rows = [list(range(n)), *data.draw(st.lists(drawn, min_size=1, max_size=3))]
    counts = np.array([np.bincount(row, minlength=n) for row in rows])
    repeated = [classification_statistics(probabilities[row], labels[row], names(classes)) for row in rows]
    for name, one in statistics.items():
        scores = one.resample(counts)
        assert one.per_sample.shape == (n,)
        assert scores[0] == pytest.approx(one.value, abs=1e-12)
        if "null" not in name:  # whose copies of a sample share its simulated outcomes
            np.testing.assert_allclose(scores, [other[name].value for other in repeated], atol=1e-12)
        if "ECE" not in name:
            np.testing.assert_allclose(scores, [slow(probabilities[row], labels[row])[name] for row in rows])


def test_proportions_are_known_and_have_a_wilson_interval() -> None:
    probabilities, labels = random_case(0, 50, classes=6, occurring=6)
    statistics = classification_statistics(probabilities, labels, names(6))
    assert [name for name, one in statistics.items() if isinstance(one, Proportion)] == ["top-1", "top-5"]
    top = statistics["top-1"]
    assert isinstance(top, Proportion)
    low, high = wilson(int(top.successes.sum()), len(top.successes))
    assert low < top.value < high


def test_a_bootstrap_interval_surrounds_a_mean_over_classes() -> None:
    statistics = classification_statistics(*random_case(0, 300, classes=6, occurring=6), names(6))
    for name in ("macro-F1", "balanced-accuracy", "NLL", "Brier"):
        low, high = bootstrap(statistics[name], resamples=200)[:2]
        assert low < statistics[name].value < high


def test_probabilities_of_nought_and_one() -> None:
    statistics = classification_statistics(np.eye(2)[[0, 0]], np.array([0, 1]), ["a", "b"])
    assert statistics["NLL"].per_sample == pytest.approx([0, 52 * math.log(2)])
    assert statistics["Brier"].per_sample.tolist() == [0, 2]
    assert statistics["ECE-null"].value == 0


def test_a_sum_slightly_above_one_is_taken() -> None:
    statistics = classification_statistics(np.array([[1.0005, 0.0]]), np.array([0]), ["a", "b"])
    assert statistics["ECE"].value == 0
    assert statistics["NLL"].value == pytest.approx(-0.0005, abs=1e-6)


@pytest.mark.parametrize(
    "rows, labels, classes, message",
    [
        (np.zeros((0, 2)), [], ["a", "b"], "nothing to score"),
        (np.zeros((2, 0)), [0, 0], [], "nothing to score"),
        ([[0.5, 0.5]], [0, 1], ["a", "b"], "do not fit"),
        ([0.5, 0.5], [0, 1], ["a", "b"], "do not fit"),
        ([[0.5, 0.5]], [0], ["a"], "2 columns but there are 1 classes"),
        ([[0.5, 0.5]], [0], ["a", "a"], "'a' occurs twice"),
        ([[0.5, 0.5], [0.5, 0.5]], [0, 2], ["a", "b"], "Row 1 has the label 2"),
        ([[0.5, 0.5]], [-1], ["a", "b"], "Row 0 has the label -1"),
        ([[0.5, 0.5]], [0.0], ["a", "b"], "type float64"),
        ([[0.5, 0.5], [0.5, float("nan")]], [0, 0], ["a", "b"], "Row 1 .* nan for class 1"),
        ([[float("inf"), float("-inf")]], [0], ["a", "b"], "Row 0 .* inf for class 0"),
        ([[0.5, 0.5], [0.6, 0.5], [3, 3]], [0, 0, 0], ["a", "b"], r"Row 1 .* sums to 1.1 \(2 such rows\)"),
        ([[1.2, -0.2]], [0], ["a", "b"], "Row 0 .* -0.2 for class 1"),
    ],
)
def test_refuses(rows: list[list[float]], labels: list[int], classes: list[str], message: str) -> None:
    scores, truth = np.array(rows, dtype=np.float64), np.array(labels, dtype=None if labels else np.int64)
    with pytest.raises(DataError, match=message):
        classification_statistics(scores, truth, classes)


def test_a_thousand_resamples_are_quick() -> None:
    statistics = classification_statistics(*random_case(0, 1000, classes=50, occurring=50), names(50))
    counts = np.random.default_rng(0).multinomial(1000, [1 / 1000] * 1000, size=1000)
    for name, one in statistics.items():
        start = time.process_time()
        assert np.isfinite(one.resample(counts)).all()
        assert cpu_seconds(start) < 3, name

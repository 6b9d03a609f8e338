from __future__ import annotations

import math
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.answers import UNKNOWN
from harness.errors import DataError
from harness.metrics.labels.multilabel import multilabel_statistics
from tests.machine_pace import cpu_seconds

FloatArray = npt.NDArray[np.float64]
LabelArray = npt.NDArray[np.int8]
Case = tuple[FloatArray, LabelArray]
HAND: Case = np.array([[0.9, 0.2], [0.8, 0.6], [0.8, 0.1], [0.3, 0.5]]), np.array([[1, 0], [1, 0], [0, 0], [1, 1]])


def names(classes: int) -> list[str]:
    return [f"class {index}" for index in range(classes)]


def random_case(seed: int, n: int, classes: int, decimals: int = 9) -> Case:
    generator = np.random.default_rng(seed)
    labels = (generator.random((n, classes)) < 0.2).astype(np.int8)
    labels[:, -1] = 0
    odds = np.exp(generator.normal(size=(n, classes)) - 1 + 2 * labels)
    return np.round(odds / (1 + odds), decimals), labels


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Scores of few values, so that many are equal, and now and then a class without a positive."""
    n, classes = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    score = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
    scores = draw(st.lists(score, min_size=n * classes, max_size=n * classes))
    labels = draw(st.lists(st.integers(0, 1), min_size=n * classes, max_size=n * classes).filter(any))
    return np.array(scores).reshape(n, classes), np.array(labels, dtype=np.int8).reshape(n, classes)


def slow_average_precision(scores: list[float], labels: list[int]) -> float:
    total = 0.0
    for score, label in zip(scores, labels, strict=True):
        above = [other for other, reached in zip(labels, scores, strict=True) if reached >= score]
        total += label * sum(above) / len(above)
    return total / sum(labels)


def slow(scores: FloatArray, labels: LabelArray) -> dict[str, float]:
    """All metrics label by label; NaN where undefined."""
    f1, precision, hits, either, cross_entropy, squared = [], [], 0, 0, 0.0, 0.0
    for column, truth in zip(scores.T.tolist(), labels.T.tolist(), strict=True):
        found = sum(y for p, y in zip(column, truth, strict=True) if p > 0.5)
        both = sum(truth) + sum(p > 0.5 for p in column)
        hits, either = hits + found, either + both
        if both:
            f1.append(2 * found / both)
        if any(truth):
            precision.append(slow_average_precision(column, truth))
        for p, y in zip(column, truth, strict=True):
            clipped = min(max(p, 1e-7), 1 - 1e-7)
            cross_entropy -= math.log(clipped if y else 1 - clipped)
            squared += (p - y) ** 2
    return {
        "mAP": sum(precision) / len(precision) if precision else math.nan,
        "macro-F1": sum(f1) / len(f1) if f1 else math.nan,
        "micro-F1": 2 * hits / either if either else math.nan,
        "NLL": cross_entropy / scores.size,
        "Brier": squared / scores.size,
    }


def test_by_hand() -> None:
    scores, labels = HAND
    statistics = multilabel_statistics(scores, labels.astype(np.int8), ["a", "b"])
    # Class a: 0.9 gives precision 1; the two of 0.8 enter together with 2 of 3; 0.3 comes with 3 of 4.
    # Class b: 0.5 comes second: 1/2.
    assert statistics["mAP"].value == pytest.approx(((1 + 2 / 3 + 3 / 4) / 3 + 1 / 2) / 2)
    # Above 0.5, class a: 2 right of 3 answers, 3 positives: 4/6. Class b: none of 1 answer (0.5 is not above), 1: 0/2.
    assert statistics["macro-F1"].value == pytest.approx((4 / 6 + 0) / 2)
    assert statistics["micro-F1"].value == pytest.approx(4 / 8)
    assert statistics["Brier"].value == pytest.approx((0.01 + 0.04 + 0.64 + 0.01 + 0.49 + 0.04 + 0.36 + 0.25) / 8)
    assert statistics["NLL"].value == pytest.approx(
        -math.log(0.9 * 0.8 * 0.2 * 0.3 * 0.8 * 0.4 * 0.9 * 0.5) / 8, abs=1e-12
    )


def test_what_samples_score_by_themselves() -> None:
    scores, labels = HAND
    statistics = multilabel_statistics(scores, labels.astype(np.int8), ["a", "b"])
    np.testing.assert_allclose(statistics["mAP"].per_sample, [1, 1, np.nan, 1])
    # Sample 1 is given b as well; sample 2 is given a wrongly; sample 3 is given nothing.
    np.testing.assert_allclose(statistics["micro-F1"].per_sample, [1, 2 / 3, 0, 0])


@pytest.mark.parametrize("seed, decimals", [(0, 9), (1, 9), (2, 1), (3, 1), (4, 0)])
def test_equals_sklearn(seed: int, decimals: int) -> None:
    from sklearn import metrics

    scores, labels = random_case(seed, 150, 6, decimals)
    kept, answers = slice(0, 5), scores > 0.5  # the last class has no positive
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    columns = list(zip(labels.T, clipped.T, strict=True))
    statistics = multilabel_statistics(scores, labels, names(6))
    expected = {
        "mAP": metrics.average_precision_score(labels[:, kept], scores[:, kept], average="macro"),
        "macro-F1": metrics.f1_score(labels, answers, average="macro", zero_division=np.nan),
        "micro-F1": metrics.f1_score(labels, answers, average="micro"),
        "NLL": np.mean([metrics.log_loss(truth, column, labels=[0, 1]) for truth, column in columns]),
        "Brier": np.mean(
            [
                metrics.brier_score_loss(truth, column, pos_label=1)
                for truth, column in zip(labels.T, scores.T, strict=True)
            ]
        ),
    }
    for name, value in expected.items():
        assert statistics[name].value == pytest.approx(value, abs=1e-12), name
    some = labels.any(axis=1)
    ranked = metrics.label_ranking_average_precision_score(labels[some], scores[some])
    assert np.nanmean(statistics["mAP"].per_sample) == pytest.approx(ranked)


def test_equals_torchmetrics() -> None:
    import torch
    from torchmetrics.functional import classification

    scores, labels = random_case(5, 200, 5, decimals=1)  # many are exactly 0.5
    scores, labels = scores[:, :4], labels[:, :4]
    statistics = multilabel_statistics(scores, labels, names(4))
    given, truth = torch.tensor(scores), torch.tensor(labels.astype(np.int64))
    for name, value in {
        "mAP": classification.multilabel_average_precision(given, truth, 4, average="macro"),
        "macro-F1": classification.multilabel_f1_score(given, truth, 4, average="macro"),
        "micro-F1": classification.multilabel_f1_score(given, truth, 4, average="micro"),
    }.items():
        assert statistics[name].value == pytest.approx(float(value), abs=1e-6), name


@given(cases(), st.data())
@settings(max_examples=150, deadline=None)
def test_equals_slow_reference_on_any_resample(case: Case, data: st.DataObject) -> None:
    scores, labels = case
    n, classes = scores.shape
    statistics = multilabel_statistics(scores, labels, names(classes))
    drawn = st.lists(st.integers(0, n - 1), min_size=1, max_size=2 * n)
    rows = [list(range(n)), *data.draw(st.lists(drawn, min_size=1, max_size=3))]
    counts = np.array([np.bincount(row, minlength=n) for row in rows])
    expected = [slow(scores[row], labels[row]) for row in rows]
    for name, one in statistics.items():
        result = one.resample(counts)
        assert one.per_sample.shape == (n,)
        assert result[0] == pytest.approx(one.value, abs=1e-12)
        np.testing.assert_allclose(result, [other[name] for other in expected], atol=1e-12)


@st.composite
def partly_known(draw: st.DrawFn) -> Case:
    """As above, with labels that nobody knows."""
    scores, labels = draw(cases())
    hidden = np.array(draw(st.lists(st.booleans(), min_size=labels.size, max_size=labels.size))).reshape(labels.shape)
    hidden &= labels == 0
    return scores, np.where(hidden, UNKNOWN, labels).astype(np.int8)


@given(partly_known())
@settings(max_examples=150, deadline=None)
def test_what_is_unknown_counts_neither_way(case: Case) -> None:
    """Against scikit-learn on the known labels of each class, and on all known labels together."""
    from sklearn import metrics

    scores, labels = case
    known = labels != UNKNOWN
    statistics = multilabel_statistics(scores, labels, names(labels.shape[1]))
    columns = [(labels[k, c], scores[k, c]) for c, k in enumerate(known.T)]
    f1 = [metrics.f1_score(y, p > 0.5, zero_division=np.nan) if len(y) else np.nan for y, p in columns]
    expected = {
        "mAP": np.mean([metrics.average_precision_score(y, p) for y, p in columns if y.any()]),
        "macro-F1": np.mean([score for score in f1 if not np.isnan(score)]),
        "micro-F1": metrics.f1_score(labels[known], scores[known] > 0.5),
        "Brier": metrics.brier_score_loss(labels[known], scores[known], pos_label=1),
    }
    assert {name: statistics[name].value for name in expected} == pytest.approx(expected, abs=1e-9)
    n = len(labels)
    for row in (np.arange(n), np.append(np.arange(n), 0), np.repeat(np.arange(n), 2)):
        again = multilabel_statistics(scores[row], labels[row], names(labels.shape[1]))
        counts = np.bincount(row, minlength=n)[None]
        for name, one in statistics.items():
            assert one.resample(counts)[0] == pytest.approx(again[name].value, abs=1e-9), name
    turned = np.where(known, scores, 1 - scores)
    moved = multilabel_statistics(turned, labels, names(labels.shape[1]))
    for name, one in moved.items():
        assert one.value == statistics[name].value, "the answer where nobody knows moves nothing"
        np.testing.assert_array_equal(one.per_sample, statistics[name].per_sample)


def test_an_unknown_label_by_hand() -> None:
    """Three images: a cat, none, and one that may be a cat (difficult), which ranks first."""
    scores = np.array([[0.8], [0.2], [0.9]])
    statistics = multilabel_statistics(scores, np.array([[1], [0], [UNKNOWN]], dtype=np.int8), ["cat"])
    assert statistics["mAP"].value == statistics["macro-F1"].value == statistics["micro-F1"].value == 1
    assert statistics["Brier"].value == pytest.approx(0.04)
    assert np.isnan(statistics["Brier"].per_sample[2])


def test_a_resample_without_positives_has_no_precision() -> None:
    statistics = multilabel_statistics(np.array([[0.9], [0.1]]), np.array([[1], [0]], dtype=np.int8), ["a"])
    counts = np.array([[0, 2]])
    assert all(np.isnan(statistics[name].resample(counts)[0]) for name in ("mAP", "macro-F1", "micro-F1"))


@pytest.mark.parametrize(
    "scores, labels, classes, message",
    [
        (np.zeros((0, 2)), np.zeros((0, 2)), ["a", "b"], "nothing to score"),
        ([[0.5, 0.5]], [[1]], ["a", "b"], "do not fit"),
        ([0.5], [1], ["a"], "do not fit"),
        ([[0.5]], [[1]], ["a", "b"], "1 columns but there are 2 classes"),
        ([[0.5, 0.5]], [[1, 0]], ["b", "b"], "'b' occurs twice"),
        ([[0.5, 0.5], [0.5, 1.5]], [[1, 0], [1, 0]], ["a", "b"], "Row 1 has the score 1.5 for 'b'"),
        ([[float("nan")]], [[1]], ["a"], "Row 0 has the score nan for 'a'"),
        ([[0.5]], [[2]], ["a"], "Row 0 has the label 2 for 'a'"),
        ([[0.5]], [[0]], ["a"], "No sample has any label"),
    ],
)
def test_refuses(scores: list[list[float]], labels: list[list[int]], classes: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        multilabel_statistics(np.array(scores, dtype=np.float64), np.array(labels, dtype=np.int8), classes)


def test_a_thousand_resamples_are_quick() -> None:
    statistics = multilabel_statistics(*random_case(0, 1000, 50), names(50))
    counts = np.random.default_rng(0).multinomial(1000, [1 / 1000] * 1000, size=1000)
    for name, one in statistics.items():
        start = time.process_time()
        assert np.isfinite(one.resample(counts)).all()
        assert cpu_seconds(start) < 1.5, name

from __future__ import annotations

import math
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.metrics.labels.probabilities import top_class
from harness.metrics.labels.zero_shot import recall_statistics, zero_shot_statistics
from harness.stats.proportions import Proportion
from tests.harness.stats.single_metrics import bootstrap
from tests.machine_pace import cpu_seconds

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Case = tuple[FloatArray, IntArray, BoolArray]
# Seen: classes 0 and 1. Margins, log of best seen over best unseen: 6/2, 2/5, 2/4, 4/3, 3/6, 4/4.
HAND: Case = (
    np.array(
        [
            [0.6, 0.1, 0.2, 0.1],  # seen 0, right
            [0.2, 0.1, 0.5, 0.2],  # seen 0, right but for a bias towards unseen classes
            [0.2, 0.2, 0.4, 0.2],  # seen 1, wrong among seen classes as well
            [0.4, 0.1, 0.2, 0.3],  # unseen 3, wrong but right among unseen classes
            [0.1, 0.3, 0.6, 0.0],  # unseen 2, right
            [0.4, 0.1, 0.4, 0.1],  # unseen 3, wrong among unseen classes as well
        ]
    ),
    np.array([0, 0, 1, 3, 2, 3]),
    np.array([True, True, False, False]),
)


def random_case(seed: int, n: int, classes: int) -> Case:
    generator = np.random.default_rng(seed)
    labels, seen = generator.integers(0, classes, n), np.arange(classes) < classes // 2
    logits = 2 * generator.normal(size=(n, classes)) + seen
    logits[np.arange(n), labels] += 3
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True), labels, seen


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Probabilities of small integers, so that many are equal and some are 0."""
    n, classes = draw(st.integers(1, 12)), draw(st.integers(2, 6))
    row = st.lists(st.integers(0, 3), min_size=classes, max_size=classes).filter(any)
    odds = np.array(draw(st.lists(row, min_size=n, max_size=n)), dtype=np.float64)
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    seen = draw(st.lists(st.booleans(), min_size=classes, max_size=classes))
    return odds / odds.sum(axis=1, keepdims=True), np.array(labels), np.array(seen)


def recall(right: list[bool], labels: list[int]) -> float:
    """The mean over the classes of `labels`."""
    shares = []
    for index in sorted(set(labels)):
        own = [hit for hit, label in zip(right, labels, strict=True) if label == index]
        shares.append(sum(own) / len(own))
    return sum(shares) / len(shares)


def answers(rows: list[list[float]], among: list[int]) -> list[int]:
    """The class of the highest probability among some; -1 where several share it."""
    best = [[index for index in among if row[index] == max(row[c] for c in among)] for row in rows]
    return [found[0] if len(found) == 1 else -1 for found in best]


def slow(probabilities: FloatArray, labels: IntArray, seen: BoolArray) -> dict[str, float]:
    """Every metric by its words; for the area each sample goes over in order of its margin."""
    rows, truth, every = probabilities.tolist(), labels.tolist(), list(range(len(seen)))
    old, new = [c for c in every if seen[c]], [c for c in every if not seen[c]]

    def side(given: list[int], which: list[int]) -> float:
        mine = [i for i, label in enumerate(truth) if label in which]
        return recall([given[i] == truth[i] for i in mine], [truth[i] for i in mine])

    joint, result = answers(rows, every), {}
    has_old, has_new = any(label in old for label in truth), any(label in new for label in truth)
    if has_new:
        among_new = answers(rows, new)
        mine = [i for i, label in enumerate(truth) if label in new]
        result["unseen-top-1"] = sum(among_new[i] == truth[i] for i in mine) / len(mine)
        result["U"] = side(joint, new)
    if has_old:
        result["S"] = side(joint, old)
    if has_old and has_new:
        s, u = result["S"], result["U"]
        result["H"] = 2 * s * u / (s + u) if s + u else 0.0
        among_old = answers(rows, old)
        log = [[math.log(p) if p else -math.inf for p in row] for row in rows]
        margin = [max(row[c] for c in old) - max(row[c] for c in new) for row in log]
        area, before = 0.0, (side(among_old, old), side(among_old, new))
        for cut in sorted(set(margin)):
            given = [a if m > cut else b for m, a, b in zip(margin, among_old, among_new, strict=True)]
            after = (side(given, old), side(given, new))
            area += (after[1] - before[1]) * (before[0] + after[0]) / 2
            before = after
        result["AUSUC"] = area
    return result


def swept_area(probabilities: FloatArray, labels: IntArray, seen: BoolArray) -> float:
    """Take real biases off the logarithms, one between any two margins."""
    log = np.log(probabilities)
    margin = np.unique(log[:, seen].max(axis=1) - log[:, ~seen].max(axis=1))
    biases = [margin[0] - 1, *(margin[1:] + margin[:-1]) / 2, margin[-1] + 1]
    curve = []
    for bias in biases:
        right = (log - bias * seen).argmax(axis=1) == labels
        curve.append([np.mean([right[labels == c].mean() for c in np.flatnonzero(which)]) for which in (seen, ~seen)])
    s, u = np.transpose(curve)
    return float(np.trapezoid(s, u))


def test_by_hand() -> None:
    statistics = zero_shot_statistics(*HAND)
    assert list(statistics) == ["unseen-top-1", "S", "U", "H", "AUSUC"]
    assert statistics["unseen-top-1"].value == pytest.approx(2 / 3)
    assert statistics["S"].value == pytest.approx((1 / 2 + 0) / 2)
    assert statistics["U"].value == pytest.approx((1 + 0) / 2)
    assert statistics["H"].value == pytest.approx(2 * 0.25 * 0.5 / 0.75)
    # Right seen samples weigh 1/4 each, at margins log 3 and log 0.4; right unseen ones 1/4 for the one of class 3
    # (log 4/3) and 1/2 for that of class 2 (log 1/2). Pairs won: log 3 > both.
    assert statistics["AUSUC"].value == pytest.approx(1 / 4 * (1 / 4 + 1 / 2))


def test_what_samples_score_by_themselves() -> None:
    statistics = zero_shot_statistics(*HAND)
    np.testing.assert_array_equal(statistics["unseen-top-1"].per_sample, [np.nan, np.nan, np.nan, 1, 1, 0])
    np.testing.assert_array_equal(statistics["S"].per_sample, [1, 0, 0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(statistics["H"].per_sample, [1, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(statistics["AUSUC"].per_sample, [3 / 4, 0, 0, 1 / 4, 1 / 4, 0])


@pytest.mark.parametrize("seed", range(5))
def test_area_equals_a_sweep_of_real_biases(seed: int) -> None:
    case = random_case(seed, 120, 6)
    statistics = zero_shot_statistics(*case)["AUSUC"]
    assert 0.1 < statistics.value == pytest.approx(swept_area(*case), abs=1e-12)
    _, labels, seen = case
    for side in (seen, ~seen):
        means = [statistics.per_sample[labels == index].mean() for index in np.flatnonzero(side)]
        assert np.mean(means) == pytest.approx(statistics.value, abs=1e-12)


def test_a_constant_bias_moves_h_but_not_the_area() -> None:
    probabilities, labels, seen = random_case(0, 300, 6)
    biased = probabilities * np.where(seen, 30.0, 1.0)
    biased /= biased.sum(axis=1, keepdims=True)
    plain, other = zero_shot_statistics(probabilities, labels, seen), zero_shot_statistics(biased, labels, seen)
    assert other["H"].value < plain["H"].value - 0.1
    assert other["AUSUC"].value == pytest.approx(plain["AUSUC"].value, abs=1e-9)
    assert other["unseen-top-1"].value == plain["unseen-top-1"].value


@given(cases(), st.data())
@settings(max_examples=200, deadline=None)
def test_equals_slow_reference_on_any_resample(case: Case, data: st.DataObject) -> None:
    probabilities, labels, seen = case
    n = len(labels)
    statistics = zero_shot_statistics(probabilities, labels, seen)
    drawn = st.lists(st.integers(0, n - 1), min_size=1, max_size=2 * n)
    rows = [list(range(n)), *data.draw(st.lists(drawn, min_size=1, max_size=3))]
    counts = np.array([np.bincount(row, minlength=n) for row in rows])
    expected = [slow(probabilities[row], labels[row], seen) for row in rows]
    assert set(statistics) == set(expected[0])
    for name, one in statistics.items():
        scores = one.resample(counts)
        assert one.per_sample.shape == (n,)
        assert scores[0] == pytest.approx(one.value, abs=1e-12)
        np.testing.assert_allclose(scores, [other.get(name, math.nan) for other in expected], atol=1e-12)


def test_answers_that_never_name_an_unseen_class_are_no_answers_among_them() -> None:
    probabilities = np.array([[1.0, 0.0, 0.0], [0.0, 0.6, 0.4]])
    found = zero_shot_statistics(probabilities, np.array([1, 1]), np.array([True, False, False]))
    np.testing.assert_array_equal(found["unseen-top-1"].per_sample, [0, 1])


@given(cases(), st.randoms())
@settings(max_examples=80, deadline=None)
def test_no_score_depends_on_the_order_of_the_classes(case: Case, random: object) -> None:
    probabilities, labels, seen = case
    order = list(range(len(seen)))
    random.shuffle(order)  # type: ignore[attr-defined]
    first = zero_shot_statistics(probabilities, labels, seen)
    other = zero_shot_statistics(probabilities[:, order], np.argsort(order)[labels], seen[order])
    assert {n: pytest.approx(s.value, abs=1e-9) for n, s in other.items()} == {n: s.value for n, s in first.items()}


@given(cases())
@settings(max_examples=80, deadline=None)
def test_recalls_need_no_probabilities(case: Case) -> None:
    probabilities, labels, seen = case
    whole = zero_shot_statistics(probabilities, labels, seen)
    found = recall_statistics(top_class(probabilities), labels, seen)
    assert set(found) == set(whole) - {"unseen-top-1", "AUSUC"}
    assert {name: one.value for name, one in found.items()} == {name: whole[name].value for name in found}


def test_resample_is_the_value_of_the_repeated_data() -> None:
    probabilities, labels, seen = random_case(0, 60, 6)
    counts = np.random.default_rng(0).multinomial(60, [1 / 60] * 60, size=8)
    drawn = [np.repeat(np.arange(60), count) for count in counts]
    repeated = [zero_shot_statistics(probabilities[rows], labels[rows], seen) for rows in drawn]
    for name, one in zero_shot_statistics(probabilities, labels, seen).items():
        np.testing.assert_allclose(one.resample(counts), [other[name].value for other in repeated], atol=1e-12)


def test_recall_equals_sklearn() -> None:
    from sklearn.metrics import recall_score

    probabilities, labels, seen = random_case(3, 200, 6)
    statistics = zero_shot_statistics(probabilities, labels, seen)
    for name, side in (("S", seen), ("U", ~seen)):
        expected = recall_score(labels, probabilities.argmax(axis=1), labels=np.flatnonzero(side), average="macro")
        assert statistics[name].value == pytest.approx(expected, abs=1e-12)


def test_logarithms_give_the_same() -> None:
    probabilities, labels, seen = random_case(1, 80, 6)
    plain = zero_shot_statistics(probabilities, labels, seen)
    with np.errstate(divide="ignore"):
        logarithms = zero_shot_statistics(np.log(probabilities), labels, seen, logarithms=True)
    assert {name: one.value for name, one in plain.items()} == {name: one.value for name, one in logarithms.items()}


def test_only_what_is_defined_is_returned() -> None:
    probabilities, labels, seen = HAND
    assert list(zero_shot_statistics(probabilities[:3], labels[:3], seen)) == ["S"]
    assert list(zero_shot_statistics(probabilities[3:], labels[3:], seen)) == ["unseen-top-1", "U"]
    statistics = zero_shot_statistics(probabilities, labels, seen)
    only_seen = np.array([[1, 1, 4, 0, 0, 0]])
    assert statistics["S"].resample(only_seen) == pytest.approx([(1 / 2 + 0) / 2])
    for name in ("unseen-top-1", "U", "H", "AUSUC"):
        assert np.isnan(statistics[name].resample(only_seen)).all()


def test_nothing_right_is_nought() -> None:
    statistics = zero_shot_statistics(np.eye(2), np.array([1, 0]), np.array([True, False]))
    assert statistics["H"].value == 0
    assert statistics["AUSUC"].value == 0
    assert statistics["AUSUC"].resample(np.array([[2, 0]])) == pytest.approx([math.nan], nan_ok=True)


def test_unseen_top_1_is_a_proportion_of_unseen_samples() -> None:
    statistics = zero_shot_statistics(*HAND)
    assert [name for name, one in statistics.items() if isinstance(one, Proportion)] == ["unseen-top-1"]
    assert isinstance(ranked := statistics["unseen-top-1"], Proportion)
    assert ranked.successes.tolist() == [True, True, False]


@pytest.mark.parametrize(
    "rows, labels, seen, logarithms, message",
    [
        (np.zeros((0, 2)), [], [True, False], False, "nothing to score"),
        ([[0.5, 0.5]], [2], [True, False], False, "Row 0 has the label 2"),
        ([[0.5, 0.6]], [0], [True, False], False, "Row 0 .* sums to 1.1"),
        ([[0.5, float("nan")]], [0], [True, False], True, "Row 0 .* nan for class 1"),
        ([[0.5, 0.5]], [0], [True, False], True, "Row 0 .* sums to 3.29"),
        ([[1e9, 0.5]], [0], [True, False], True, "Row 0 .* inf for class 0"),
        ([[0.5, 0.5]], [0], [True], False, r"shape \(1,\)"),
        ([[0.5, 0.5]], [0], [1, 0], False, "type int64"),
    ],
)
def test_refuses(rows: list[list[float]], labels: list[int], seen: list[bool], logarithms: bool, message: str) -> None:
    with pytest.raises(DataError, match=message):
        zero_shot_statistics(
            np.array(rows, dtype=np.float64), np.array(labels, dtype=np.int64), np.array(seen), logarithms=logarithms
        )


def test_a_thousand_resamples_are_quick() -> None:
    statistics = zero_shot_statistics(*random_case(0, 1600, 40))
    start = time.process_time()
    low, high = bootstrap(statistics["AUSUC"], resamples=1000)[:2]
    assert cpu_seconds(start) < 3.0
    assert low < statistics["AUSUC"].value < high

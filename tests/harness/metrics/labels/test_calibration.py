from __future__ import annotations

from itertools import groupby, product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.metrics.labels.calibration import EqualMassError, EqualWidthError, calibration_statistics
from harness.metrics.labels.drawn_gaps import Gaps
from harness.stats.proportions import Proportion

Samples = list[tuple[float, bool]]
NAMES = ["ECE", "adaptive-ECE", "ECE-null", "adaptive-ECE-null"]
# Few different confidences, so that many are equal, lie on edges of bins, or are the ends.
samples = st.lists(
    st.tuples(st.one_of(st.sampled_from([0.0, 0.2, 0.5, 14 / 15, 1.0]), st.floats(0, 1)), st.booleans()),
    min_size=1,
    max_size=40,
)


def arrays(pairs: Samples) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    return np.array([c for c, _ in pairs], dtype=np.float64), np.array([y for _, y in pairs], dtype=np.bool_)


def scores(pairs: Samples) -> dict[str, float]:
    return {name: s.value for name, s in calibration_statistics(*arrays(pairs)).items()}


def slow_equal_width(pairs: Samples) -> float:
    error = 0.0
    edges = np.linspace(0, 1, 16).tolist()
    for low, high in zip(edges, [*edges[1:], 2.0], strict=True):
        error += abs(sum(y - c for c, y in pairs if low <= c < high))
    return error / len(pairs)


def slow_equal_mass(pairs: Samples) -> float:
    """Cut each sample into 15 slices, level equal confidences, and put n slices into each bin."""
    slices = []
    for _, same in groupby(sorted(pairs), key=lambda pair: pair[0]):
        gaps = [y - c for c, y in same]
        slices += [sum(gaps) / len(gaps)] * (15 * len(gaps))
    n = len(pairs)
    return sum(abs(sum(slices[b * n : (b + 1) * n])) for b in range(15)) / (15 * n)


def test_by_hand() -> None:
    # Equal width: bins [0.6, 0.667) with gaps +0.4 and -0.6, sum -0.2; [0.8, 0.867) with +0.2; so (0.2 + 0.2) / 3.
    # Equal mass: every bin is a fifth of a sample; the two of 0.6 are one run of gap -0.1 each: (0.1 + 0.1 + 0.2) / 3.
    result = scores([(0.6, True), (0.81, True), (0.6, False)])
    assert result["ECE"] == pytest.approx((0.2 + 0.19) / 3, abs=1e-15)
    assert result["adaptive-ECE"] == pytest.approx((0.1 + 0.1 + 0.19) / 3, abs=1e-15)


def test_full_confidence_has_a_bin_of_its_own() -> None:
    assert scores([(1.0, False), (0.95, True)])["ECE"] == pytest.approx((1 + 0.05) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_equal_width_equals_torchmetrics(seed: int) -> None:
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(4, 0.3), size=301)
    probabilities[:5] = np.eye(4)[[0, 1, 2, 3, 0]]
    labels = generator.integers(0, 4, 301)
    expected = multiclass_calibration_error(torch.tensor(probabilities), torch.tensor(labels), 4, n_bins=15, norm="l1")
    statistics = calibration_statistics(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
    assert statistics["ECE"].value == pytest.approx(float(expected), abs=1e-6)  # it computes in single precision


def test_equal_mass_is_the_plain_rule_where_it_divides() -> None:
    generator = np.random.default_rng(0)
    confidence, correct = generator.random(15 * 7), generator.random(15 * 7) < 0.7
    parts = np.split(np.argsort(confidence), 15)
    expected = sum(abs(correct[part].mean() - confidence[part].mean()) / 15 for part in parts)
    assert calibration_statistics(confidence, correct)["adaptive-ECE"].value == pytest.approx(expected, abs=1e-14)


@given(samples)
@settings(max_examples=150, deadline=None)
def test_equals_slow_references(pairs: Samples) -> None:
    result = scores(pairs)
    assert result["ECE"] == pytest.approx(slow_equal_width(pairs), abs=1e-12)
    assert result["adaptive-ECE"] == pytest.approx(slow_equal_mass(pairs), abs=1e-12)


@given(samples, st.data())
@settings(max_examples=100, deadline=None)
def test_resample_is_the_value_of_the_repeated_data(pairs: Samples, data: st.DataObject) -> None:
    n = len(pairs)
    drawn = st.lists(st.integers(0, n - 1), min_size=1, max_size=2 * n)
    rows = data.draw(st.lists(drawn, min_size=1, max_size=3))
    counts = np.array([np.bincount(row, minlength=n) for row in rows])
    statistics = calibration_statistics(*arrays(pairs))
    for name, slow in [("ECE", slow_equal_width), ("adaptive-ECE", slow_equal_mass)]:
        expected = [slow([pairs[i] for i in row]) for row in rows]
        np.testing.assert_allclose(statistics[name].resample(counts), expected, atol=1e-12)
    for one in statistics.values():
        np.testing.assert_allclose(one.resample(np.ones((2, n), dtype=np.int64)), one.value, atol=1e-12)


@pytest.mark.parametrize("error", [EqualWidthError, EqualMassError])
def test_null_of_a_resample_repeats_its_outcomes(error: type[EqualWidthError] | type[EqualMassError]) -> None:
    generator = np.random.default_rng(1)
    confidence = np.round(generator.random(50), 1)
    statistics = calibration_statistics(confidence, np.ones(50, dtype=np.bool_))
    null = statistics["ECE-null" if error is EqualWidthError else "adaptive-ECE-null"]
    counts = generator.multinomial(50, [1 / 50] * 50, size=3)
    scores = null.resample(counts)
    for row, score in zip(counts, scores, strict=True):
        repeats = np.repeat(np.arange(50), row[null.gaps.order])
        repeated = Gaps(np.arange(50), null.gaps.confidence[repeats], null.gaps.outcomes[repeats])
        one_by_one = [
            error(Gaps(repeated.order, repeated.confidence, repeated.outcomes[:, draw : draw + 1])).value
            for draw in range(null.gaps.outcomes.shape[1])
        ]
        assert score == pytest.approx(np.mean(one_by_one), abs=1e-12)


def test_null_is_the_expectation_over_outcomes() -> None:
    confidence = [0.55, 0.6, 0.61, 0.9]
    expected = {"ECE-null": 0.0, "adaptive-ECE-null": 0.0}
    for outcome in product([False, True], repeat=4):
        pairs = list(zip(confidence, outcome, strict=True))
        chance = float(np.prod([c if y else 1 - c for c, y in pairs]))
        expected["ECE-null"] += chance * slow_equal_width(pairs)
        expected["adaptive-ECE-null"] += chance * slow_equal_mass(pairs)
    result = scores([(c, True) for c in confidence])
    for name, value in expected.items():  # the standard error of 1,000 draws is below 0.01 here
        assert result[name] == pytest.approx(value, abs=0.03)


@pytest.mark.parametrize("n, percent", [(150, 6.3), (300, 4.4), (600, 3.1), (2000, 1.7), (10000, 0.75)])
def test_null_has_the_known_values(n: int, percent: float) -> None:
    # Known for an unnamed distribution. Confidences spread evenly over 0.59..1 come near: 10,000 draws give
    # 6.35, 4.45, 3.17, 1.73 and 0.77 %; the 200 to 1,000 draws taken leave a standard error of up to 2 %.
    confidence = 0.59 + 0.41 * (np.arange(n) + 0.5) / n
    null = calibration_statistics(confidence, np.ones(n, dtype=np.bool_))["ECE-null"]
    assert 100 * null.value == pytest.approx(percent, rel=0.04)


def test_calibrated_outcomes_score_as_the_null_and_others_above() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.3, 1, 2000)
    calibrated = calibration_statistics(confidence, generator.random(2000) < confidence)
    too_sure = calibration_statistics(confidence, generator.random(2000) < confidence**2)
    for name in ("ECE", "adaptive-ECE"):
        null = calibrated[f"{name}-null"].value
        assert calibrated[name].value == pytest.approx(null, rel=0.5)
        assert too_sure[name].value > 4 * null


@pytest.mark.parametrize("digits", [1, 2, 16], ids=["few runs", "many equal", "all differ"])
def test_errors_of_many_samples_are_those_of_the_repeated_data(digits: int) -> None:
    generator = np.random.default_rng(4)
    confidence = np.round(generator.random(3000), digits)
    correct = generator.random(3000) < confidence
    whole = calibration_statistics(confidence, correct)
    counts = np.stack([generator.multinomial(3000, [1 / 3000] * 3000), generator.integers(0, 2, 3000) * 3])
    for row, *found in zip(counts, whole["ECE"].resample(counts), whole["adaptive-ECE"].resample(counts), strict=True):
        drawn = np.repeat(np.arange(3000), row)
        again = list(zip(confidence[drawn].tolist(), correct[drawn].tolist(), strict=True))
        assert found == pytest.approx([slow_equal_width(again), slow_equal_mass(again)], abs=1e-12)


def test_the_order_of_samples_moves_nothing() -> None:
    generator = np.random.default_rng(0)
    confidence, correct = np.round(generator.random(200), 2), generator.random(200) < 0.5
    order = generator.permutation(200)
    one, other = calibration_statistics(confidence, correct), calibration_statistics(confidence[order], correct[order])
    for name in NAMES:
        assert one[name].value == pytest.approx(other[name].value, abs=1e-12)
        if "null" not in name:
            np.testing.assert_allclose(one[name].per_sample[order], other[name].per_sample)


def test_shape_of_the_statistics() -> None:
    statistics = calibration_statistics(np.array([0.7, 0.2]), np.array([False, True]))
    assert list(statistics) == NAMES
    assert statistics["ECE"].per_sample.tolist() == [0.7, 0.8]
    # Of confidence 0.7 chance alone makes 0.3 with a chance of 0.7 and 0.7 with one of 0.3.
    assert statistics["ECE-null"].per_sample == pytest.approx([0.42, 0.32], abs=0.06)
    assert not any(isinstance(one, Proportion) for one in statistics.values())


@pytest.mark.parametrize(
    "confidence, correct, message",
    [
        ([], [], "at least one sample"),
        ([0.5], [True, False], r"shape \(1,\)"),
        ([[0.5]], [[True]], r"shape \(1, 1\)"),
        ([0.5, float("nan")], [True, True], "Row 1 has the confidence nan"),
        ([1.5], [True], "Row 0 has the confidence 1.5"),
    ],
)
def test_refuses(confidence: list[float], correct: list[bool], message: str) -> None:
    with pytest.raises(DataError, match=message):
        calibration_statistics(np.array(confidence, dtype=np.float64), np.array(correct, dtype=np.bool_))

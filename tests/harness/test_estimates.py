"""Statistics to intervals: which kind each metric gets, what is absent, what EMAP adds, what is stored a sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from harness.estimates import estimate, estimates
from harness.metrics.classification import classification_statistics
from harness.metrics.grouped import GroupedStatistics
from harness.metrics.proportions import Proportion, ProportionStatistics, proportion
from harness.metrics.resampling import MeanStatistics
from harness.run import _Runner
from harness.sample import Outcome, Predicted, Sample
from harness.scored import sample_columns
from harness.uncertainty import bootstrap_interval, clustered_wilson, wilson


@dataclass(frozen=True)
class Undefined:
    """A metric that is defined on the whole and on `share` of the resamples."""

    share: float
    per_sample: npt.NDArray[np.float64]
    value: float = 0.5

    def resample(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        defined = np.arange(len(counts)) < self.share * len(counts)
        return np.where(defined, counts[:, 0] / 10, np.nan)


def test_a_proportion_has_wilsons_interval() -> None:
    found = estimate(proportion(np.array([True] * 8 + [False] * 2)), 100)
    assert found is not None
    assert (found.value, (found.low, found.high), found.count) == (0.8, wilson(8, 10), 10)


def test_a_proportion_of_some_samples_counts_these() -> None:
    successful, trial = np.array([True, True, False, True]), np.array([True, False, True, False])
    found = estimate(ProportionStatistics(successful, trial), 100)
    assert found is not None
    assert (found.value, (found.low, found.high), found.count) == (0.5, wilson(1, 2), 2)


def test_anything_else_has_a_bootstrap() -> None:
    statistics = MeanStatistics(np.arange(20.0))
    found = estimate(statistics, 300)
    assert found is not None
    assert (found.low, found.high) == bootstrap_interval(statistics, 300)
    assert (found.value, found.count) == (9.5, 20)


def test_groups_are_drawn_together_and_are_no_trials() -> None:
    successes, images = np.repeat([True, False, True], 4), [str(number // 4) for number in range(12)]
    grouped = GroupedStatistics(proportion(successes), images)
    assert not isinstance(grouped, Proportion)
    assert (grouped.value, grouped.per_sample.tolist()) == (2 / 3, [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1])
    counts = np.array([[1] * 12, [2] * 8 + [0] * 4])
    assert grouped.resample(counts).tolist() == [2 / 3, 1 / 2]
    found = estimate(grouped, 500)
    assert found is not None
    assert (found.low, found.high) == clustered_wilson(successes.astype(float), images)
    assert found.low < wilson(8, 12)[0], "three images are fewer than twelve trials"
    assert found.count == 12


def test_trials_in_groups_that_are_some_of_the_samples() -> None:
    successful, trial = np.tile([True, False, True], 4), np.tile([True, True, False], 4)
    images = [str(number // 6) for number in range(12)]
    found = estimate(GroupedStatistics(ProportionStatistics(successful, trial), images), 100)
    assert found is not None
    tried = [image for image, one in zip(images, trial, strict=True) if one]
    assert (found.low, found.high) == clustered_wilson(np.tile([1.0, 0.0], 4), tried)


def test_groups_of_what_is_no_proportion_are_drawn_together() -> None:
    scores, images = np.repeat([0.1, 0.5, 0.9, 0.4], 3), [str(number // 3) for number in range(12)]
    found = estimate(GroupedStatistics(MeanStatistics(scores), images), 500)
    assert found is not None
    assert (found.low, found.high) == bootstrap_interval(MeanStatistics(scores), 500, groups=images)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_what_is_all_or_nothing_on_every_image_is_not_certain(value: float) -> None:
    """AP of a detector that found nothing in 10 images with objects, of 16."""

    @dataclass(frozen=True)
    class Sure:
        value: float
        per_sample: npt.NDArray[np.float64]

        def resample(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
            return np.full(len(counts), self.value)

    sure = Sure(value, np.append(np.full(10, value), np.full(6, np.nan)))
    found = estimate(sure, 50)
    assert found is not None
    assert (found.low, found.high) == wilson(round(10 * value), 10)
    grouped = estimate(GroupedStatistics(sure, [str(number // 5) for number in range(16)]), 50)
    assert grouped is not None
    assert (grouped.low, grouped.high) == wilson(round(2 * value), 2)
    mean = estimate(MeanStatistics(np.full(10, value)), 50)
    assert mean is not None
    assert mean.low == mean.high == value, "a mean of scores may have any range: CIDEr's is 0..10"


def test_absent_metrics_stay_absent() -> None:
    assert estimate(None, 10) is None
    assert estimate(Undefined(0.0, np.zeros(10)), 10) is None, "defined on no resample"
    partly = estimate(Undefined(0.5, np.zeros(10)), 10)
    assert partly is not None and math.isfinite(partly.low + partly.high)
    assert estimates({"a": None, "b": Undefined(0.0, np.zeros(3))}, 10) == {"a": None, "b": None}


def test_single_classes_are_resampled_less() -> None:
    asked: dict[str, int] = {}

    @dataclass(frozen=True)
    class Counting:
        name: str
        per_sample: npt.NDArray[np.float64]
        value: float = 0.0

        def resample(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
            asked[self.name] = asked.get(self.name, 0) + len(counts)
            return np.zeros(len(counts))

    estimates({name: Counting(name, np.zeros(4)) for name in ("AP", "AP:cat", "top-1[a]")}, 100)
    assert asked == {"AP": 100, "AP:cat": 20, "top-1[a]": 100}
    estimates({"AP:cat": Counting("one", np.zeros(4))}, 2)
    assert asked["one"] == 1


@pytest.mark.parametrize("count", [6, 20, 100])
def test_intervals_of_bounded_metrics_stay_within_them(count: int) -> None:
    """ECE is higher on resamples, so its interval is moved down: not below 0."""
    draw = np.random.default_rng(count)
    probabilities = draw.dirichlet(np.full(3, 0.2), count)
    labels = np.array([draw.choice(3, p=row) for row in probabilities])
    for name, e in estimates(classification_statistics(probabilities, labels, ("a", "b", "c")), 300).items():
        assert e is not None
        assert 0 <= e.low <= e.high <= {"Brier": 2, "NLL": 40}.get(name, 1), name


def test_what_is_stored_of_each_sample() -> None:
    whole, other = MeanStatistics(np.array([0.1, 0.2, 0.3])), MeanStatistics(np.array([1.0]))
    columns = sample_columns({"a": whole, "a[s]": whole, "a:c": whole, "b": None, "c": other}, 3)
    assert columns == {"a": [0.1, 0.2, 0.3]}


class OneScorer:
    """Scores answers that are right or wrong, some of them about the same image."""

    def __init__(self, grouped: bool) -> None:
        self.grouped = grouped

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> dict[str, Any]:
        right = {outcome.sample_id: outcome.prediction for outcome in outcomes}
        share = proportion(np.array([right[sample.sample_id] for sample in samples]))
        images = [sample.sample_id[0] for sample in samples]
        return {"main": GroupedStatistics(share, images) if self.grouped else share, "rest": None}


@pytest.fixture
def interaction() -> Callable[..., Any]:
    def make(own: str, additive: str, grouped: bool = False) -> Any:
        samples = [Sample(f"{letter}{number}", Path(), None) for letter in "pqrs" for number in range(2)]
        outcomes = [Outcome(s.sample_id, mark == "+") for s, mark in zip(samples, own, strict=True)]
        projected = [Outcome(s.sample_id, m == "+") for s, m in zip(samples, additive, strict=True) if m != " "]
        runner = SimpleNamespace(plan=SimpleNamespace(task=SimpleNamespace(metrics=("main", "rest"))))
        runner.scorer = OneScorer(grouped)
        predicted = Predicted(tuple(outcomes), {}, None, tuple(projected[::-1]))
        return _Runner._interaction(runner, samples, predicted, 400)  # type: ignore[arg-type]

    return make


def test_the_interaction_is_what_the_model_scores_above_its_projection(interaction: Any) -> None:
    found = interaction("++++++--", "++----  ")
    assert set(found) == {"EMAP main", "interaction"}
    emap, difference = found["EMAP main"], found["interaction"]
    assert (emap.value, (emap.low, emap.high), emap.count) == (pytest.approx(1 / 3), wilson(2, 6), 6)
    assert (difference.value, difference.count) == (pytest.approx(2 / 3), 6), "on the projected samples alone"
    assert difference.low < 2 / 3 < difference.high


def test_the_interaction_of_questions_about_one_image_is_drawn_by_image(interaction: Any) -> None:
    alone, together = interaction("++++++--", "++----++"), interaction("++++++--", "++----++", grouped=True)
    widths = [found["interaction"].high - found["interaction"].low for found in (alone, together)]
    assert widths[1] > 1.2 * widths[0]
    assert together["EMAP main"].value == alone["EMAP main"].value == 0.5


def test_without_a_projection_there_is_no_interaction(interaction: Any) -> None:
    assert interaction("++++++--", "        ") == {}
    nothing = replace(Predicted((), {}, None), additive=())
    assert _Runner._interaction(SimpleNamespace(), [], nothing, 10) == {}  # type: ignore[arg-type]

"""Statistics to intervals: which kind each metric gets, what is absent, what EMAP adds, what is stored a sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.captions.bleu import bleu_statistics
from harness.metrics.captions.ngrams import pack_captions
from harness.metrics.labels.average_precision import MeanAveragePrecision, ranking
from harness.metrics.labels.class_means import mean_recall
from harness.metrics.labels.classification import classification_statistics
from harness.record import Estimate
from harness.records.sample_scores import Scored, sample_columns
from harness.records.score_answers import answer_metrics
from harness.sample import Outcome, Sample
from harness.stats.estimates import estimate, estimates
from harness.stats.grouped import GroupedStatistics
from harness.stats.intervals import clustered_wilson, wilson
from harness.stats.proportions import Proportion, ProportionStatistics, proportion
from harness.stats.resampling import MeanStatistics
from tests.harness.stats.single_metrics import bootstrap, jackknife_error


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
    assert (found.low, found.high) == bootstrap(statistics, 300)[:2]
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


def test_bleu_of_right_captions_is_not_certain() -> None:
    """BLEU divides by the number of words and 1e-9, so that resamples of right captions differ, by less than that."""
    captions = [
        "a dog runs on grass",
        "two men ride a bus",
        "a red bus at night",
        "cats sleep on a bed",
        "one big old house",
    ]
    packed = pack_captions(captions, [[caption] for caption in captions])
    for statistics in bleu_statistics(packed, packed.matches()):
        found = estimate(statistics, 50)
        assert found is not None
        assert (found.low, found.high) == pytest.approx(wilson(5, 5), abs=1e-8)


def test_groups_of_what_is_no_proportion_are_drawn_together() -> None:
    scores, images = np.repeat([0.1, 0.5, 0.9, 0.4, 0.3, 0.7], 3), [str(number // 3) for number in range(18)]
    found = estimate(GroupedStatistics(MeanStatistics(scores), images), 500)
    assert found is not None
    assert (found.low, found.high) == bootstrap(MeanStatistics(scores), 500, groups=images)[:2]


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
    assert mean == Estimate(value, None, None, 10, "all 10 images score alike"), "a mean of scores may have any range"
    bounded = estimate(MeanStatistics(np.full(10, value), bounds=(0.0, 10.0)), 50)
    assert bounded is not None and bounded.low is not None and bounded.high is not None
    assert bounded.low == pytest.approx(value * wilson(10, 10)[0])
    assert bounded.high == pytest.approx(value + (10 - value) * wilson(0, 10)[1])


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
            resamples = int((counts.sum(axis=1) == 4).sum())  # a jackknife counts one sample less, or one more
            asked[self.name] = asked.get(self.name, 0) + resamples
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


def test_one_image_says_nothing_of_how_images_differ() -> None:
    """AP-large of three images of which one holds a large object; a class with one sample; one image's questions."""
    one = ProportionStatistics(np.array([True, True, False]), np.array([True, False, False]))
    assert estimate(one, 50) == Estimate(1.0, None, None, 1, "too few: 1 image")
    large = Undefined(1.0, np.array([0.9, np.nan, np.nan]), value=0.9)
    assert estimate(large, 50) == Estimate(0.9, None, None, 1, "too few: 1 image")
    questions = GroupedStatistics(proportion(np.array([True, False, True])), ["a", "a", "a"])
    assert estimate(questions, 50) == Estimate(2 / 3, None, None, 3, "too few: 1 image")
    assert estimate(MeanStatistics(np.array([5.0]), bounds=(0.0, 10.0)), 50) == Estimate(
        5.0, None, None, 1, "too few: 1 image"
    )


def test_the_count_is_of_the_samples_that_inform() -> None:
    some = estimate(MeanAveragePrecision((ranking(*RANKED),), np.where(RANKED[1] == 1, 0.7, np.nan)), 200)
    assert some is not None and some.count == 4, "of 40 samples four are positive"


RANKED = (np.linspace(1, 0, 40), np.isin(np.arange(40), (0, 3, 5, 20)).astype(np.int8))


def test_many_resamples_without_a_value_are_said() -> None:
    often, seldom = (estimate(Undefined(share, np.zeros(10)), 100) for share in (0.8, 0.97))
    assert often is not None and often.note == "undefined on 20% of resamples" and often.interval is not None
    assert seldom is not None and seldom.note is None


def test_of_one_resample_nothing_can_be_said() -> None:
    assert estimate(MeanStatistics(np.arange(20.0)), 1) == Estimate(9.5, None, None, 20, "too few: 1 resample")


@pytest.mark.parametrize("per_class", [1, 2, 3])
def test_a_mean_over_classes_is_as_uncertain_as_its_samples(per_class: int) -> None:
    """Balanced classes: the mean recall is the share of right answers, whose standard error has a formula.

    A bootstrap alone claims half of it of one sample a class: a class either stays as it is or drops out.
    """
    labels = np.repeat(np.arange(60), per_class)
    correct = np.random.default_rng(0).random(len(labels)) < 0.6
    found = estimate(mean_recall(labels, correct, np.ones_like(correct)), 1000)
    assert found is not None and found.low is not None and found.high is not None
    assert found.value == pytest.approx(correct.mean())
    own = correct.reshape(60, per_class).mean(axis=1)
    within = float((own * (1 - own)).sum()) / max(1, per_class - 1) / 60**2
    error = math.sqrt(within if per_class > 1 else correct.std(ddof=1) ** 2 / 60)
    low, high = wilson(int(correct.sum()), len(correct))
    # leaving one of two out shows sqrt(2) times their deviation: rather too much than too little
    assert 0.97 * error < (found.high - found.low) / 2 / 1.96 < 1.5 * error
    if per_class == 1:
        assert found.high - found.low > 0.97 * (high - low), "not narrower than top-1 on the same answers"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(0, 2), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_value_is_never_outside_its_own_interval(scores: list[float], alike: int, bounded: bool) -> None:
    values = np.array(scores + [scores[0]] * alike)
    found = estimate(MeanStatistics(values, (0.0, 1.0) if bounded else None), 40)
    assert found is not None
    if found.interval is None:
        assert found.note is not None
    else:
        assert found.interval[0] <= found.value <= found.interval[1] and found.interval[0] < found.interval[1]


def test_the_jackknife_by_hand() -> None:
    # a mean's is its standard error; of three groups of two, that of the groups' means times (3 - 1) / 3 * 3 / 2
    values = np.array([0.0, 1.0, 2.0, 3.0, 7.0, 2.0])
    assert jackknife_error(MeanStatistics(values)) == pytest.approx(values.std(ddof=1) / math.sqrt(6))
    groups = ["a", "a", "b", "b", "c", "c"]
    means = values.reshape(3, 2).mean(axis=1)
    assert jackknife_error(MeanStatistics(values), groups) == pytest.approx(means.std(ddof=1) / math.sqrt(3))
    assert jackknife_error(MeanStatistics(values), ["a"] * 6) == 0.0


def test_a_jackknife_of_some_of_many_samples_is_near_that_of_all() -> None:
    values = np.random.default_rng(3).normal(size=3000)
    assert jackknife_error(MeanStatistics(values), most=1000) == pytest.approx(values.std() / 3000**0.5, rel=0.08)
    rare = Undefined(1.0, np.where(np.arange(3000) < 5, 0.5, np.nan))
    assert jackknife_error(rare, most=50) > 0, "the few that inform are among those that are left out in turn"


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
        scored = Scored(samples, outcomes, {}, tuple(projected[::-1]))
        return answer_metrics(OneScorer(grouped), scored, "main", 400)  # type: ignore[arg-type]

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
    assert answer_metrics(OneScorer(False), Scored([], [], {}), "main", 10) == {}  # type: ignore[arg-type]

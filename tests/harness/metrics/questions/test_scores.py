"""Metrics of questions against second implementations, on random judgements and random resamples."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from harness.metrics.metric import check_metrics
from harness.metrics.questions.area import AreaStatistics
from harness.metrics.questions.catalog import METRICS
from harness.metrics.questions.judged import JudgedQuestion, JudgedQuestions
from harness.metrics.questions.scores import question_scores, whole_groups


def test_the_case_by_hand() -> None:
    check_metrics(METRICS)


def random_questions(source: np.random.Generator) -> JudgedQuestions:
    rows = []
    for group, image, question in itertools.product("gh", "ab", "01"):
        truth, said = (image == "a") == (question == "0"), [True, False, None][source.integers(3)]
        score = float(source.integers(-2, 3))
        rows.append(JudgedQuestion(said == truth, said is not None, truth, said, score, None, group, image, question))
    for _ in range(5):
        right, prior = bool(source.integers(2)), [True, False, None][source.integers(3)]
        rows.append(JudgedQuestion(right, right or bool(source.integers(2)), is_prior=prior))
    return JudgedQuestions([rows[place] for place in source.permutation(len(rows))])


@pytest.mark.parametrize("seed", range(12))
def test_like_other_implementations(seed: int) -> None:
    judged = random_questions(np.random.default_rng(seed))
    found = {name: statistics.value for name, statistics in question_scores(judged).items() if statistics is not None}
    rows, asked = judged.rows, [row for row in judged.rows if row.yes is not None]
    assert found["accuracy"] == pytest.approx(np.mean([row.right for row in rows]))
    assert found["unparsed"] == pytest.approx(np.mean([not row.answered for row in rows]))
    said = [row.said_yes is True for row in asked]
    assert found["yes-F1"] == pytest.approx(f1_score([row.yes for row in asked], said, zero_division=0))
    assert found["yes-share"] == pytest.approx(np.mean(said))
    assert found["yes-AUC"] == pytest.approx(roc_auc_score([row.yes for row in asked], [r.yes_score for r in asked]))
    right = {(row.group, row.image, row.question): row.right for row in asked}

    def whole(*sides: str) -> bool:
        """Every cell of a group that fits all of these names is right."""
        return all(value for key, value in right.items() if set(sides) <= set(key))

    assert found["group-accuracy"] == np.mean([whole(g) for g in "gh"])
    assert found["question-accuracy"] == np.mean([whole(g, q) for g in "gh" for q in "01"])
    assert found["image-accuracy"] == np.mean([whole(g, i) for g in "gh" for i in "ab"])
    wrong = [row.is_prior for row in rows if row.answered and not row.right and row.is_prior is not None]
    assert found.get("prior-share", -1) == pytest.approx(sum(wrong) / len(wrong) if wrong else -1)


def test_groups_that_are_not_whole_are_left_out() -> None:
    rows = list(random_questions(np.random.default_rng(0)).rows)
    first = next(place for place, row in enumerate(rows) if row.group == "g")
    cut = JudgedQuestions([row for place, row in enumerate(rows) if place != first])
    assert whole_groups(cut) == {"h"}
    assert whole_groups(JudgedQuestions([*rows, rows[first]])) == {"h"}, "nor is one with a question twice"
    few = JudgedQuestions([row for row in rows if not row.group])
    assert not {"group-accuracy", "yes-F1", "yes-AUC", "VQA-accuracy"} & question_scores(few).keys()


def test_without_scores_there_is_no_area() -> None:
    rows = [JudgedQuestion(True, True, True, True, 0.3), JudgedQuestion(True, True, False, False, None)]
    assert question_scores(JudgedQuestions(rows))["yes-AUC"] is None


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(-2, 2), st.sampled_from("pn-"), st.integers(0, 3)), min_size=1, max_size=9),
)
def test_the_area_of_a_resample_is_that_of_its_samples(rows: list[tuple[int, str, int]]) -> None:
    scores = np.array([row[0] for row in rows], dtype=np.float64)
    positive, negative = (np.array([row[1] == kind for row in rows]) for kind in "pn")
    counts = np.array([[row[2] for row in rows]])
    wins = pairs = 0.0
    for (own, kind, n), (other, other_kind, m) in itertools.product(rows, rows):
        if kind == "p" and other_kind == "n":
            pairs += n * m
            wins += n * m * ((own > other) + (own == other) / 2)
    (found,) = AreaStatistics(scores, positive, negative).resample(counts)
    assert math.isnan(found) if not pairs else found == pytest.approx(wins / pairs)


def test_each_samples_part_of_the_area_is_its_share_of_won_pairs() -> None:
    statistics = AreaStatistics(
        np.array([3.0, 1.0, 2.0, 2.0, 9.0]),
        np.array([True, True, False, False, False]),
        np.array([False, False, True, True, False]),
    )
    assert statistics.value == 0.5
    assert statistics.per_sample[:4].tolist() == [1.0, 0.0, 0.5, 0.5] and math.isnan(statistics.per_sample[4])

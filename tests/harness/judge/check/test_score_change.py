"""Changes of scores, worked by hand and against scipy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from harness.judge.check.score_change import accuracy_change, robustness_changes
from harness.record import Estimate
from harness.stats.sample_scores import SampleScores


def flipped(n, worse, better):
    """n answers before and now: half of them right, some of them become wrong and some right."""
    before = np.array([1.0, 0.0] * (n // 2))
    now = before.copy()
    now[: 2 * worse : 2] = 0.0
    now[1 : 2 * better : 2] = 1.0
    return before, now


@pytest.mark.parametrize(("worse", "better"), [(0, 0), (3, 0), (9, 1), (40, 12)])
def test_p_of_accuracy_is_near_mcnemars(worse, better, measured):
    before, now = flipped(200, worse, better)
    change = accuracy_change([(measured(values=before), measured(values=now))])
    flips = worse + better
    exact = scipy.stats.binomtest(worse, flips).pvalue if flips else 1.0
    assert change.p == pytest.approx(exact, rel=0.5)
    assert (change.p <= 0.05) == (exact <= 0.05)
    assert change.alike == (flips == 0)
    assert change.loss == pytest.approx((worse - better) / 200)
    assert (change.before, change.now) == (pytest.approx(before.mean()), pytest.approx(now.mean()))


def test_the_interval_of_a_paired_loss_by_hand(measured):
    """Of 4 samples one becomes wrong: 1, 0, 0, 0 of variance 1/4; one more would differ by 1; t of 3 is 3.182."""
    change = accuracy_change([(measured(values=[1, 1, 1, 0]), measured(values=[0, 1, 1, 0]))])
    assert change.loss == 0.25
    assert change.high - change.loss == pytest.approx(3.182446 * math.sqrt(1 / 4 / 4 + 2 / 16), rel=1e-6)
    assert change.loss - change.low == pytest.approx(change.high - change.loss)


def test_seeds_share_their_samples(measured):
    """The same loss in two seeds is no more evidence than in one: the signs of a sample's seeds go together."""
    before, now = flipped(40, 6, 1)
    one = accuracy_change([(measured(values=before), measured(values=now))])
    two = accuracy_change([(measured(values=before, seed=s), measured(values=now, seed=s)) for s in (0, 1)])
    assert (two.loss, two.p) == (pytest.approx(one.loss), pytest.approx(one.p))


def test_samples_of_a_cluster_go_together(measured, table):
    clusters = ("a", "a", "b", "b")
    sides = [SampleScores(("1", "2", "3", "4"), clusters, table(v).metrics) for v in ([1, 1, 1, 1], [0, 0, 0, 0])]
    change = accuracy_change([tuple(replace(measured(), scores={"": side}) for side in sides)])
    t = 1 / math.sqrt(2 / 4)  # two clusters, both worse, and one more each way; exactly: 2 of 4 signings
    assert change.p == pytest.approx(2 * scipy.stats.t.sf(t, 1)) == pytest.approx(0.39, abs=0.01)


def test_another_order_of_the_same_samples_is_paired(measured, table):
    before, now = flipped(40, 6, 1)
    order = np.random.default_rng(0).permutation(40)
    shuffled = table(now[order], [f"s{n}" for n in order])
    straight = accuracy_change([(measured(values=before), measured(values=now))])
    assert accuracy_change([(measured(values=before), measured(values=now, scores={"": shuffled}))]) == straight


def test_other_samples_are_compared_unpaired_and_it_says_so(measured):
    """Halves of intervals 0.1 and 0.1 -> sqrt(0.02); loss 0.5 -> z = 0.5 / (0.1414 / 1.96) = 6.93."""
    change = accuracy_change([(measured(values=[1] * 10), measured(values=[1, 0] * 10))])
    assert change.note == "unpaired: other samples"
    assert (change.loss, change.high - change.loss) == (0.5, pytest.approx(math.sqrt(0.02)))
    assert change.p == pytest.approx(2 * scipy.stats.norm.sf(0.5 / math.sqrt(0.02) * 1.959964), rel=1e-4)


def test_seeds_do_not_narrow_what_is_unpaired(measured):
    pair = [(measured(values=[1] * 10, seed=s), measured(values=[1, 0] * 10, seed=s)) for s in (0, 1)]
    assert accuracy_change(pair).high == pytest.approx(accuracy_change(pair[:1]).high)


@pytest.mark.parametrize(("sides", "words"), [((0,), "before"), ((1,), "now"), ((0, 1), "before and now")])
def test_missing_sample_scores_are_said(sides, words, measured):
    pair = [measured(scores={}) if place in sides else measured() for place in (0, 1)]
    change = accuracy_change([tuple(pair)])
    assert change.note == f"unpaired: no sample scores {words}"
    assert change.p == 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_missing(value, measured):
    change = accuracy_change([(measured(), measured(values=[1, 0, value, value]))])
    assert (change.missing, change.p) == (True, None)
    assert change.note == "2 of 4 sample scores are NaN or infinite: run that cell again"
    alone = measured(scores={}, score=Estimate(value, value, value, 4))
    assert accuracy_change([(measured(), alone)]).missing


def test_robustness_is_the_mean_over_conditions_by_hand(measured):
    before = measured(values={"": [1, 1, 1, 1], "fog-1": [1, 1, 1, 1], "snow-2": [1, 1]})
    now = measured(values={"": [1, 1, 1, 1], "fog-1": [1, 1, 0, 0], "snow-2": [0, 1]})
    (change,) = robustness_changes([(before, now)])
    assert (change.kind, change.measure) == ("robustness", "mean perturbed top-1")
    assert (change.before, change.now, change.loss) == (1.0, 0.5, pytest.approx(0.5))
    assert change.p == pytest.approx(0.25, abs=0.05)  # s0 lost 1/4, s2 and s3 1/8, s1 nothing: 2 of 8 signings


def test_robustness_against_drawn_signs(measured):
    generator = np.random.default_rng(0)
    sizes = {"fog-1": 60, "fog-2": 53, "snow-1": 47, "jpeg-3": 41}
    sides = [{"": [1.0], **{c: generator.random(n) < right for c, n in sizes.items()}} for right in (0.6, 0.48)]
    (change,) = robustness_changes([(measured(values=sides[0]), measured(values=sides[1]))])
    losses = np.zeros(60)
    for label, n in sizes.items():
        losses[:n] += (sides[0][label].astype(float) - sides[1][label]) / n / len(sizes)
    signs = generator.choice([-1, 1], size=(100_000, 60))
    drawn = (np.abs(signs @ losses) >= abs(losses.sum()) - 1e-12).mean()
    assert change.p == pytest.approx(drawn, rel=0.2)
    assert 1e-3 < drawn < 0.2


def test_no_conditions_make_no_row_and_skipped_ones_neither(measured):
    assert robustness_changes([(measured(), measured())]) == []
    skipped = measured(conditions={"typo-1": "skipped"})
    assert robustness_changes([(skipped, skipped)]) == []


def test_a_lost_condition_is_missing_and_the_others_are_compared(measured):
    before = measured(values={"": [1], "fog-1": [1, 1], "snow-2": [1, 1]})
    now = replace(before, conditions={"fog-1": "ok", "snow-2": "failed"})
    compared, lost = robustness_changes([(before, now)])
    assert (compared.loss, compared.missing) == (0.0, False)
    assert (lost.missing, lost.note) == (True, "not scored now: snow-2")


def test_conditions_without_sample_scores_are_not_compared(measured):
    bare = measured(conditions={"fog-1": "ok"})
    (change,) = robustness_changes([(bare, bare)])
    assert (change.p, change.note) == (None, "not compared: no sample scores before and now")

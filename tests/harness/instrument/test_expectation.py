"""What is wanted of verdicts, held against verdicts that see what is there and against those of broken instruments."""

from __future__ import annotations

import numpy as np
import pytest

from harness.instrument.expectation import Expectation, negative, of_planted, positive, undecided
from harness.judge.verdict.accuracy import KILLS, LEAKS, REVERSED
from harness.judge.verdict.verdict import (
    FUSION_GAIN_CLAIM,
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    ZERO_SHOT_CLAIM,
    Verdict,
)
from harness.stats.difference import Difference, weighted_difference

PLANTED = of_planted("some slice")
GOOD = {
    "gain": (SUPPORTED, "above C0"),
    "nothing": (INCONCLUSIVE, "not told apart"),
    "capacity": (NOT_SUPPORTED, KILLS["C1"]),
    "leak": (SUPPORTED, f"above C0; {LEAKS}: C5 alone 0.4"),
    "reversal": (SUPPORTED, f"above C0; {REVERSED} some slice"),
}


def said(outcome: str, reason: str, claim: str = FUSION_GAIN_CLAIM) -> Verdict:
    return Verdict(claim, "planted", outcome, reason)


@pytest.mark.parametrize("name", GOOD)
def test_a_verdict_that_sees_what_is_there_is_fine(name: str) -> None:
    found = PLANTED[name].hold([said(*GOOD[name])])
    assert found.works and GOOD[name][1] in found.found, found.wrong


@pytest.mark.parametrize(
    ("name", "outcome", "reason", "wrong"),
    [
        ("gain", INCONCLUSIVE, "not told apart", "fusion-gain is inconclusive"),
        ("gain", NOT_SUPPORTED, KILLS["C2"], "fusion-gain is not supported"),
        ("gain", SUPPORTED, f"above C0; {LEAKS}: C5", "is named, and is not there"),
        ("gain", SUPPORTED, f"above C0; {REVERSED} some slice", "is named, and is not there"),
        ("nothing", SUPPORTED, "above C0", "fusion-gain is supported"),
        ("capacity", SUPPORTED, "above C0", "fusion-gain is supported"),
        ("capacity", NOT_SUPPORTED, KILLS["C2"], "is not named"),
        ("capacity", INCONCLUSIVE, "not told apart", "fusion-gain is inconclusive"),
        ("leak", SUPPORTED, "above C0", "is not named"),
        ("reversal", SUPPORTED, "above C0", "is not named"),
        ("reversal", SUPPORTED, f"above C0; {REVERSED} another slice", "is not named"),
    ],
)
def test_a_verdict_that_says_something_else_is_not(name: str, outcome: str, reason: str, wrong: str) -> None:
    found = PLANTED[name].hold([said(outcome, reason)])
    assert not found.works and any(wrong in each for each in found.wrong), found.wrong


@pytest.mark.parametrize("expectation", [*PLANTED.values(), positive("a", "b", ()), negative("a", "b")])
def test_what_was_not_judged_has_failed(expectation: Expectation) -> None:
    found = expectation.hold([])
    assert not found.works and found.found == "nothing was judged"


ABOVE, OPEN, BELOW = 0.1, 0.004, -0.1
"""Mean differences of which 0.02 would be seen."""


def difference(mean: float) -> Difference:
    """A paired difference of five seeds and 400 samples with this mean."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=(5, 400))
    values = mean + noise - noise.mean()
    return weighted_difference([1.0, -1.0], [values, np.zeros_like(values)], list(range(400)))


BOTH = (ZERO_SHOT_CLAIM, FUSION_GAIN_CLAIM)
FINE = [said(INCONCLUSIVE, "not told apart", claim) for claim in BOTH]


@pytest.mark.parametrize(
    ("c2", "c3", "state"),
    [(ABOVE, ABOVE, "ok"), (ABOVE, OPEN, "undecided"), (BELOW, ABOVE, "BROKEN"), (BELOW, OPEN, "BROKEN")],
)
def test_the_positive_control_is_above_both_others(c2: float, c3: float, state: str) -> None:
    """One that is not told apart needs more seeds; a loss is a fault."""
    wanted = positive("synonym", "other words", ("S: F − C2", "S: F − C3"))
    found = wanted.hold(FINE, {"S: F − C2": difference(c2), "S: F − C3": difference(c3)})
    assert (found.state, found.works) == (state, state == "ok"), found
    assert "S: F − C2 " in found.found


def test_what_was_not_compared_and_a_claim_denied_are_faults() -> None:
    wanted = positive("synonym", "other words", ("S: F − C2",))
    assert "S: F − C2, which is not there, is not above 0" in wanted.hold(FINE).wrong
    denied = [said(NOT_SUPPORTED, "no better", ZERO_SHOT_CLAIM), FINE[1]]
    assert wanted.hold(denied, {"S: F − C2": difference(ABOVE)}).wrong == ("zero-shot is not supported",)


@pytest.mark.parametrize("claim", BOTH)
def test_the_negative_control_is_never_supported(claim: str) -> None:
    wanted = negative("opaque", "made-up words")
    assert wanted.hold(FINE, {"S: F − C2": difference(0.0)}).works
    fine = {verdict.claim: verdict for verdict in FINE}
    assert not wanted.hold(list((fine | {claim: said(SUPPORTED, "above", claim)}).values())).works


def test_a_gain_in_the_negative_control_is_a_fault() -> None:
    found = negative("opaque", "made-up words").hold(FINE, {"S: F − C2": difference(ABOVE)})
    assert len(found.wrong) == 1 and found.wrong[0].startswith("S: F − C2 +0.100") and "is above 0" in found.wrong[0]


def test_few_seeds_must_be_refused() -> None:
    wanted = undecided("synonym", "other words", "1 of 5 seeds")
    both = [said(INCONCLUSIVE, "1 of 5 seeds", claim) for claim in (ZERO_SHOT_CLAIM, FUSION_GAIN_CLAIM)]
    assert wanted.hold(both).works
    assert not wanted.hold([both[0], said(SUPPORTED, "above C0")]).works
    assert not wanted.hold([both[0], said(INCONCLUSIVE, "not told apart")]).works

"""What is wanted of verdicts, held against verdicts that see what is there and against those of broken instruments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.instrument.expectation import Expectation, negative, of_planted, positive, undecided
from harness.judge.verdict.accuracy import KILLS, LEAKS, REVERSED
from harness.judge.verdict.verdict import (
    FUSION_GAIN_CLAIM,
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    ZERO_SHOT_CLAIM,
    Number,
    Verdict,
)

PLANTED = of_planted("some slice")
GOOD = {
    "gain": (SUPPORTED, "above C0"),
    "nothing": (INCONCLUSIVE, "not told apart"),
    "capacity": (NOT_SUPPORTED, KILLS["C1"]),
    "leak": (SUPPORTED, f"above C0; {LEAKS}: C5 alone 0.4"),
    "reversal": (SUPPORTED, f"above C0; {REVERSED} some slice"),
}


def said(outcome: str, reason: str, claim: str = FUSION_GAIN_CLAIM, *numbers: Number) -> Verdict:
    return Verdict(claim, "planted", outcome, reason, numbers)


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


@pytest.mark.parametrize("expectation", [*PLANTED.values(), positive("a", "b"), negative("a", "b")])
def test_what_was_not_judged_has_failed(expectation: Expectation) -> None:
    found = expectation.hold([])
    assert not found.works and found.found == "nothing was judged"


def above(low: float) -> Number:
    return Number("F − C2", 0.1, low, 0.2)


def test_the_positive_control_is_supported_and_above_random_weights() -> None:
    wanted, side = positive("synonym", "other words"), said(SUPPORTED, "by side information only", ZERO_SHOT_CLAIM)
    assert wanted.hold([side, said(INCONCLUSIVE, "C4 not run", FUSION_GAIN_CLAIM, above(0.01))]).works
    denied = Number("F − C2", -0.1, -0.2, -0.01)
    assert wanted.hold([side, said(INCONCLUSIVE, "C4 not run", FUSION_GAIN_CLAIM, denied)]).state == "BROKEN"
    assert wanted.hold([side, said(INCONCLUSIVE, "C4 not run")]).state == "BROKEN"
    gain = said(SUPPORTED, "", FUSION_GAIN_CLAIM, above(1))
    assert wanted.hold([replace(side, outcome=NOT_SUPPORTED), gain]).state == "BROKEN"


def test_a_positive_control_that_is_not_decided_is_open_but_a_planted_gain_is_not() -> None:
    wanted, side = positive("synonym", "other words"), said(SUPPORTED, "by side information only", ZERO_SHOT_CLAIM)
    found = wanted.hold([side, said(INCONCLUSIVE, "C4 not run", FUSION_GAIN_CLAIM, above(-0.01))])
    assert (found.state, found.works, found.wrong) == ("undecided", False, ())
    assert found.undecided == ("F − C2 +0.100 [-0.010, +0.200], not shown to be above 0",)
    gain = said(INCONCLUSIVE, "C4 not run", FUSION_GAIN_CLAIM, above(0.01))
    assert wanted.hold([replace(side, outcome=INCONCLUSIVE), gain]).undecided == ("zero-shot is inconclusive",)
    assert PLANTED["gain"].hold([said(INCONCLUSIVE, "not told apart")]).state == "BROKEN"


@pytest.mark.parametrize("claim", [ZERO_SHOT_CLAIM, FUSION_GAIN_CLAIM])
def test_the_negative_control_is_never_supported(claim: str) -> None:
    fine = {c: said(INCONCLUSIVE, "not told apart", c) for c in (ZERO_SHOT_CLAIM, FUSION_GAIN_CLAIM)}
    wanted = negative("opaque", "made-up words")
    assert wanted.hold(list(fine.values())).works
    assert not wanted.hold(list((fine | {claim: said(SUPPORTED, "above", claim)}).values())).works


def test_few_seeds_must_be_refused() -> None:
    wanted = undecided("synonym", "other words", "1 of 5 seeds")
    both = [said(INCONCLUSIVE, "1 of 5 seeds", claim) for claim in (ZERO_SHOT_CLAIM, FUSION_GAIN_CLAIM)]
    assert wanted.hold(both).works
    assert not wanted.hold([both[0], said(SUPPORTED, "above C0")]).works
    assert not wanted.hold([both[0], said(INCONCLUSIVE, "not told apart")]).works

"""What the verdicts must say of what is known to be there, and whether they say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.instrument.planted_worlds import CAPACITY, GAIN, LEAK, NOTHING, REVERSAL
from harness.judge.verdict.accuracy import KILLS, LEAKS, REVERSED
from harness.judge.verdict.comparison import holm_shown, number
from harness.judge.verdict.verdict import (
    FUSION_GAIN_CLAIM,
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    ZERO_SHOT_CLAIM,
    Verdict,
)
from harness.stats.difference import Difference

_NEVER = (NOT_SUPPORTED, INCONCLUSIVE)
_ANY = (SUPPORTED, *_NEVER)
_WARNINGS = (LEAKS, REVERSED)
_MARGIN = 0.001
"""A gain that is shown to be below this is denied; areas under curves are small numbers here."""


@dataclass(frozen=True)
class Expectation:
    """What is there, and what verdicts may say of it.

    `outcomes` are those that each claim may have. `named` stands in the reason of claim fusion-gain, and of `_WARNINGS`
    nothing else does. Of comparisons those `above` are shown to be above 0, and no other one.
    """

    name: str
    there: str
    wanted: str
    outcomes: Mapping[str, tuple[str, ...]]
    named: str = ""
    above: tuple[str, ...] = ()

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims that are judged."""
        return tuple(self.outcomes)

    def hold(self, verdicts: Sequence[Verdict], compared: Mapping[str, Difference] | None = None) -> CheckResult:
        """Hold what was said against this; a claim of which nothing was said, and a loss, have failed.

        A gain that is neither shown nor denied is no fault of the verdicts: then more seeds are needed.
        """
        by_claim, differences = {verdict.claim: verdict for verdict in verdicts}, compared or {}
        wrong = [problem for claim in self.claims for problem in self._wrong(by_claim.get(claim), claim)]
        shown = {name: number(name, found).shown for name, found in differences.items()}
        above, below = holm_shown(differences, _MARGIN)
        wrong += [f"{shown[name]} is above 0" for name in differences if name in above and name not in self.above]
        missing = [name for name in self.above if name not in above]
        lost = [name for name in missing if name in below or name not in shown]
        wrong += [f"{shown.get(name, f'{name}, which is not there,')} is not above 0" for name in lost]
        undecided = [f"{shown[name]} is not shown to be above 0" for name in missing if name not in lost]
        said = [f"{v.claim} {v.outcome}: {v.reason}" for claim in self.claims if (v := by_claim.get(claim))]
        told = "; ".join([*shown.values(), *said]) or "nothing was judged"
        return CheckResult(self.name, self.there, self.wanted, told, tuple(wrong), tuple(undecided))

    def _wrong(self, verdict: Verdict | None, claim: str) -> list[str]:
        if verdict is None:
            return [f"{claim} was not judged"]
        found = [] if verdict.outcome in self.outcomes[claim] else [f"{claim} is {verdict.outcome}"]
        if claim == FUSION_GAIN_CLAIM:
            if self.named not in verdict.reason:
                found.append(f"'{self.named}' is not named")
            unfounded = (each for each in _WARNINGS if each in verdict.reason and not self.named.startswith(each))
            found += [f"'{each}' is named, and is not there" for each in unfounded]
        return found


@dataclass(frozen=True)
class CheckResult:
    """What was there, what was wanted of the verdicts and what they said: what of it is wrong, and what undecided."""

    name: str
    there: str
    wanted: str
    found: str
    wrong: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """Whether the instrument has said what is there."""
        return not self.wrong and not self.undecided

    @property
    def state(self) -> str:
        """In a word: ok, undecided, or BROKEN where something else than what is there was said."""
        return "BROKEN" if self.wrong else "undecided" if self.undecided else "ok"

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return {**asdict(self), "wrong": list(self.wrong), "undecided": list(self.undecided), "works": self.works}


def of_planted(reversed_slice: str) -> Mapping[str, Expectation]:
    """What is wanted of each planted world, by its name."""
    every = (
        Expectation(
            GAIN, "answers that are right more often than those of C0 to C4", "fusion-gain supported, no more",
            {FUSION_GAIN_CLAIM: (SUPPORTED,)},
        ),
        Expectation(
            NOTHING, "answers as good as those of C0 to C4", "fusion-gain not supported, or inconclusive",
            {FUSION_GAIN_CLAIM: _NEVER},
        ),
        Expectation(
            CAPACITY, "a gain that C1, as large without language, has too", "not supported: capacity explains it",
            {FUSION_GAIN_CLAIM: (NOT_SUPPORTED,)}, named=KILLS["C1"],
        ),
        Expectation(
            LEAK, "C5, which sees no image, is right in 40 %", "the leak named",
            {FUSION_GAIN_CLAIM: _ANY}, named=LEAKS,
        ),
        Expectation(
            REVERSAL, f"a gain on average, a loss in slice {reversed_slice}", "the slice named",
            {FUSION_GAIN_CLAIM: _ANY}, named=f"{REVERSED} {reversed_slice}",
        ),
    )  # fmt: skip
    return {each.name: each for each in every}


def positive(name: str, there: str, above: tuple[str, ...]) -> Expectation:
    """What is wanted where pretrained language helps: more than random weights, and than texts of other classes."""
    claims = {ZERO_SHOT_CLAIM: (SUPPORTED, INCONCLUSIVE), FUSION_GAIN_CLAIM: _ANY}
    return Expectation(name, there, "F above C2 and C3, zero-shot not denied", claims, above=above)


def negative(name: str, there: str) -> Expectation:
    """What is wanted where nothing can win."""
    claims = {ZERO_SHOT_CLAIM: _NEVER, FUSION_GAIN_CLAIM: _NEVER}
    return Expectation(name, there, "never supported, F above nothing", claims)


def undecided(name: str, there: str, seeds: str) -> Expectation:
    """What is wanted of too few seeds, however large a difference they show."""
    claims = {ZERO_SHOT_CLAIM: (INCONCLUSIVE,), FUSION_GAIN_CLAIM: (INCONCLUSIVE,)}
    return Expectation(name, there, f"inconclusive: {seeds}", claims, named=seeds)

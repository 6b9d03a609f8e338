"""Claim explanations: no stored record decides it yet, and it says so, once a table."""

from __future__ import annotations

from collections.abc import Mapping

from harness.judge.verdict.needs import ClaimNeeds
from harness.judge.verdict.verdict import EXPLANATIONS_CLAIM, INCONCLUSIVE, Verdict

_MISSING: Mapping[str, tuple[str, str]] = {
    EXPLANATIONS_CLAIM: (
        "no record of attributions",
        "insertion and deletion, pointing game, and their randomised-weights check",
    ),
}


def needs(claim: str) -> ClaimNeeds:
    """There is nothing to run."""
    return f"nothing measures it yet: {_MISSING[claim][0]}"


def judge(claim: str) -> Verdict:
    """Say what is missing for a claim that no record can decide."""
    reason, missing = _MISSING[claim]
    return Verdict(claim, None, INCONCLUSIVE, reason, missing=(missing,))

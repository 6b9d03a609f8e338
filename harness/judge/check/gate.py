"""The regression gate: current records against a baseline, row by row, and the exit code for CI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from harness.judge.check.baseline import BaselineError
from harness.judge.check.change import (  # fmt: skip
    ACCURACY,
    CHANGE_KINDS,
    IMPROVED,
    INCONCLUSIVE,
    MISSING,
    REGRESSED,
    UNCHANGED,
    Change,
    JudgedChange,
    Limits,
    judge_change,
)
from harness.judge.check.cost_change import latency_changes, memory_changes
from harness.judge.check.measured import OK, Measured, MeasuredSubject
from harness.judge.check.score_change import SeedPair, accuracy_change, robustness_changes

Subjects: TypeAlias = Mapping[MeasuredSubject, Mapping[int, Measured]]

FINE, WORSE, UNMEASURED = 0, 1, 3
"""Exit codes: nothing became worse; something did; nothing could be measured, or a planned cell is missing."""


@dataclass(frozen=True)
class Gate:
    """All rows with their outcomes, the worst first, and what is new since the baseline.

    `other_settings` are rows of which the baseline's own settings have no record now, so that others are compared;
    `conflicts` those that another run made otherwise at the same time.
    """

    rows: tuple[JudgedChange, ...]
    new: tuple[str, ...]
    other_settings: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()

    def count(self, outcome: str) -> int:
        """How many rows have an outcome."""
        return sum(row.outcome == outcome for row in self.rows)

    @property
    def exit_code(self) -> int:
        """1 where something regressed, 3 where a cell is missing or every row is inconclusive, else 0."""
        if self.count(REGRESSED):
            return WORSE
        return UNMEASURED if self.count(MISSING) or self.count(INCONCLUSIVE) == len(self.rows) else FINE

    def to_json(self) -> dict[str, Any]:
        """Turn into the documented keys of `bench check --format json`."""
        outcomes = (REGRESSED, MISSING, IMPROVED, INCONCLUSIVE, UNCHANGED)
        return {
            "exit_code": self.exit_code,
            "counts": {outcome: self.count(outcome) for outcome in outcomes},
            "new": list(self.new),
            "other_settings": list(self.other_settings),
            "conflicts": list(self.conflicts),
            "rows": [row.to_json() for row in self.rows],
        }


def run_gate(baseline: Sequence[Measured], current: Sequence[Measured], limits: Limits) -> Gate:
    """Compare; raises BaselineError where baseline and records are of other data or other metrics."""
    before, now = _by_subject(baseline), _by_subject(current)
    _refuse_other_data(before, now)
    lost = [_missing(seeds, why) for subject, seeds in before.items() if (why := _lost(seeds, now.get(subject, {})))]
    rows = [_pairs(seeds, now.get(subject, {})) for subject, seeds in before.items()]
    whole = [pairs for pairs in rows if pairs]
    changes = [accuracy_change(pairs) for pairs in whole]
    changes += [change for pairs in whole for change in robustness_changes(pairs)]
    changes += latency_changes(whole) + memory_changes(whole) + lost
    new = tuple(
        f"{subject.task}, {subject.label}"
        for subject, seeds in now.items()
        if subject not in before and any(_is_scored(seed) for seed in seeds.values())
    )
    other = tuple(
        f"{pairs[0][0].subject.task}, {pairs[0][0].subject.label}"
        for pairs in whole
        if any(before.setting not in (None, now.setting) for before, now in pairs)
    )
    return Gate(tuple(sorted(judge_change(changes, limits), key=_order)), new, other)


def _by_subject(measured: Sequence[Measured]) -> dict[MeasuredSubject, dict[int, Measured]]:
    found: dict[MeasuredSubject, dict[int, Measured]] = {}
    for m in measured:
        found.setdefault(m.subject, {})[m.seed] = m
    return found


def _refuse_other_data(before: Subjects, now: Subjects) -> None:
    for subject, seeds in before.items():
        for seed, old in seeds.items():
            new = now.get(subject, {}).get(seed)
            if new is None or new.status != OK:
                continue
            for what, a, b in (
                ("data digest", old.data_digest, new.data_digest),
                ("metric signature", old.signature, new.signature),
                ("ranking metric", old.metric, new.metric or old.metric),
            ):
                if a != b:
                    raise BaselineError(
                        f"{subject.task}, {subject.label}: the baseline has the {what} '{_short(a)}', the record "
                        f"{new.fingerprint} has '{_short(b)}'. They cannot be compared: write the baseline again with "
                        "--update, or run on what it was made with."
                    )


def _pairs(before: Mapping[int, Measured], now: Mapping[int, Measured]) -> list[SeedPair]:
    """The seeds that both sides have a score of."""
    return [(before[seed], now[seed]) for seed in before if seed in now and _is_scored(now[seed])]


def _is_scored(measured: Measured) -> bool:
    return measured.status == OK and measured.score is not None


def _lost(before: Mapping[int, Measured], now: Mapping[int, Measured]) -> str:
    """Say which of the seeds have no score now, and why."""
    if not now:
        return "it has no record now"
    reasons: dict[str, list[str]] = {}
    for seed in before:
        if (why := _unscored(now.get(seed))) is not None:
            reasons.setdefault(why, []).append(str(seed))
    return "; ".join(f"seed {', '.join(seeds)}: {why}" for why, seeds in reasons.items())


def _unscored(now: Measured | None) -> str | None:
    if now is None:
        return "no record now"
    if now.status != OK:
        return f"{now.status} now" + (f" ({_short(now.error.strip().splitlines()[-1])})" if now.error else "")
    return None if now.score is not None else "the metric is absent now"


def _missing(seeds: Mapping[int, Measured], why: str) -> Change:
    one = next(iter(seeds.values()))
    scores = [m.score.value for m in seeds.values() if m.score]
    value = sum(scores) / len(scores) if scores else None
    subject = one.subject
    return Change(
        subject.task, subject.label, ACCURACY, one.metric or "", value, None, None, None, None, None, why, missing=True
    )


def _order(row: JudgedChange) -> tuple[int, str, int, str]:
    outcomes = (REGRESSED, MISSING, IMPROVED, INCONCLUSIVE, UNCHANGED)
    return outcomes.index(row.outcome), row.change.task, CHANGE_KINDS.index(row.change.kind), row.change.label


def _short(text: str | None) -> str:
    return "none" if text is None else text if len(text) <= 60 else f"{text[:57]}..."

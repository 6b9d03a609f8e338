"""How one number changed between baseline and now, what that may be called, and how sure one can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError

REGRESSED, IMPROVED, UNCHANGED, INCONCLUSIVE, MISSING = "regressed", "improved", "unchanged", "inconclusive", "missing"

ACCURACY, ROBUSTNESS, LATENCY, MEMORY = "accuracy", "robustness", "latency", "memory"
CHANGE_KINDS = (ACCURACY, ROBUSTNESS, LATENCY, MEMORY)


@dataclass(frozen=True)
class Limits:
    """What the gate looks for.

    `false_discovery` bounds the expected share of false ones among the rows called changed. A change below `least` is
    not called one however sure it is; a row where a loss above `most` cannot be excluded is inconclusive rather than
    unchanged. Scores change by points (0.01 is one point), latency and memory by shares.
    """

    false_discovery: float = 0.01
    least_points: float = 0.005
    most_points: float = 0.05
    least_slower: float = 0.10
    most_slower: float = 0.30
    least_larger: float = 0.05
    most_larger: float = 0.20

    def __post_init__(self) -> None:
        if not 0 < self.false_discovery < 1:
            raise UsageError(f"--false-discovery {self.false_discovery}: give a share between 0 and 1, such as 0.01.")
        for option, kind in (("--drop", ACCURACY), ("--slower", LATENCY), ("--larger", MEMORY)):
            least, most = self.of(kind)
            if not least <= most < float("inf"):
                raise UsageError(f"{option} {most}: give {least} or more; smaller changes are not called one.")

    def of(self, kind: str) -> tuple[float, float]:
        """The least and the most of a kind: points, or shares."""
        return {
            LATENCY: (self.least_slower, self.most_slower),
            MEMORY: (self.least_larger, self.most_larger),
        }.get(kind, (self.least_points, self.most_points))


@dataclass(frozen=True)
class Change:
    """One row of the gate.

    `loss` is by how much it became worse, negative where it became better: points of a score, a share of latency
    or memory; `low` and `high` its 95 % interval; `p` two-sided, of no change. None where nothing could be compared,
    and then `note` says why. `alike` where no sample differs: predictions are equal.
    """

    task: str
    label: str
    kind: str
    measure: str
    before: float | None
    now: float | None
    loss: float | None
    low: float | None
    high: float | None
    p: float | None
    note: str = ""
    missing: bool = False
    alike: bool = False


@dataclass(frozen=True)
class JudgedChange:
    """A change with its outcome; `adjusted_p` is Benjamini and Hochberg's over the whole table."""

    change: Change
    outcome: str
    adjusted_p: float | None

    def to_json(self) -> dict[str, Any]:
        """Turn into the documented keys of `bench check --format json`."""
        from dataclasses import asdict

        return {**asdict(self.change), "outcome": self.outcome, "adjusted_p": self.adjusted_p}


def judge_change(changes: list[Change], limits: Limits) -> list[JudgedChange]:
    """Decide over the whole table, so that more rows do not make more false alarms."""
    from harness.stats.significance import benjamini_hochberg

    tested = [change.p for change in changes if change.p is not None]
    adjusted = iter(benjamini_hochberg(tested))
    judged = []
    for change in changes:
        q = None if change.p is None else next(adjusted)
        judged.append(JudgedChange(change, _outcome(change, q, limits), q))
    return judged


def _outcome(change: Change, adjusted: float | None, limits: Limits) -> str:
    if change.missing:
        return MISSING
    if change.alike:
        return UNCHANGED
    if adjusted is None or change.loss is None or change.high is None:
        return INCONCLUSIVE
    least, most = limits.of(change.kind)
    if adjusted <= limits.false_discovery and abs(change.loss) >= least:
        return REGRESSED if change.loss > 0 else IMPROVED
    return UNCHANGED if change.high < most else INCONCLUSIVE

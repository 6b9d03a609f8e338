"""Marks sets that are solved without the image: by guesses from the texts, or by models that see none.

A score on such a set does not show that a model looks at images. A guess from the texts is a metric whose scorer also
gives what chance scores (`CHANCE`); a blind model says so by `sees_images`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import BenchError
from harness.judge.leaderboard import Row
from harness.plan.plugins import load_model
from harness.record import Estimate

BLIND, CHANCE, ABOVE = "blind-", "matching-chance", "above-blind"
"""The beginning of the metrics that guess from texts, what guessing at random scores, and what a row has above them."""


@dataclass(frozen=True)
class BlindMark:
    """The best score that was reached without the image, by whom, and which rows are not shown to be above it."""

    by: str
    score: Estimate
    chance: float
    not_above: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return {**asdict(self), "score": self.score.to_json(), "not_above": list(self.not_above)}

    @property
    def told(self) -> str:
        """Say it in a line."""
        models = f"; not shown to be above it: {', '.join(self.not_above)}" if self.not_above else ""
        score = f"{self.score.value:.3f} {self.score.bracket()}"
        return f"SOLVED WITHOUT THE IMAGE: {self.by} scores {score}, chance {self.chance:.3f}{models}"


def sees_no_image(model: str) -> bool:
    """Tell a model that has no eyes by its name; one that is not installed may see."""
    try:
        return getattr(load_model(model), "sees_images", True) is False
    except BenchError:
        return False


def blind_mark(rows: Sequence[Row], metrics: Sequence[str]) -> BlindMark | None:
    """Find what solves a set without the image: whose interval is above chance. None where nothing does.

    The first of `metrics` ranks.
    """
    metric = next(iter(metrics), "")
    scored = [row for row in rows if row.metrics.get(metric) and row.metrics.get(CHANCE)]
    chance = next((e.value for row in scored if (e := row.metrics[CHANCE]) is not None), None)
    if chance is None:
        return None
    guesses = {n: e for n, e in scored[0].metrics.items() if n.startswith(BLIND) and e is not None}
    models = {row.name: e for row in scored if sees_no_image(row.model) and (e := row.metrics[metric]) is not None}
    solved = {name: e for name, e in (guesses | models).items() if e.low is not None and e.low > chance}
    if not solved:
        return None
    best = max(solved, key=lambda name: solved[name].value)
    rest = [row for row in scored if row.name not in models]
    below = tuple(row.name for row in rest if not _is_above(row, metric, solved[best]))
    return BlindMark(best, solved[best], chance, below)


def _is_above(row: Row, metric: str, blind: Estimate) -> bool:
    """Whether a row is above the guesses, paired over samples, and its interval above that of the blind score."""
    paired, own = row.metrics.get(ABOVE), row.metrics[metric]
    if paired is None or paired.low is None or own is None or own.low is None:
        return False
    return paired.low > 0 and own.low > blind.value

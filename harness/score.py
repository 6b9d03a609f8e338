"""Scores predictions that were made elsewhere, with the same metrics, passport and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.estimates import estimates
from harness.matching import require_matching
from harness.metrics.directions import marked
from harness.plain_answers import require_finite
from harness.protocols import Noting, Task
from harness.record import Estimate
from harness.sample import Dataset, FileOutcomes, Note, Sample


@dataclass(frozen=True)
class Scores:
    """Metrics with their intervals, the signature of the code that made them, and what must be known beside them."""

    metrics: Mapping[str, Estimate | None]
    signature: str
    notes: tuple[Note, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Turn into the documented keys of `bench score --format json`."""
        return {
            "metrics": {name: e.to_json() if e else None for name, e in self.metrics.items()},
            "signature": self.signature,
            "notes": [asdict(note) for note in self.notes],
        }


def score_file(
    task: Task, predictions: Path, references: tuple[Dataset, Sequence[Sample]], resamples: int, cache: Path
) -> Scores:
    """Score a file of predictions against samples; raises BenchError for what does not fit."""
    data, samples = references
    outcomes = task.read_predictions(predictions, data)
    require_finite(outcomes)
    with task.scorer(data, cache) as scorer:
        signature = scorer.prepare(samples)
        require_matching(scorer, samples, outcomes)
        statistics = scorer.score(samples, outcomes)
        metrics = estimates(statistics, resamples)
        answered = scorer.notes(samples, outcomes) if isinstance(scorer, Noting) else ()
    read = outcomes.notes if isinstance(outcomes, FileOutcomes) else ()
    return Scores(metrics, signature, (*data.notes, *read, *answered))


def render_scores(scores: Scores) -> str:
    """Render as a plain table."""
    lines = []
    for name, e in scores.metrics.items():
        value = _told(e) if e else "  absent"
        lines.append(f"{marked(name):<22}{value}")
    how = f"95 % intervals: by bootstrap over images, Wilson's for proportions; {scores.signature}"
    return "\n".join([*lines, "", *(f"Note: {note}" for note in scores.notes), how])


def _told(e: Estimate) -> str:
    weakened = f", {e.note}" if e.note and e.interval else ""
    return f"{e.value:8.4f}  {e.bracket('.4f')}  {e.count} sample{'' if e.count == 1 else 's'}{weakened}"

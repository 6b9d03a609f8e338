"""A cell some of whose samples have no answer: no score, but what it must lie between, and which samples these are.

Such a record has failed, so nothing ranks, compares or gates it, and the next run asks again; its failed samples stand
in the provenance under FAILED_SAMPLES, with the bounds of each metric that has some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.plan.installed_metrics import metric_named
from harness.records.scoring import Scoring
from harness.records.unanswered import FAILED_SAMPLES
from harness.sample import Predicted, Sample
from harness.stats.unanswered_bounds import unanswered_bounds
from harness.text.failed_samples import counted_reasons, no_answers_told


def unanswered_error(predicted: Predicted, total: int) -> str:
    """Say how many samples have no answer, and what comes of it."""
    return (
        f"{no_answers_told(predicted.failed, total)}. They count neither as right nor as wrong: bounds, no "
        "score. Run again: these alone are asked anew."
    )


def unanswered_provenance(scorer: Scoring, answered: Sequence[Sample], predicted: Predicted) -> dict[str, Any]:
    """Describe the failed samples and bound the metrics; raises DataError for answers that cannot be scored."""
    failed = predicted.failed
    bounds: Mapping[str, tuple[float, float] | None] = {}
    if answered:
        bounds = unanswered_bounds(scorer.score(answered, predicted.outcomes), len(failed), _ends)
    return {
        FAILED_SAMPLES: {
            "count": len(failed),
            "of": len(answered) + len(failed),
            "reasons": counted_reasons(failed),
            "samples": dict(failed),
            "bounds": {name: list(ends) for name, ends in bounds.items() if ends is not None},
            "unbounded": sorted(name for name, ends in bounds.items() if ends is None),
        }
    }


def _ends(name: str) -> tuple[float, float] | None:
    """The least and the most that a metric can be; None where it has no end."""
    metric = metric_named(name)
    return None if metric.lowest is None or metric.highest is None else (metric.lowest, metric.highest)

"""Scores what a model has answered: all that makes metrics and their intervals of predictions.

The code of scoring begins here for `harness.plan.code_digests`.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.record import Estimate
from harness.records.sample_scores import Scored
from harness.records.scoring import Scoring
from harness.sample import Outcome, Sample
from harness.stats.estimates import estimate, estimate_difference, estimates


def score_answers(
    scorer: Scoring, samples: Sequence[Sample], outcomes: Sequence[Outcome], additive: Sequence[Outcome] = ()
) -> Scored:
    """Score one answer a sample; `additive` are those of the model's additive projection, on some samples or none.

    Raises DataError for answers that do not fit the samples.
    """
    return Scored(samples, outcomes, scorer.score(samples, outcomes), additive)


def answer_metrics(scorer: Scoring, scored: Scored, first: str, resamples: int) -> dict[str, Estimate | None]:
    """Put intervals around all metrics; `first` is the task's first one, which tells what the projection lacks.

    Raises DataError for a metric that is no number.
    """
    return estimates(scored.statistics, resamples) | _interaction(scorer, scored, first, resamples)


def _interaction(scorer: Scoring, scored: Scored, first: str, resamples: int) -> dict[str, Estimate | None]:
    """What the model scores above its additive projection, on the samples that were projected."""
    if not scored.additive:
        return {}
    wanted = {outcome.sample_id for outcome in scored.additive}
    chosen = [sample for sample in scored.samples if sample.sample_id in wanted]
    own = [outcome for outcome in scored.outcomes if outcome.sample_id in wanted]
    whole, additive = (scorer.score(chosen, outcomes).get(first) for outcomes in (own, scored.additive))
    if whole is None or additive is None:
        return {}
    return {
        f"EMAP {first}": estimate(additive, resamples),
        "interaction": estimate_difference(whole, additive, resamples),
    }

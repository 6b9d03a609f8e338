"""Puts predictions beside the samples that they answer."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import DataError
from harness.sample import Outcome, Prediction, Sample


def in_sample_order(samples: Sequence[Sample], outcomes: Sequence[Outcome], what: str) -> list[Prediction]:
    """Order predictions as the samples; raises DataError when one is missing, twice there or for no sample."""
    predictions = {outcome.sample_id: outcome.prediction for outcome in outcomes}
    if len(predictions) != len(outcomes):
        raise DataError(f"{len(outcomes) - len(predictions)} samples have more than one {what}. Keep one.")
    wanted = [sample.sample_id for sample in samples]
    missing = [sample_id for sample_id in wanted if sample_id not in predictions]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(wanted)} samples have no {what} (first: {', '.join(missing[:3])}). "
            "Every sample of the split needs one."
        )
    extra = sorted(predictions.keys() - set(wanted))
    if extra:
        raise DataError(
            f"{len(extra)} are for samples that the split does not have (first: {', '.join(extra[:3])}). "
            "Check that predictions and targets are of the same split."
        )
    return [predictions[sample_id] for sample_id in wanted]

"""Puts predictions beside the samples that they answer."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import DataError
from harness.sample import Outcome, Prediction, Sample
from tasks.formats.id_readings import ids_themselves


def in_sample_order(samples: Sequence[Sample], outcomes: Sequence[Outcome], what: str) -> list[Prediction]:
    """Order predictions as the samples; raises DataError when one is for no sample, missing or twice there.

    Strange ids come first, with ids of the split beside them: where ids are written another way, all are missing too.
    """
    wanted = [sample.sample_id for sample in samples]
    reading = ids_themselves(wanted)
    predictions = {reading.sample(outcome.sample_id): outcome.prediction for outcome in outcomes}
    extra = sorted({o.sample_id for o in outcomes if reading.sample(o.sample_id) is None})
    missing = [sample_id for sample_id in wanted if sample_id not in predictions]
    if extra:
        lacking = f", and {len(missing)} of its {len(wanted)} have no {what}" if missing else ""
        beside = f"{', '.join((missing or wanted)[:3])}{' …' if len(wanted) > 3 else ''}"
        raise DataError(
            f"Of {len(outcomes)} {what}s {len(extra)} are for samples that the split does not have (first: "
            f"{', '.join(extra[:3])}; the split has {beside}){lacking}. "
            "Check that predictions and targets are of the same split, and that ids are written alike."
        )
    if len(predictions) != len(outcomes):
        raise DataError(f"{len(outcomes) - len(predictions)} samples have more than one {what}. Keep one.")
    if missing:
        raise DataError(
            f"{len(missing)} of {len(wanted)} samples have no {what} (first: {', '.join(missing[:3])}). "
            "Every sample of the split needs one."
        )
    return [predictions[sample_id] for sample_id in wanted]

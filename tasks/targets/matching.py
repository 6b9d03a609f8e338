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
    given = list(outcomes)
    return [given[place].prediction for place in places_of_samples(samples, [o.sample_id for o in given], what)]


def places_of_samples(samples: Sequence[Sample], given: Sequence[str], what: str) -> list[int]:
    """Say which of some ids is each sample's; raises DataError as `in_sample_order`."""
    wanted = [sample.sample_id for sample in samples]
    places = {sample_id: place for place, sample_id in enumerate(given)}
    if len(places) == len(given) and places.keys() == set(wanted):
        return [places[sample_id] for sample_id in wanted]
    reading = ids_themselves(wanted)
    found = {reading.sample(sample_id): place for place, sample_id in enumerate(given)}
    extra = sorted({sample_id for sample_id in given if reading.sample(sample_id) is None})
    missing = [sample_id for sample_id in wanted if sample_id not in found]
    if extra:
        lacking = f", and {len(missing)} of its {len(wanted)} have no {what}" if missing else ""
        beside = f"{', '.join((missing or wanted)[:3])}{' …' if len(wanted) > 3 else ''}"
        raise DataError(
            f"Of {len(given)} {what}s {len(extra)} are for samples that the split does not have (first: "
            f"{', '.join(extra[:3])}; the split has {beside}){lacking}. "
            "Check that predictions and targets are of the same split, and that ids are written alike."
        )
    if len(found) != len(given):
        raise DataError(f"{len(given) - len(found)} samples have more than one {what}. Keep one.")
    if missing:
        raise DataError(
            f"{len(missing)} of {len(wanted)} samples have no {what} (first: {', '.join(missing[:3])}). "
            "Every sample of the split needs one."
        )
    return [found[sample_id] for sample_id in wanted]

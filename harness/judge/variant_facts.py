"""What is known of a compressed variant beside its scores: parity with its parent, size, speed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Protocol, TypeVar

from harness.record import BESIDE_PARENT, VARIANT, RunRecord


@dataclass(frozen=True)
class VariantFacts:
    """A variant beside its parent: over seeds the worst parity, and the mean of what it costs; None where not known.

    `speed_up` is how many times faster than the parent it answers, with the widest interval of the seeds.
    """

    parent: str
    name: str
    exact: bool
    numbers: str
    difference: float | None
    flipped_share: float
    samples: int
    bytes: float
    parent_bytes: float
    seconds_to_make: float
    seconds_to_load: float | None
    speed_up: float | None
    speed_up_low: float | None
    speed_up_high: float | None
    break_even_calls: float | None

    @property
    def is_slower(self) -> bool:
        """Whether it is slower than its parent beyond its interval."""
        return self.speed_up_high is not None and self.speed_up_high < 1

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return asdict(self)


def variant_facts(records: Sequence[RunRecord]) -> VariantFacts | None:
    """Gather what the seeds of a row say of their variant; None where they are of none, or none of them is done."""
    told = [record.provenance[VARIANT] for record in records if record.provenance.get(VARIANT)]
    if not told:
        return None
    first = next(record for record in records if record.provenance.get(VARIANT))
    parities = [each["parity"] for each in told]
    beside: list[Mapping[str, Any]] = [r.efficiency.notes.get(BESIDE_PARENT, {}) for r in records]
    differences = [p["largest_difference"] for p in parities if p["largest_difference"] is not None]
    lows, highs = _known(beside, "speed_up_low"), _known(beside, "speed_up_high")
    return VariantFacts(
        parent=first.cell["training"]["model"],
        name=first.cell["variant"]["name"],
        exact=all(each["exact"] for each in told),
        numbers=parities[0]["numbers"],
        difference=max(differences, default=None),
        flipped_share=max(parity["flipped_share"] for parity in parities),
        samples=min(parity["samples"] for parity in parities),
        bytes=fmean(each["bytes"] for each in told),
        parent_bytes=fmean(each["parent_bytes"] for each in told),
        seconds_to_make=fmean(each["seconds_to_make"] for each in told),
        seconds_to_load=_mean(_known(beside, "seconds_to_load")),
        speed_up=_geometric_mean(_known(beside, "speed_up")),
        speed_up_low=min(lows, default=None),
        speed_up_high=max(highs, default=None),
        break_even_calls=_mean(_known(beside, "break_even_calls")),
    )


def parent_of(record: RunRecord) -> str | None:
    """Name the model that a record's variant was made of; None for a record of none. Of one that never ran, its name.

    Names with a prefix are left whole there: what follows a plus may be part of them.
    """
    if variant := record.cell.get(VARIANT):
        return record.model.removesuffix(f"+{variant['name']}")
    if record.cell or ":" in record.model.partition("+")[0] or "+" not in record.model:
        return None
    return record.model.partition("+")[0]


class _RowOfModel(Protocol):
    @property
    def model(self) -> str: ...
    @property
    def control(self) -> str | None: ...
    @property
    def setting(self) -> str: ...
    @property
    def parent(self) -> str | None: ...
    @property
    def trained_as(self) -> str: ...


_Row = TypeVar("_Row", bound=_RowOfModel)


def under_parents(rows: Sequence[_Row]) -> list[_Row]:
    """Put variants below the row that they were made of, in their order; those whose parent is not there stay.

    That is the row of the same training; of a variant that never ran, the one that is named by the same setting.
    """
    tops = [row for row in rows if row.parent is None]
    by_training = {(row.model, row.control, row.trained_as): id(row) for row in tops if row.trained_as}
    by_setting = {(row.model, row.control, row.setting): id(row) for row in tops}
    under: dict[int, list[_Row]] = {}
    left: list[_Row] = []
    for row in rows:
        parent = None
        if row.parent is not None:
            trained, named = (row.parent, row.control, row.trained_as), (row.parent, row.control, row.setting)
            parent = by_training.get(trained) if row.trained_as else by_setting.get(named)
        (left if parent is None else under.setdefault(parent, [])).append(row)
    return [each for row in left for each in (row, *under.get(id(row), ()))]


def _known(found: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    return [each[name] for each in found if each.get(name) is not None]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _geometric_mean(values: Sequence[float]) -> float | None:
    return math.exp(fmean(map(math.log, values))) if values else None

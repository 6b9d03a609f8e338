"""Which training images got a label in which round (`train.acquire`), as a training's summary says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.sample import Sample

ACQUISITION = "acquisition"
"""Where a training's summary says so."""


@dataclass(frozen=True)
class Acquired:
    """The ids of the samples that got a label, by round."""

    by: str
    rounds: tuple[tuple[str, ...], ...]

    def of(self, split: Sequence[Sample]) -> list[Sample]:
        """Its samples of a split, in the order of the split."""
        chosen = {name for own in self.rounds for name in own}
        return [sample for sample in split if sample.sample_id in chosen]

    def to_json(self) -> dict[str, Any]:
        """What a record says: by which rule, how many and which in each round."""
        return {"by": self.by, "rounds": [{"acquired": len(own), "samples": list(own)} for own in self.rounds]}


def acquired_of(told: Mapping[str, Any]) -> Acquired:
    """Read what a record says."""
    return Acquired(told["by"], tuple(tuple(own["samples"]) for own in told["rounds"]))

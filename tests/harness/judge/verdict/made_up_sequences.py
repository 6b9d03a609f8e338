"""Made-up trainings on one domain after the other, laid onto the records of a made-up world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.record import RunRecord

from .made_up_records import World

SAMPLES = 200


def losing(loss: float) -> np.ndarray:
    """Scores of two domains before and after each of two stages: the first domain loses so much."""
    return np.array([[0.1, 0.1], [0.8, 0.3], [0.8 - loss, 0.7]])


def with_sequence(world: World, records: Sequence[RunRecord], levels: np.ndarray, same: str = "s") -> list[RunRecord]:
    """Give records a sequence whose shares of right answers are near `levels` `[T + 1, T]`; each seed has its own."""
    found = []
    for record in records:
        draw = np.random.default_rng([7, record.seed, len(record.control or "")])
        answers = [[(draw.random(SAMPLES) < level).astype(float) for level in row] for row in levels]
        block = {
            "metric": "top-1",
            "domains": [
                {"name": f"d{n}", "samples": SAMPLES, "samples_sha256": same, "clusters": "", "chance": 0.05}
                for n in range(levels.shape[1])
            ],
            "stages": [],
            "scores": [
                [{"value": own.mean(), "per_sample": " ".join(f"{v:g}" for v in own)} for own in row] for row in answers
            ],
        }
        told = {"training": {**record.provenance["training"], "sequence": block}}
        found.append(replace(record, provenance=told))
        world.records[world.records.index(record)] = found[-1]
    return found

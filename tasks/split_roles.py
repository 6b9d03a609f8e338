"""Which split of a folder on disk plays which role, and the part of train that selects checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.sample import Dataset, Sample

HELD_OUT = "train-held-out"
"""The part of train that selects checkpoints where there is no test split beside val."""


@dataclass(frozen=True)
class Roles:
    """The splits that are stored, all that can be named, and which selects and which is evaluated."""

    stored: tuple[str, ...]
    splits: tuple[str, ...]
    selection: str
    default: str


def roles_of(found: Collection[str]) -> Roles:
    """Evaluate on test and select on val; without a test split evaluate on val and select on a part of train.

    Choosing a checkpoint on val and then reporting val would be selection on the test data.
    """
    if "test" in found:
        stored = ("train", "val", "test")
        return Roles(stored, stored, "val", "test")
    return Roles(("train", "val"), ("train", "val", HELD_OUT), HELD_OUT, "val")


def stored_split(data: Dataset, split: str) -> str:
    """Name the split on disk that a split comes from."""
    return data.training_split if split == HELD_OUT else split


def part_of(data: Dataset, split: str, samples: Sequence[Sample]) -> list[Sample]:
    """Keep the samples of a stored split that belong to `split`: train without what is held out, or only that."""
    if HELD_OUT not in data.splits or split not in (data.training_split, HELD_OUT):
        return list(samples)
    held_out = held_out_ids([sample.sample_id for sample in samples])
    return [sample for sample in samples if (sample.sample_id in held_out) == (split == HELD_OUT)]


def held_out_ids(sample_ids: Sequence[str]) -> frozenset[str]:
    """Pick the tenth of train (16 to 500 samples, never over half) that selects checkpoints."""
    count = min(max(16, len(sample_ids) // 10), 500, len(sample_ids) // 2)
    ordered = sorted(sample_ids, key=lambda sample_id: hashlib.sha256(sample_id.encode()).digest())
    return frozenset(ordered[:count])

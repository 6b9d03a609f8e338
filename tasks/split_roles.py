"""Which split of a folder on disk plays which role, and the part of train that selects checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def roles_of(found: Collection[str], reported: str | None = None) -> Roles:
    """Evaluate on test and select on val; where one of them is missing, or val is evaluated, select on a part of train.

    Choosing a checkpoint on val and then reporting val would be selection on the test data. `reported` is the split
    that was asked for, None for the default one.
    """
    stored = tuple(split for split in ("train", "val", "test") if split in found)
    default = "test" if "test" in found else "val"
    if "val" in found and "test" in found and reported != "val":
        return Roles(stored, stored, "val", default)
    return Roles(stored, (*stored, HELD_OUT), HELD_OUT, default)


def folder_dataset(
    root: Path,
    roles: Roles,
    layout: str,
    digest: str,
    *,
    options: Mapping[str, Any] | None = None,
    cache: Path | None = None,
) -> Dataset:
    """Describe a folder on disk whose splits have these roles; it is named after the folder."""
    return Dataset(
        name=root.resolve().name,
        root=root.resolve(),
        digest=digest,
        layout=layout,
        splits=roles.splits,
        training_split="train",
        selection_split=roles.selection,
        default_split=roles.default,
        options=options or {},
        cache=cache,
    )


def stored_split(data: Dataset, split: str) -> str:
    """Name the split on disk that a split comes from."""
    return data.training_split if split == HELD_OUT else split


def part_of(data: Dataset, split: str, samples: Sequence[Sample]) -> list[Sample]:
    """Keep the samples of a stored split that belong to `split`: train without what is held out, or only that."""
    if HELD_OUT not in data.splits or split not in (data.training_split, HELD_OUT):
        return list(samples)
    held_out = held_out_ids([sample.sample_id for sample in samples])
    return [sample for sample in samples if (sample.sample_id in held_out) == (split == HELD_OUT)]


def mixed(samples: Sequence[Sample]) -> list[Sample]:
    """Order samples by the digest of their id: the same order everywhere, and no part or class comes first."""
    return sorted(samples, key=lambda sample: hashlib.sha256(sample.sample_id.encode()).digest())


def held_out_ids(sample_ids: Sequence[str]) -> frozenset[str]:
    """Pick the tenth of train (16 to 500 samples, never over half) that selects checkpoints."""
    count = min(max(16, len(sample_ids) // 10), 500, len(sample_ids) // 2)
    ordered = sorted(sample_ids, key=lambda sample_id: hashlib.sha256(sample_id.encode()).digest())
    return frozenset(ordered[:count])

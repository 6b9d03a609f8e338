"""Which split of a folder on disk plays which role, and the part of train that selects checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.sample import Dataset, Note, Sample
from harness.text.spelling import name_bytes
from tasks.formats.image_folder import ALL

HELD_OUT = "train-held-out"
"""The part of train that selects checkpoints where there is no test split beside val."""


@dataclass(frozen=True)
class Roles:
    """The splits that are stored, all that can be named, and which one trains, selects and is evaluated.

    `training` and `selection` are None where there is nothing to train on: the data is there to be evaluated on only.
    """

    stored: tuple[str, ...]
    splits: tuple[str, ...]
    selection: str | None
    default: str
    training: str | None = "train"


def roles_of(root: Path, found: Collection[str], reported: str | None = None) -> Roles:
    """Evaluate on test and select on val; where one of them is missing, or val is evaluated, select on a part of train.

    Choosing a checkpoint on val and then reporting val would be selection on the test data. `reported` is the split
    that was asked for, None for the default one. Without train, or with train alone where train itself is asked for,
    nothing is trained. Raises DataError, naming `root`, where train is all there is and nobody asked for its score.
    """
    stored = tuple(split for split in ("train", "val", "test", ALL) if split in found)
    others = tuple(split for split in stored if split != "train")
    if not others and reported != "train":
        raise DataError(
            f"{root} has {'only train' if stored else 'no split'}: nothing is left to evaluate on. Add val or test; "
            "or, to evaluate models on train itself without training any, give --split train."
        )
    if not others or "train" not in found:
        return Roles(stored, stored, None, (others or stored)[-1], None)
    if "val" in found and "test" in found and reported != "val":
        return Roles(stored, stored, "val", others[-1])
    return Roles(stored, (*stored, HELD_OUT), HELD_OUT, others[-1])


def folder_dataset(
    root: Path,
    roles: Roles,
    layout: str,
    digest: str,
    *,
    options: Mapping[str, Any] | None = None,
    cache: Path | None = None,
    notes: Sequence[Note] = (),
    opened: object = None,
) -> Dataset:
    """Describe a folder on disk whose splits have these roles; it is named after the folder.

    What was `opened` is kept where its paths are those that are read from the data set: below the resolved root.
    """
    return Dataset(
        name=root.resolve().name,
        root=root.resolve(),
        digest=digest,
        layout=layout,
        splits=roles.splits,
        training_split=roles.training,
        selection_split=roles.selection,
        default_split=roles.default,
        options=options or {},
        cache=cache,
        notes=tuple(notes),
        opened=opened if root == root.resolve() else None,
    )


def stored_split(data: Dataset, split: str) -> str:
    """Name the split on disk that a split comes from."""
    return "train" if split == HELD_OUT else split


def part_of(data: Dataset, split: str, samples: Sequence[Sample]) -> list[Sample]:
    """Keep the samples of a stored split that belong to `split`: train without what is held out, or only that."""
    if HELD_OUT not in data.splits or split not in (data.training_split, HELD_OUT):
        return list(samples)
    held_out = held_out_ids([sample.sample_id for sample in samples])
    return [sample for sample in samples if (sample.sample_id in held_out) == (split == HELD_OUT)]


def mixed(samples: Sequence[Sample]) -> list[Sample]:
    """Order samples by the digest of their id: the same order everywhere, and no part or class comes first."""
    return sorted(samples, key=lambda sample: hashlib.sha256(name_bytes(sample.sample_id)).digest())


def held_out_ids(sample_ids: Sequence[str]) -> frozenset[str]:
    """Pick the tenth of train (16 to 500 samples, never over half) that selects checkpoints."""
    count = min(max(16, len(sample_ids) // 10), 500, len(sample_ids) // 2)
    ordered = sorted(sample_ids, key=lambda sample_id: hashlib.sha256(name_bytes(sample_id)).digest())
    return frozenset(ordered[:count])

"""Opens the domains of a sequence of trainings: splits of a run's data, and data sets of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.acquire.sources import folder_of
from harness.answers import BOXES, LABELS
from harness.cell import Domain, TrainOptions
from harness.errors import DataError, UsageError, nearest
from harness.plan.names import words
from harness.protocols import DataContext, Task, open_data
from harness.sample import Dataset

BASE = "base"
"""What the first stage is called: the data's own training split."""


def open_domains(task: Task, data: Dataset, train: TrainOptions, context: DataContext) -> tuple[Domain, ...]:
    """Open the stages of `train.sequence`, the data's own first; empty without one.

    A name is that of a split of the data, whose images are parted into training, selection and test; else it is a place
    of other data, as `--data` takes it. Raises UsageError for what is neither, DataError for data of other classes.
    """
    names = [name for name in words(train.sequence) if name != BASE]
    if not names:
        return ()
    _check(data, train, names)
    assert data.training_split is not None
    tested = context.split or data.default_split
    first = Domain(BASE, replace(data, opened=None), data.training_split, data.selection_split, tested)
    return (first, *(_open(task, data, name, context) for name in names))


def _check(data: Dataset, train: TrainOptions, names: Sequence[str]) -> None:
    asked = f"train.sequence={','.join(names)}"
    if data.training_split is None:
        raise UsageError(f"{asked}: {data.name} has no training split to begin with. Take data that have one.")
    if train.processes > 1:
        raise UsageError(f"{asked}: a sequence is trained in one process. Leave out train.processes={train.processes}.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{asked}: {twice[0]} is named twice. Name each domain once.")
    taken = (data.training_split, data.selection_split, data.default_split)
    if own := [name for name in names if name in taken]:
        raise UsageError(f"{asked}: {own[0]} is part of the stage {BASE}. Name another split, or other data.")


def _open(task: Task, data: Dataset, name: str, context: DataContext) -> Domain:
    if name in data.splits:
        opened = open_data(task, replace(context, split=name))
        return Domain(name, replace(opened, opened=None), name, name, name)
    if not any(mark in name for mark in "/\\:."):
        raise UsageError(
            f"train.sequence: {data.name} has no split '{name}', and a folder is written with a slash (./{name}). "
            f"{nearest(name, data.splits)}"
        )
    folder = folder_of(name, context.cache, context.progress)
    other = open_data(task, replace(context, wish=folder, split=None))
    if other.training_split is None:
        raise DataError(f"train.sequence: {other.name} has no training split. Give it one, or leave it out.")
    _require_classes(task, data, other)
    return Domain(other.name, replace(other, opened=None), other.training_split, other.selection_split,
                  other.default_split)  # fmt: skip


def _require_classes(task: Task, data: Dataset, other: Dataset) -> None:
    """Refuse data of other classes where answers name classes: a model keeps its own through all stages."""
    own, others = task.spec(data, ()), task.spec(other, ())
    if own.answers not in (LABELS, BOXES) or own.classes.names == others.classes.names:
        return
    raise DataError(
        f"train.sequence: {other.name} has the classes {', '.join(others.classes.names[:5])}, …; wanted those of "
        f"{data.name} in the same order: {', '.join(own.classes.names[:5])}, … . Name those of both with --classes."
    )

"""Refuses trials and remedies that a run could not make."""

from __future__ import annotations

from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.sample import Dataset


def check_trials(train: TrainOptions, data: Dataset) -> None:
    """Refuse trials that nothing could choose among; raises UsageError."""
    if train.trials == 1:
        return
    asked = f"--trials {train.trials}"
    if data.selection_split is None:
        raise UsageError(f"{asked}: {data.name} has no validation split by which to choose. Leave --trials out.")
    if train.validations == 0:
        raise UsageError(f"{asked}: train.validations=0 leaves nothing by which to choose. Set it above 0.")
    if train.processes > 1:
        raise UsageError(f"{asked}: trials run in one process each. Leave out train.processes={train.processes}.")


def check_remedies(train: TrainOptions) -> None:
    """Refuse remedies that nothing would come of; raises UsageError."""
    if train.unlabelled and train.shots is None and train.limit is None:
        raise UsageError(
            f"train.unlabelled={train.unlabelled:g} wants samples without labels. Limit the labels by train.shots=k or "
            "train.limit=n, or leave it out."
        )
    if train.acquire and train.shots is None and train.limit is None:
        raise UsageError(
            f"train.acquire={train.acquire} wants a budget of labels. Set train.limit=n or train.shots=k, or leave it "
            "out."
        )
    if train.acquire and train.processes > 1:
        raise UsageError(f"train.acquire trains in one process. Leave out train.processes={train.processes}.")
    named = [name for name in ("mix", "adversarial", "words", "unlabelled") if getattr(train, name)]
    if named and train.processes > 1:
        raise UsageError(
            f"train.{named[0]} changes batches in one process. Leave out train.processes={train.processes}."
        )

"""Which classes of a folder count as unseen in training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError, UsageError, nearest
from harness.perturb.natural_shifts import plain_name
from harness.protocols import DataContext
from tasks.classification.readers import LabelledSplits

_UNSEEN_SHARE = 5
"""Every fifth class, in the order of their digests, is unseen where the user names none."""


def unseen_classes(root: Path, found: LabelledSplits, context: DataContext, zero_shot: bool) -> tuple[str, ...]:
    """The classes without training samples: those that train lacks, and for zero-shot those that the user names.

    Where train has all of them and the user names none, every fifth by digest is left out of training. Without train
    nothing is trained here: for zero-shot all classes are unseen but for what the user's list leaves out. Models that
    were trained on another data set have not seen what is unseen there.
    """
    wish = context.settings.get("unseen")
    if len(found.names) < 2:
        raise DataError(f"{root} is one-class data (only '{found.names[0]}'): there is nothing to tell apart.")
    if context.trained_on is not None:
        elsewhere = {plain_name(name) for name in context.trained_on.options.get("unseen", ())}
        return tuple(sorted(name for name in found.names if plain_name(name) in elsewhere))
    if "train" not in found.splits:
        named = found.names if wish is None else _named(wish, found.names)
        return tuple(sorted(named)) if zero_shot else ()
    trained = {sample.target.label for sample in found.splits["train"]}
    lacking = {name for index, name in enumerate(found.names) if index not in trained}
    chosen = lacking | _chosen(found.names, wish, lacking) if zero_shot else lacking
    if len(chosen) == len(found.names):
        raise UsageError(f"task.unseen leaves no class of {root} with training samples. Name fewer.")
    return tuple(sorted(chosen))


def _chosen(names: Sequence[str], wish: Any, lacking: set[str]) -> set[str]:
    from tasks.formats.image_folder import ordered_by_hash

    if wish is not None:
        return _named(wish, names)
    return set() if lacking else set(ordered_by_hash(names)[: max(1, len(names) // _UNSEEN_SHARE)])


def _named(wish: Any, names: Sequence[str]) -> set[str]:
    """Read class names joined by +, or listed; raises UsageError for one that is unknown, and for none."""
    listed = wish if isinstance(wish, list | tuple) else str(wish).split("+")
    chosen = {str(name).strip() for name in listed} - {""}
    if not chosen:
        raise UsageError("task.unseen names no class. Join names with +, or leave it out.")
    for name in sorted(chosen):
        if name not in names:
            raise UsageError(f"task.unseen: no class '{name}'. {nearest(name, names)}")
    return chosen

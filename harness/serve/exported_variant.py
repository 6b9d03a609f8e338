"""A compressed variant of an exported model: made again of its parent, with the files that were exported with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.compress.compiled import Compilation
from harness.errors import CheckpointError, NotCompressible, UsageError
from harness.jobs.variants import change_in_place
from harness.plan.modifiers import Modifier, load_modifier
from harness.plan.variants import WantedVariant, lacking_packages
from harness.protocols import CompressionWork, Learner

VARIANT_FILES = "variant"
"""The folder of an export with what its variant was converted to; empty where weights change as they are loaded."""


def require_portable(name: str, parent: str) -> None:
    """Raise UsageError for a variant that is made anew on every machine."""
    if any(isinstance(each.plugin, Compilation) for each in _modifiers(name)):
        raise UsageError(
            f"{parent}+{name} is compiled for this machine alone, so there is nothing to export. Export {parent}, or "
            f"its variant +onnx."
        )


def change_into_variant(name: str, learner: Learner, folder: Path, answer: Callable[[Learner, int], None]) -> None:
    """Change the parent of an export in `folder` into its variant, which answers some of the golden inputs for that.

    Raises CheckpointError where a package is missing, or it cannot be made here.
    """
    modifiers = _modifiers(name)
    if (lacking := lacking_packages(WantedVariant("", None, modifiers))) is not None:
        raise CheckpointError(f"{folder} is refused: {lacking}")

    def train(steps: int, after_step: Callable[[], None]) -> None:
        raise CheckpointError(f"{folder} has no weights that were trained on for +{name}. Export the model again.")

    try:
        change_in_place(modifiers, CompressionWork(learner, "", answer, folder / VARIANT_FILES, train))
    except NotCompressible as error:
        raise CheckpointError(f"{folder} is refused: {error}") from error


def _modifiers(name: str) -> tuple[Modifier, ...]:
    return tuple(load_modifier(word) for word in name.split("+"))

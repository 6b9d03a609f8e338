"""What makes a compressed or compiled variant of a trained model; found by the group `bench.modifiers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from harness.protocols.model import Learner


@dataclass(frozen=True)
class CompressionWork:
    """What a compression is given: the trained learner, in evaluation mode, and what it may use.

    `answer` has a learner answer that many samples, from pixels to predictions, under `torch.no_grad`; it returns
    nothing. `folder` is where files are kept: those of a former call are there when the variant is loaded again.
    `train` trains the learner so many steps on, and calls a function after each. `lose` has a learner tell its losses
    of that many samples, where it can: a decoder reads whole texts there, and one word after the other elsewhere.
    `shared` is a folder of all models on this machine, for what does not depend on their weights.
    """

    learner: Learner
    argument: str
    answer: Callable[[Learner, int], None]
    folder: Path
    train: Callable[[int, Callable[[], None]], None]
    lose: Callable[[Learner, int], None] | None = None
    shared: Path | None = None


@runtime_checkable
class Compression(Protocol):
    """A change of a trained learner that keeps what it does: fewer bits, fewer weights, another runtime.

    `packages` are the distributions that it needs, `extra` the extra of this tool that brings them, "" for none.
    `exact` says that nothing but rounding may differ from the parent's answers: more is an error of the conversion.
    `same_operations` says that the parent's parameters and operations are those of the variant too.
    """

    name: str
    summary: str
    packages: tuple[str, ...]
    extra: str
    exact: bool
    same_operations: bool

    def check(self, argument: str) -> None:
        """Raise UsageError for an argument that is not taken; must not import torch."""
        ...

    def compress(self, work: CompressionWork) -> Mapping[str, Any]:
        """Change the learner in place; returns what was done, JSON-able.

        Raises NotCompressible naming what cannot be converted.
        """
        ...

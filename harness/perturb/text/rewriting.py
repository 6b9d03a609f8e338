"""A perturbation of texts that is one function: what it is called, and how it rewrites a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.perturb.perturbation import TEXT

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Rewriting:
    """A `TextPerturbation` whose `rewrite` takes a text, a severity and a generator and returns the new text.

    The same text comes back where nothing in it can be changed.
    """

    name: str
    summary: str
    family: str
    rewrite: Callable[[str, int, np.random.Generator], str]
    severities: tuple[int, ...] = (1,)
    keeps_meaning: bool = True
    version: int = 1
    modality: str = TEXT

    def apply(self, text: str, severity: int, rng: np.random.Generator) -> str:
        """Return the rewritten text."""
        return self.rewrite(text, severity, rng)

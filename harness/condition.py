"""Under which condition a model is evaluated: clean, perturbed in one or several ways, or on a shifted split."""

from __future__ import annotations

from dataclasses import dataclass

SHIFT = "shift"
"""Family of the conditions that are another split or another data set."""


@dataclass(frozen=True)
class Part:
    """One perturbation at one severity."""

    name: str
    severity: int


@dataclass(frozen=True)
class Condition:
    """Perturbations that act together, none of them for clean; or the name of a shift, a split of its own.

    `level` is the severity of a shift that is a corrupted copy of a split, 0 for all others.
    """

    parts: tuple[Part, ...] = ()
    shift: str | None = None
    level: int = 0

    @property
    def name(self) -> str:
        """Name it without its severity: `clean`, `fog`, `fog+typo-keyboard`, `shift-style`.

        Parts of different severities keep theirs: `fog-1+typo-keyboard-3`.
        """
        if self.shift is not None:
            return f"{SHIFT}-{self.shift}"
        if len({part.severity for part in self.parts}) > 1:
            return "+".join(f"{part.name}-{part.severity}" for part in self.parts)
        return "+".join(part.name for part in self.parts) or "clean"

    @property
    def severity(self) -> int:
        """The greatest severity of its parts, or that of a corrupted copy; 0 for clean and for all other shifts."""
        return max((part.severity for part in self.parts), default=self.level)

    @property
    def split_key(self) -> str:
        """Name the split that it is evaluated on in a robustness run; empty for that of the models' records."""
        if self.shift is None:
            return ""
        return f"{self.shift}-{self.level}" if self.level else self.shift

    @property
    def label(self) -> str:
        """Name it with its severity, fit for a file's name: `clean-0`, `fog-3`."""
        return f"{self.name}-{self.severity}"


CLEAN = Condition()

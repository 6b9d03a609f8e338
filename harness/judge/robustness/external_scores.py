"""mPC, rPC, mCE and relative mCE of tables that were made elsewhere: `bench score --robustness`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError, nearest
from harness.judge.robustness.cells import SEVERITIES, GridCell, ModelTable
from harness.judge.robustness.corruption_error import (
    MeanCorruptionError,
    UnderCorruption,
    mean_corruption_error,
    under_corruption,
)
from harness.judge.robustness.external_file import read_scores_file
from harness.judge.robustness.published import ALEXNET
from harness.judge.robustness.reference import ReferenceTable
from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.stats.propagation import Figure

_NO_REFERENCE = "no --reference-model was given"


@dataclass(frozen=True)
class ModelScores:
    """One model's numbers as fractions; `error` is None without a reference."""

    clean: Figure
    corruption: UnderCorruption
    error: MeanCorruptionError | None
    means: Mapping[str, Figure]

    def to_json(self) -> dict[str, Any]:
        """Turn into the documented keys; a number that there is not is null, and `reasons` says why."""
        found = {
            "clean": self.clean,
            "mPC": self.corruption.mpc,
            "rPC": self.corruption.rpc,
            "mCE": self.error.mce if self.error else Figure(None, reason=_NO_REFERENCE),
            "relative_mCE": self.error.relative if self.error else Figure(None, reason=_NO_REFERENCE),
        }
        return {
            **{name: figure.value for name, figure in found.items()},
            "corruptions": {name: self._part(name) for name in self.means},
            "reasons": {name: figure.reason for name, figure in found.items() if figure.value is None},
        }

    def _part(self, name: str) -> dict[str, float | None]:
        part = self.error.parts.get(name) if self.error else None
        return {
            "mean": self.means[name].value,
            "CE": part.error.value if part else None,
            "relative_CE": part.relative.value if part else None,
        }


@dataclass(frozen=True)
class RobustnessScores:
    """All models of a file; `averaged` are the perturbations that the means are over."""

    models: Mapping[str, ModelScores]
    reference: str | None
    averaged: tuple[str, ...]
    standard: bool

    def to_json(self) -> dict[str, Any]:
        """Turn into the documented keys of `bench score --robustness --format json`.

        `reference`; `averaged`, the perturbations that the means are over; `standard`, whether these are the 15 x 5
        of ImageNet-C; `models`, by name: clean, mPC, rPC, mCE, relative_mCE (fractions or null), corruptions (by
        name: mean, CE, relative_CE), reasons (of each null).
        """
        return {
            "reference": self.reference,
            "averaged": list(self.averaged),
            "standard": self.standard,
            "models": {name: scores.to_json() for name, scores in self.models.items()},
        }


def score_cells(path: Path, reference: str | None = None) -> RobustnessScores:
    """Score a file of cells; `reference` is a model of the file or alexnet, None for no mCE.

    Means are over the standard corruptions in the file, or over all perturbations where it has none of them. Raises
    DataError for what is wrong in the file, UsageError for a reference that is not known.
    """
    tables = read_scores_file(path)
    present = list(dict.fromkeys(name for table in tables.values() for name, _ in table.cells))
    averaged = tuple(name for name in STANDARD_CORRUPTIONS if name in present) or tuple(present)
    cells = tuple((name, s) for name in averaged for s in next(iter(tables.values())).severities(name))
    frozen = None if reference is None else _reference(path, reference, tables)
    return RobustnessScores(
        models={name: _scores(table, frozen, averaged, cells) for name, table in tables.items()},
        reference=reference,
        averaged=averaged,
        standard=averaged == STANDARD_CORRUPTIONS,
    )


def _scores(
    table: ModelTable, reference: ReferenceTable | None, averaged: tuple[str, ...], cells: tuple[GridCell, ...]
) -> ModelScores:
    return ModelScores(
        clean=table.clean,
        corruption=under_corruption(table, cells),
        error=None if reference is None else mean_corruption_error(table, reference, averaged),
        means={name: table.over_severities(name) for name in dict.fromkeys(name for name, _ in table.cells)},
    )


def _reference(path: Path, name: str, tables: Mapping[str, ModelTable]) -> ReferenceTable:
    """Take a model of the file as reference, or the published AlexNet where the file has none of that name."""
    if name not in tables:
        if name.lower() == ALEXNET.name:
            return ALEXNET
        raise UsageError(f"{path} has no model '{name}'. {nearest(name, [*tables, ALEXNET.name])}")
    table = tables[name]
    whole = [c for c in dict.fromkeys(c for c, _ in table.cells) if table.severities(c) == SEVERITIES]
    errors = {corruption: 1 - table.over_severities(corruption).known for corruption in whole}
    clean = None if table.clean.value is None else 1 - table.clean.value
    return ReferenceTable(name, errors, clean, str(path))

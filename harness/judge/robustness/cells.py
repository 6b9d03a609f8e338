"""One model's table: what it scores clean and under each perturbation and severity."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.record import PerturbedScore, RobustnessRecord
from harness.stats.propagation import Figure, absent, figure_of, mean_of

SEVERITIES = (1, 2, 3, 4, 5)
CLEAN_NAME = "clean"
FAILED, SKIPPED = "failed", "skipped"

GridCell = tuple[str, int]
"""A perturbation by name and its severity."""

STANDARD_CELLS: tuple[GridCell, ...] = tuple((name, s) for name in STANDARD_CORRUPTIONS for s in SEVERITIES)
"""The 15 x 5 of ImageNet-C (Hendrycks & Dietterich 2019, arXiv 1903.12261)."""


@dataclass(frozen=True)
class ModelTable:
    """One model's score under each condition, by the task's first metric; a cell that did not run has its reason."""

    clean: Figure
    cells: Mapping[GridCell, Figure]

    def at(self, cell: GridCell) -> Figure:
        """Look up a cell; one that was never run has no number."""
        return self.cells.get(cell, absent(f"{cell[0]} {cell[1]} was not run"))

    def severities(self, name: str) -> tuple[int, ...]:
        """Say at which severities a perturbation stands in the table, ascending."""
        return tuple(sorted(severity for perturbation, severity in self.cells if perturbation == name))

    def mean(self, cells: Collection[GridCell]) -> Figure:
        """Average over cells, none of which may be missing."""
        return mean_of([self.at(cell) for cell in cells])

    def over_severities(self, name: str) -> Figure:
        """Average over the severities at which a perturbation was run."""
        severities = self.severities(name)
        return self.mean([(name, s) for s in severities]) if severities else absent(f"{name} was not run")


def table_of(record: RobustnessRecord) -> ModelTable:
    """Take a record's first metric under each condition; joint ones of one name and severity are averaged."""
    clean = next((s for s in record.scores if s.perturbation == CLEAN_NAME), None)
    found: dict[GridCell, list[Figure]] = {}
    for score in (s for s in record.scores if s.perturbation != CLEAN_NAME):
        found.setdefault((score.perturbation, score.severity), []).append(score_figure(score, record.metric))
    return ModelTable(
        clean=score_figure(clean, record.metric) if clean else absent("the clean condition was not run"),
        cells={cell: mean_of(figures) for cell, figures in found.items()},
    )


def score_figure(score: PerturbedScore, metric: str) -> Figure:
    """Return a condition's score by a metric, or why there is none: a skipped condition is never a score."""
    place = f"{score.perturbation} {score.severity}" if score.severity else score.perturbation
    if score.status != "ok":
        return absent(f"{place} {score.status}: {first_sentence(score.error)}")
    estimate = score.metrics.get(metric)
    return absent(f"{place}: {metric} is not defined") if estimate is None else figure_of(estimate)


def first_sentence(text: str | None) -> str:
    """Shorten an error to its first sentence."""
    return (text or "no reason given").partition(". ")[0].rstrip(".")


def standard_cells_in(tables: Sequence[ModelTable]) -> tuple[GridCell, ...]:
    """Say which of the 15 x 5 cells any of these models was meant to run, in the published order."""
    return tuple(cell for cell in STANDARD_CELLS if any(cell in table.cells for table in tables))

"""Names what a model answers and scores under a condition by everything that can move it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.cell import Cell, PerturbOptions, fingerprint_of
from harness.condition import SHIFT, Condition
from harness.measure.provenance import OF_PERTURBING, package_versions
from harness.perturb.natural_shifts import ShiftedSplit
from harness.perturb.perturbation import Perturbation
from harness.plan.code_digests import CodeDigests
from harness.protocols import Task
from harness.record import PerturbedScore


@dataclass(frozen=True)
class ConditionNames:
    """The code of perturbing, and of each perturbation by name, with the options that all conditions share."""

    versions: Mapping[str, str]
    code: Mapping[str, str]
    options: PerturbOptions

    @classmethod
    def of(
        cls, task: Task, perturbations: Mapping[str, Perturbation], options: PerturbOptions, cache: Path
    ) -> ConditionNames:
        """Digest the code of a task's perturbing; raises PluginError where the source of a plugin is not found."""
        digests = CodeDigests(cache)
        versions = {name: digests.perturbation(each) for name, each in perturbations.items()}
        code = {"digest": digests.perturbing(task), **package_versions(OF_PERTURBING)}
        digests.keep()
        return cls(versions, code, options)

    def answers(self, cell: Cell, condition: Condition, target: ShiftedSplit) -> str:
        """Name what a cell's model answers under a condition."""
        versions = {part.name: self.versions[part.name] for part in condition.parts}
        named = {key: value for key, value in asdict(condition).items() if key != "level" or value}
        content: dict[str, Any] = {"training": cell.training.fingerprint, "condition": named, "versions": versions}
        content |= {"options": asdict(self.options), "data": target.data.digest, "split": target.split}
        return fingerprint_of(content | {"code": self.code})

    def score(self, cell: Cell, condition: Condition, target: ShiftedSplit) -> str:
        """Name the score of these answers."""
        return fingerprint_of({"cell": cell.fingerprint, "answers": self.answers(cell, condition, target)})


def kind_of(condition: Condition, known: Mapping[str, Perturbation]) -> tuple[str, str]:
    """Name the family and the modality of what a condition does."""
    if condition.shift is not None:
        return SHIFT, "data"
    parts = [known[part.name] for part in condition.parts]
    if len(parts) == 1:
        return parts[0].family, parts[0].modality
    return ("joint", "+".join(part.modality for part in parts)) if parts else ("clean", "none")


def ranking_metric(metrics: Sequence[str], scores: Sequence[PerturbedScore]) -> str:
    """The first of a task's metrics that this data has: images of several classes have no top-1."""
    present = {name for score in scores for name, estimate in score.metrics.items() if estimate is not None}
    return next((name for name in metrics if name in present), metrics[0])

"""Plans which explanations a run's trained models are to have: the methods of `--explain`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.cell import Cell, ExplainOptions, fingerprint_of
from harness.explain.methods import METHODS, explain_methods
from harness.plan.code_digests import CodeDigests
from harness.plan.config import RunConfig
from harness.protocols import Task

_MOVE_NO_MAP = ("examples", "threads")


@dataclass(frozen=True)
class ExplanationPlan:
    """The methods, how much they may compute, and the digest of the code that makes maps and scores."""

    methods: tuple[str, ...]
    options: ExplainOptions
    code: str

    def name(self, cell: Cell) -> str:
        """Name all that can move a map of a cell's model, but for the methods' own versions."""
        content = {"answers": cell.answers, "options": self.settings, "code": self.code}
        return fingerprint_of(content)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The options that can move a map."""
        return {name: value for name, value in asdict(self.options).items() if name not in _MOVE_NO_MAP}

    def versions(self, methods: tuple[str, ...]) -> Mapping[str, int]:
        """The versions of some methods."""
        return {name: METHODS[name].version for name in methods}


def plan_explanations(config: RunConfig, task: Task, cache: Path) -> ExplanationPlan | None:
    """Plan the explanations of a task, None where none are asked for; raises UsageError for unknown methods."""
    if config.request.explain is None:
        return None
    methods = tuple(method.name for method in explain_methods(config.request.explain))
    digests = CodeDigests(cache)
    code = digests.explaining(task)
    digests.keep()
    return ExplanationPlan(methods, config.explain, code)

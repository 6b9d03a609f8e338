"""What the runner asks of one process of a robustness run, and how answers come back: a file a model and condition."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cell import Cell, PerturbOptions, Places
from harness.condition import Condition
from harness.files import replace_atomically
from harness.sample import Dataset

OK, FAILED, SKIPPED = "ok", "failed", "skipped"


@dataclass(frozen=True)
class Subject:
    """A trained model of a robustness run: its cell and where its checkpoint lies."""

    cell: Cell
    places: Places


@dataclass(frozen=True)
class RobustnessBlock:
    """Some conditions for some models, on one split: what one process does.

    `data` is that of the models' cells, or another data set for a shift; answers go to `spool`. `chunk` samples are
    in memory at once.
    """

    subjects: tuple[Subject, ...]
    conditions: tuple[Condition, ...]
    data: Dataset
    split: str
    options: PerturbOptions
    spool: Path
    chunk: int = 64

    def file(self, subject: Subject, condition: Condition) -> Path:
        """Say where a model's answers under a condition are left."""
        return self.spool / subject.cell.fingerprint / f"{condition.label}.json"


@dataclass(frozen=True)
class Answers:
    """What a model answered under a condition, by sample; or why it did not, with a traceback where it is a bug."""

    status: str
    answers: Sequence[tuple[str, Any]] = ()
    error: str | None = None
    trace: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Leave them in the spool."""
        with replace_atomically(path) as temporary:
            temporary.write_text(json.dumps(self.__dict__), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Answers:
        """Read what `write` left."""
        return Answers(**json.loads(path.read_text(encoding="utf-8")))

"""A study's plan -> a table of what decides which claim in which order, or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.judge.study.order import Dropped, StudyStep
from harness.judge.study.prices import Price
from harness.judge.verdict.verdict import CLAIMS
from harness.report.tables.document import Block, Heading, Notes
from harness.report.tables.table import (
    ALWAYS,
    Table,
    TableCell,
    TableRow,
    name_column,
    text_column,
)
from harness.text.said_time import duration_text

STUDY_STYLES = ("text", "md", "json")


@dataclass(frozen=True)
class StudyTold:
    """A plan with what stands around it; `slots` jobs run side by side, `done` cells are there already.

    `source` says what the estimates are made of, `free_bytes` how much room the results folder has, where known.
    """

    task: str
    steps: Sequence[StudyStep]
    dropped: Sequence[Dropped]
    seeds: int
    done: int
    slots: int
    source: str
    free_bytes: int | None = None
    notes: Sequence[str] = ()

    @property
    def price(self) -> Price:
        """What all steps cost on one core."""
        return sum((step.price for step in self.steps), Price())

    @property
    def cells(self) -> int:
        """How many cells are to be run."""
        return sum(step.cells for step in self.steps)

    @property
    def conditions(self) -> int:
        """Under how many conditions trained models are to be scored."""
        return sum(step.conditions for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types; seconds are those of the clock, with jobs side by side."""
        return {
            "task": self.task,
            "seeds": self.seeds,
            "cells": self.cells,
            "cells_done": self.done,
            "conditions": self.conditions,
            "seconds": round(self.price.seconds / self.slots, 1),
            "bytes": self.price.bytes,
            "free_bytes": self.free_bytes,
            "jobs": self.slots,
            "estimated_from": self.source,
            "steps": [self._step(step) for step in self.steps],
            "not_planned": [_told(each) for each in self.dropped],
            "notes": list(self.notes),
        }

    def _step(self, step: StudyStep) -> dict[str, Any]:
        return {
            "claim": step.aim.claim,
            "title": CLAIMS[step.aim.claim].title,
            "model": step.aim.model,
            "cells": step.cells,
            "conditions": step.conditions,
            "seconds": round(step.price.seconds / self.slots, 1),
            "bytes": step.price.bytes,
            "runs": [
                {
                    "model": run.model,
                    "control": run.control,
                    "train_limit": run.limit,
                    "train_shots": run.shots,
                    "train_sequence": run.sequence,
                    "tune": run.tune,
                    "split": run.split,
                    "data": dict(run.data),
                    "perturb": list(run.conditions),
                    "explain": list(run.explain),
                }
                for run in step.runs
            ],
        }


def study_document(told: StudyTold) -> list[Block]:
    """Draw the plan: first how much it is, then a row a claim and model in the order in which they become decidable."""
    title = (
        f"Study of {told.task}: {told.cells} cells to run ({told.done} done) with {told.seeds} seeds, "
        f"{told.conditions} scores under conditions; about {duration_text(told.price.seconds / told.slots)} and "
        f"{_size(told.price.bytes)} here"
    )
    room = "" if told.free_bytes is None else f"; {_size(told.free_bytes)} are free"
    notes = [f"[estimated from {told.source}, {told.slots} jobs side by side on a quiet machine{room}]", *told.notes]
    blocks: list[Block] = [Heading(title)]
    if told.steps:
        blocks.append(_step_table(told))
    if told.dropped:
        blocks += [_dropped_table(told.dropped)]
    return [*blocks, Notes(tuple(notes))]


def _step_table(told: StudyTold) -> Table:
    columns = (
        text_column("claim", importance=ALWAYS, least=20), name_column("model"),
        text_column("cells", importance=ALWAYS), text_column("conditions", importance=ALWAYS),
        text_column("takes", importance=ALWAYS), text_column("decidable after", importance=ALWAYS),
        text_column("runs", least=24),
    )  # fmt: skip
    rows, spent = [], 0.0
    for step in told.steps:
        seconds = step.price.seconds / told.slots
        spent += seconds
        texts = (
            f"{step.aim.claim}: {CLAIMS[step.aim.claim].title}", step.aim.model, str(step.cells), str(step.conditions),
            duration_text(seconds), duration_text(spent), _runs(step),
        )  # fmt: skip
        rows.append(TableRow(tuple(map(TableCell, texts))))
    return Table("study", "Study", columns, tuple(rows))


def _dropped_table(dropped: Sequence[Dropped]) -> Table:
    columns = (
        text_column("not planned", importance=ALWAYS, least=20), name_column("model"),
        text_column("why", importance=ALWAYS, least=30),
    )  # fmt: skip
    models: dict[tuple[str, str], list[str]] = {}
    for each in dropped:
        models.setdefault((each.aim.claim, each.reason), []).append(each.aim.model)
    rows = tuple(
        TableRow(tuple(map(TableCell, (f"{claim}: {CLAIMS[claim].title}", ", ".join(names), reason))))
        for (claim, reason), names in models.items()
    )
    return Table("not-planned", "Not planned", columns, rows)


def _runs(step: StudyStep) -> str:
    """Say which models and controls are run, those of the same settings together."""
    by_setting: dict[str, list[str]] = {}
    for run in step.runs:
        words = (
            f"n = {run.limit}" if run.limit else "",
            run.tune or "",
            f"split {run.split}" if run.split else "",
        )
        by_setting.setdefault(" ".join(word for word in words if word), []).append(run.control or run.model)
    by_names: dict[tuple[str, ...], list[str]] = {}
    for setting, names in by_setting.items():
        by_names.setdefault(tuple(names), []).append(setting)
    told = [(", ".join(names), ", ".join(filter(None, settings))) for names, settings in by_names.items()]
    return "; ".join(names + (f" ({settings})" if settings else "") for names, settings in told) or "nothing more"


def _told(dropped: Dropped) -> Mapping[str, str]:
    return {"claim": dropped.aim.claim, "model": dropped.aim.model, "reason": dropped.reason}


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"

"""What the cells of a study will cost here, from the records of the same models, or of a cell that was just tried.

    training seconds a step x steps x (trials + later stages) + samples / throughput + timed runs x latency
    + a fixed part

Records hold the first three, of one trial; of several, those that end early take less. The fixed part (processes, gate,
reading, scoring with resamples) is that of the 40 cells of zero-shot-classification in results/seeds, taken for all
models. A condition costs what stored ones of the model took a sample, else its predictions, perturbing and a guess for
the rest (docs/studies.md). What models build on is priced by `first`, once each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any

from harness.cell import Cell
from harness.record import ExplanationRecord, RobustnessRecord, RunRecord
from harness.records.sample_scores import SECONDS

FIXED_S = 8.0
"""Seconds of a cell beside what its record names, on one core."""
VARIANT_S = 32.0
"""Seconds more of a variant: it is made, compared with its parent, and timed beside it while no other job runs."""
CONDITION_S = 0.5
"""Seconds of a condition of a model beside its predictions: scoring and storing; a guess."""
PERTURB_S = 0.003
"""Seconds to perturb an image of 224 px, the mean over the 75 standard corruptions."""
EXPLAIN_S = 0.5
"""Seconds to explain a sample by a method, on shuffled weights too, and to score the maps: a guess until timed."""
_TABLES_BYTES = 150_000
"""Bytes of a cell's record, answers and scores; a condition leaves a tenth of it."""
_WEIGHT_BYTES = 4


@dataclass(frozen=True)
class Price:
    """Seconds of one core, and bytes on disk."""

    seconds: float = 0.0
    bytes: int = 0

    def __add__(self, other: Price) -> Price:
        """Both together."""
        return Price(self.seconds + other.seconds, self.bytes + other.bytes)


def policy_of(cell: Cell) -> str | None:
    """How the language model of a cell is tuned; None where it has none, or nothing is known of how it has it."""
    return _policy({"recipe": cell.training.recipe, "options": {"tune": cell.training.options.tune}})


def _policy(training: Mapping[str, Any]) -> str | None:
    policy: str | None = training.get("recipe", {}).get("tune") or training.get("options", {}).get("tune")
    return policy


@dataclass(frozen=True)
class Prices:
    """Estimates from records with scores; `tried` are those of cells that were run for the estimate alone.

    `sweeps` are records under conditions, `explained` those of explanations, `first` the seconds of each training that
    is lacking and others build on.
    """

    records: Sequence[RunRecord]
    tried: Sequence[RunRecord] = ()
    sweeps: Sequence[RobustnessRecord] = ()
    explained: Sequence[ExplanationRecord] = ()
    first: Mapping[str, float] = field(default_factory=dict)

    def of_cell(self, cell: Cell, samples: int, *, trained: bool = False) -> Price:
        """What a cell costs that is trained, unless it is already, scored on so many samples and measured."""
        like = self.like(cell)
        if like is None:
            return Price(FIXED_S, _TABLES_BYTES)
        train, cost = cell.training.train, like.efficiency
        steps = like.cell["training"]["train"]["steps"] * like.cell["training"]["train"]["batch_size"]
        seconds = FIXED_S + (cell.variant is not None) * VARIANT_S + self._predicting(like, samples)
        stages = max(1, len(cell.training.domains))
        if cost.train_seconds and steps and not trained:
            trainings = train.trials + stages - 1
            seconds += cost.train_seconds * trainings * train.steps * train.batch_size / steps
        seconds += (stages > 1) * self._predicting(like, (stages + 1) * stages * train.sequence_limit)
        if cell.measure.timed and cost.latency_p50_seconds:
            seconds += (cell.measure.warmups + cell.measure.runs) * cost.latency_p50_seconds
        weights = 0 if trained else _WEIGHT_BYTES * (cost.parameters_trainable or 0)
        return Price(seconds, _TABLES_BYTES + weights)

    def of_conditions(self, cell: Cell, count: int, samples: int) -> Price:
        """What so many conditions of a trained cell cost."""
        like, measured = self.like(cell), self._measured.get(cell.training.model)
        if measured is None:
            each = CONDITION_S + samples * PERTURB_S + (0.0 if like is None else self._predicting(like, samples))
        else:
            each = CONDITION_S + samples * measured
        return Price(count * each, count * _TABLES_BYTES // 10)

    def of_first(self, names: Iterable[str]) -> Price:
        """What the trainings cost that others build on, of these names; nothing where they are there."""
        return Price(sum(self.first.get(name, 0.0) for name in names))

    def of_explanations(self, cell: Cell, methods: int, samples: int) -> Price:
        """What explaining so many samples of a trained cell by so many methods costs."""
        each = self._explaining.get(cell.training.model, EXPLAIN_S)
        return Price(methods * samples * each, methods * _TABLES_BYTES // 3)

    def like(self, cell: Cell) -> RunRecord | None:
        """The record that is most like a cell: the same model, then control, tuning and steps, the newest."""
        training = cell.training
        found = self._by_model.get(training.model, ())

        def likeness(record: RunRecord) -> tuple[bool, bool, bool, float, str]:
            told = record.cell["training"]
            return (
                record.control == training.control,
                _policy(told) == policy_of(cell),
                record.efficiency.train_seconds is not None,
                -abs(told["train"]["steps"] - training.train.steps),
                record.created,
            )

        return max(found, key=likeness, default=None)

    def knows(self, cell: Cell) -> bool:
        """Whether a record tells: one of the same model and policy, since text that is tuned is read at each step."""
        like = self.like(cell)
        return like is not None and policy_of(cell) in (None, _policy(like.cell["training"]))

    def source(self, cells: Sequence[Cell]) -> str:
        """Say what the estimates of some cells are made of."""
        stored = {record.fingerprint for record in self.records}
        used = {like.fingerprint for cell in cells if (like := self.like(cell)) is not None}
        lacking = sorted({cell.training.model for cell in cells if self.like(cell) is None})
        parts = [f"{len(used & stored)} stored records"] if used & stored else []
        if used - stored:
            count = len(used - stored)
            parts.append(
                "1 short cell that was just tried" if count == 1 else f"{count} short cells that were just tried"
            )
        if used and any(cell.training.model in self._measured for cell in cells):
            parts.append("conditions that were timed")
        if lacking:
            parts.append(f"a fixed {FIXED_S:g} s a cell for {', '.join(lacking)}, of which nothing is known")
        return " and ".join(parts) or "nothing: all is there"

    @cached_property
    def _measured(self) -> dict[str, float]:
        """Seconds a sample to answer under a condition, by model: the median over all that were timed."""
        found: dict[str, list[float]] = {}
        for sweep in self.sweeps:
            times = sweep.provenance.get(SECONDS, {}).values()
            if sweep.limit:
                found.setdefault(sweep.model, []).extend(seconds / sweep.limit for seconds in times)
        return {model: median(times) for model, times in found.items() if times}

    @cached_property
    def _explaining(self) -> dict[str, float]:
        """Seconds to explain a sample by a method, by model: the median over all jobs that were timed."""
        found: dict[str, list[float]] = {}
        for record in self.explained:
            count = len(record.methods) * record.samples
            if count and (seconds := record.provenance.get(SECONDS)):
                found.setdefault(record.model, []).append(seconds / count)
        return {model: median(times) for model, times in found.items()}

    @cached_property
    def _by_model(self) -> dict[str, list[RunRecord]]:
        found: dict[str, list[RunRecord]] = {}
        for record in (*self.tried, *self.records):
            if record.status == "ok" and record.cell.get("training", {}).get("train", {}).get("steps") is not None:
                found.setdefault(record.model, []).append(record)
        return found

    def _predicting(self, like: RunRecord, samples: int) -> float:
        rate = like.efficiency.throughput_per_second
        return samples / rate if rate else 0.0

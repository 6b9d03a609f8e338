"""What a cell's model has answered: just now, or before, so that only its scoring or its measuring is new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from harness.cell import Cell, Places
from harness.record import Efficiency, RunRecord, now
from harness.records.rescore import former_numbers
from harness.records.sample_scores import read_additive, read_answers
from harness.records.store import Store
from harness.records.table_names import outcomes_name
from harness.records.trainings import read_training
from harness.records.unanswered import SERVICE
from harness.sample import Predicted


@dataclass(frozen=True)
class StoredAnswers:
    """What an earlier record says of answers that a cell would give again."""

    record: RunRecord
    predicted: Predicted

    @property
    def training(self) -> dict[str, Any]:
        """What the training said of itself."""
        skipped = self.record.provenance["skipped_samples"]["training"]
        return {**self.record.provenance["training"], "skipped": skipped}

    def efficiency(self, cell: Cell) -> Efficiency | None:
        """What the model cost, None where the cell is to be measured otherwise."""
        return self.record.efficiency if self.record.cell["measure"] == vars(cell.measure) else None

    def provenance(self) -> dict[str, Any]:
        """Where the answers come from, and what their numbers were before."""
        from harness.measure.provenance import provenance

        history = {"made": now(), "code": provenance(), "former": former_numbers(self.record)}
        return {**self.record.provenance, "rescored": history}


@dataclass(frozen=True)
class FreshAnswers:
    """What a checkpoint has answered, and where it lies."""

    places: Places
    predicted: Predicted

    @property
    def training(self) -> dict[str, Any]:
        """What the training said of itself; raises CheckpointError where it is broken."""
        return read_training(self.places.training)


Produced: TypeAlias = FreshAnswers | StoredAnswers


def find_answered(store: Store, cells: Iterable[Cell]) -> Mapping[str, RunRecord]:
    """Find the newest record with the same answers as each of some cells, by `Cell.answers`; reads all of their tasks.

    Only those whose predictions are still there.
    """
    newest = {answers: records[-1] for answers, records in records_with_answers(store, cells).items()}
    return {
        answers: record
        for answers, record in newest.items()
        if store.exists(f"{outcomes_name(record.task, record.fingerprint)}.parquet")
    }


def records_with_answers(store: Store, cells: Iterable[Cell]) -> dict[str, list[RunRecord]]:
    """Find all records that are done and have the same answers as some cells, by `Cell.answers`, oldest first."""
    wanted = {cell.answers: cell.training.task for cell in cells}
    found: dict[str, list[RunRecord]] = {}
    for record in (each for task in sorted(set(wanted.values())) for each in store.read_records(task)):
        answers = record.cell.get("answers")
        if record.status == "ok" and answers in wanted:
            found.setdefault(answers, []).append(record)
    return found


def read_stored(store: Store, record: RunRecord) -> StoredAnswers:
    """Read the answers behind a record; raises StoreError where they are not those of the record."""
    known = record.provenance
    predicted = Predicted(
        tuple(read_answers(store, record)),
        known["skipped_samples"]["evaluation"],
        known["preprocessing_sha256"],
        tuple(read_additive(store, record)),
        service=known.get(SERVICE, {}),
        batch_size=known.get("evaluated_in_batches_of"),
    )
    return StoredAnswers(record, predicted)

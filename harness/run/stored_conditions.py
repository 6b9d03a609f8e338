"""Finds what models answered under conditions before: only the scoring of these answers is new."""

from __future__ import annotations

from collections.abc import Iterable

from harness.cell import Cell
from harness.errors import StoreError
from harness.jobs.robustness_block import OK, SKIPPED, Answers
from harness.record import PerturbedScore, RobustnessRecord
from harness.records.sample_scores import label_of, read_answers
from harness.records.store import Store
from harness.records.table_names import outcomes_name
from harness.run.stored_answers import records_with_answers


class StoredConditions:
    """The robustness records of earlier records that have the same training as some cells."""

    def __init__(self, store: Store, cells: Iterable[Cell]) -> None:
        self._store = store
        self._known: dict[str, tuple[RobustnessRecord, PerturbedScore]] = {}
        for records in records_with_answers(store, cells).values():
            for record in records:
                robustness = store.find_robustness(record.task, record.fingerprint)
                for score in robustness.scores if robustness is not None else ():
                    if robustness is not None and score.answers and score.status in (OK, SKIPPED):
                        self._known[score.answers] = robustness, score

    def recall(self, answers: str) -> Answers | None:
        """Read answers by their name (`ConditionNames.answers`); None where they are not stored, or not whole."""
        if answers not in self._known:
            return None
        record, score = self._known[answers]
        if score.status == SKIPPED:
            return Answers(SKIPPED, error=score.error, notes=score.notes)
        label = label_of(score)
        if not self._store.exists(f"{outcomes_name(record.task, record.fingerprint, label)}.parquet"):
            return None
        try:
            outcomes = read_answers(self._store, record, label)
        except StoreError:  # changed since: it is answered again
            return None
        return Answers(OK, [(outcome.sample_id, outcome.prediction) for outcome in outcomes], notes=score.notes)

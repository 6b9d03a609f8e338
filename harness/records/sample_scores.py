"""Predictions once they are scored, of a run or under a condition of a robustness run, and what is stored of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.errors import StoreError
from harness.protocols import Statistics
from harness.record import PerturbedScore, RobustnessRecord, RunRecord
from harness.records.store import Store, outcomes_name, scores_name
from harness.sample import Outcome, Sample
from harness.stats.sample_scores import SampleScores, sample_scores
from harness.storage.metric_names import with_current_names
from harness.storage.portable import scrubbed, without_places

OUTCOMES, SCORES = "outcomes_sha256", "scores_sha256"
"""Where the provenance of a run's record holds the digests of its tables."""
TABLES = "tables"
"""Where the provenance of a robustness run's record holds them, by condition."""


@dataclass(frozen=True)
class Scored:
    """Predictions beside their samples, and the statistics of all metrics.

    `additive` are the predictions of the model's additive projection (`harness.jobs.emap`), where it was projected.
    """

    samples: Sequence[Sample]
    outcomes: Sequence[Outcome]
    statistics: Mapping[str, Statistics | None]
    additive: Sequence[Outcome] = ()


def write_scores(
    store: Store, task: str, fingerprint: str, scored: Scored, metrics: Sequence[str], condition: str | None = None
) -> None:
    """Write a cell's predictions with what each sample scores, and what each contributes to some metrics.

    `condition` is the label of the one that the cell's model was perturbed by, None for the clean samples.
    """
    columns = sample_columns(scored.statistics, len(scored.outcomes))
    name = outcomes_name(task, fingerprint, condition)
    store.write_outcomes(name, scored.outcomes, columns, scored.additive)
    scores = sample_scores([sample.sample_id for sample in scored.samples], scored.statistics, metrics)
    store.write_sample_scores(scores_name(task, fingerprint, condition), scores)


def label_of(score: PerturbedScore) -> str:
    """Name the condition of a score, as its tables are named."""
    return f"{score.perturbation}-{score.severity}"


def portable_score(score: PerturbedScore) -> PerturbedScore:
    """Leave places of this machine and secrets out of a score's error and notes: its record may be shared."""
    error = None if score.error is None else scrubbed(score.error)
    return replace(score, error=error, notes=without_places(score.notes))


def table_digests(store: Store, task: str, fingerprint: str, condition: str | None = None) -> dict[str, str]:
    """Digest the tables of a cell that are stored, for the provenance of the record that vouches for them."""
    names = {OUTCOMES: outcomes_name(task, fingerprint, condition), SCORES: scores_name(task, fingerprint, condition)}
    return {
        key: hashlib.sha256(store.read_bytes(f"{name}.parquet")).hexdigest()
        for key, name in names.items()
        if store.exists(f"{name}.parquet")
    }


def vouched(record: RunRecord | RobustnessRecord, condition: str | None = None) -> Mapping[str, str]:
    """The digests of tables that a record holds, by OUTCOMES and SCORES; none where an earlier version made it."""
    if condition is None:
        return record.provenance
    tables: Mapping[str, Mapping[str, str]] = record.provenance.get(TABLES, {})
    return tables.get(condition, {})


def vouching(store: Store, record: RunRecord) -> RunRecord:
    """Let a record vouch for its tables as they are now."""
    return replace(record, provenance={**record.provenance, **table_digests(store, record.task, record.fingerprint)})


def read_answers(store: Store, record: RunRecord | RobustnessRecord, condition: str | None = None) -> Sequence[Outcome]:
    """Read the predictions behind a record; raises StoreError where they are missing, or not those of the record."""
    name = outcomes_name(record.task, record.fingerprint, condition)
    _require_vouched(store, f"{name}.parquet", vouched(record, condition).get(OUTCOMES))
    return store.read_outcomes(name)


def read_additive(store: Store, record: RunRecord) -> Sequence[Outcome]:
    """Read the predictions of a model's additive projection; none where it was not projected, or not kept."""
    name = outcomes_name(record.task, record.fingerprint)
    _require_vouched(store, f"{name}.parquet", vouched(record).get(OUTCOMES))
    return store.read_additive(name)


def read_scores(
    store: Store, record: RunRecord | RobustnessRecord, condition: str | None = None
) -> SampleScores | None:
    """Read what samples contribute to a record; None where that is not stored, StoreError where it is another's."""
    name = scores_name(record.task, record.fingerprint, condition)
    if not store.exists(f"{name}.parquet"):
        return None
    _require_vouched(store, f"{name}.parquet", vouched(record, condition).get(SCORES))
    found = store.read_sample_scores(name)
    return None if found is None else replace(found, metrics=with_current_names(found.metrics, record.signature))


def _require_vouched(store: Store, name: str, wanted: str | None) -> None:
    """Raise StoreError unless a file is the one that its record vouches for; `wanted` None vouches for none."""
    if wanted is not None and hashlib.sha256(store.read_bytes(name)).hexdigest() != wanted:
        raise StoreError(
            f"{store.place(name)} has another sha256 than its record says: it was changed, or belongs to another run. "
            "`bench rescore --write` makes scores again from stored predictions; else run the cell again."
        )


def uncovered(store: Store, records: Sequence[RunRecord | RobustnessRecord]) -> str | None:
    """Say how many of some records hold no digest of what samples scored, None where all do."""
    lacking = sum(not _covers(store, record) for record in records)
    if not lacking:
        return None
    return (
        f"{lacking} of {len(records)} records in {store.url} hold no digest of what samples scored (an earlier version "
        f"made them): a changed file would not be seen. `bench mend --results {store.url} --write` adds it."
    )


def _covers(store: Store, record: RunRecord | RobustnessRecord) -> bool:
    """Whether a record vouches for all scores that are stored beside it."""
    conditions = [label_of(s) for s in record.scores] if isinstance(record, RobustnessRecord) else [None]
    return all(
        SCORES in vouched(record, condition)
        or not store.exists(f"{scores_name(record.task, record.fingerprint, condition)}.parquet")
        for condition in conditions
    )


def sample_columns(statistics: Mapping[str, Statistics | None], count: int) -> dict[str, list[float]]:
    """What each sample scores, of the metrics that are about all samples: not slices, not single classes."""
    whole = {name: s for name, s in statistics.items() if s is not None and "[" not in name and ":" not in name}
    columns = {name: s.per_sample.tolist() for name, s in whole.items()}
    return {name: values for name, values in columns.items() if len(values) == count}

"""Predictions once they are scored, of a run or under a condition of a robustness run, and what is stored of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import StoreError
from harness.protocols import Statistics
from harness.record import PerturbedScore, RobustnessRecord, RunRecord
from harness.records.store import Store
from harness.records.table_names import beside_name, outcomes_name, scores_name
from harness.sample import Outcome, Sample
from harness.stats.sample_scores import SampleScores, sample_scores
from harness.storage.content import ABSENT, Contents
from harness.storage.metric_names import with_current_names
from harness.storage.portable import scrubbed, without_places

OUTCOMES, SCORES = "outcomes_sha256", "scores_sha256"
"""Where the provenance of a run's record holds the digests of its tables."""
TABLES = "tables"
"""Where the provenance of a robustness run's record holds them, by condition."""
SECONDS = "seconds"
"""Where it holds how long a condition took to be answered, by condition: the mean over those answered together."""


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
) -> dict[str, str]:
    """Write a cell's predictions with what each sample scores, and what each contributes to some metrics.

    `condition` is the label of the one that the cell's model was perturbed by, None for the clean samples. Tables that
    are there already stay: those of another run are beside them. Returns the digests for the provenance of the record
    that vouches for these.
    """
    names = outcomes_name(task, fingerprint, condition), scores_name(task, fingerprint, condition)
    outcomes, scores = _tables(scored, metrics)
    return {
        OUTCOMES: store.write_outcomes(names[0], *outcomes, beside=True),
        SCORES: store.write_sample_scores(names[1], scores, beside=True),
    }


def rewrite_scores(store: Store, record: RunRecord, scored: Scored, metrics: Sequence[str]) -> dict[str, str]:
    """Write anew what a record vouches for, in its place, as `write_scores`; the record must then be replaced."""
    outcomes, scores = _tables(scored, metrics)
    return {
        OUTCOMES: store.write_outcomes(table_name(store, record, OUTCOMES), *outcomes),
        SCORES: store.write_sample_scores(table_name(store, record, SCORES), scores),
    }


def _tables(
    scored: Scored, metrics: Sequence[str]
) -> tuple[tuple[Sequence[Outcome], Mapping[str, Sequence[float]], Sequence[Outcome]], SampleScores]:
    columns = sample_columns(scored.statistics, len(scored.outcomes))
    slices = [getattr(sample.target, "slices", ()) for sample in scored.samples]
    scores = sample_scores([sample.sample_id for sample in scored.samples], scored.statistics, metrics, slices)
    return (scored.outcomes, columns, scored.additive), scores


def table_name(store: Store, record: RunRecord | RobustnessRecord, kind: str, condition: str | None = None) -> str:
    """Name the table of a record, OUTCOMES or SCORES: beside another run's where its own name was taken."""
    name = (outcomes_name if kind == OUTCOMES else scores_name)(record.task, record.fingerprint, condition)
    wanted = vouched(record, condition).get(kind)
    beside = name if wanted is None else beside_name(name, wanted)
    return beside if store.exists(f"{beside}.parquet") else name


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


def read_answers(store: Store, record: RunRecord | RobustnessRecord, condition: str | None = None) -> Sequence[Outcome]:
    """Read the predictions behind a record; raises StoreError where they are missing, or not those of the record."""
    name, content = _vouched_table(store, record, OUTCOMES, condition)
    return store.read_outcomes(name, store.read_bytes(f"{name}.parquet") if content is None else content)


def read_additive(store: Store, record: RunRecord) -> Sequence[Outcome]:
    """Read the predictions of a model's additive projection; none where it was not projected, or not kept."""
    name, content = _vouched_table(store, record, OUTCOMES)
    return store.read_additive(name, store.read_bytes(f"{name}.parquet") if content is None else content)


def read_scores(
    store: Store, record: RunRecord | RobustnessRecord, condition: str | None = None
) -> SampleScores | None:
    """Read what samples contribute to a record; None where that is not stored, StoreError where it is another's."""
    name, content = _vouched_table(store, record, SCORES, condition)
    found = None if content is None else store.read_sample_scores(name, content)
    return None if found is None else replace(found, metrics=with_current_names(found.metrics, record.signature))


def settled_scores(store: Store, records: Sequence[RunRecord], cache: Path) -> dict[str, str]:
    """The sha256 of each record's score table, by fingerprint, known without reading most of them; ABSENT for none.

    Left out are those of other content than their record vouches for, and all of a URL: they must be read.
    """
    if store.local is None:
        return {}
    names = [f"{scores_name(record.task, record.fingerprint)}.parquet" for record in records]
    found = {}
    for record, name, unpacked in zip(
        records, names, Contents(cache).of([store.local / name for name in names]), strict=True
    ):
        packed = store.read_if_there(name) if unpacked == ABSENT else None
        digest = unpacked if packed is None else hashlib.sha256(packed).hexdigest()
        if digest in (ABSENT, vouched(record).get(SCORES)):
            found[record.fingerprint] = digest
    return found


def _vouched_table(
    store: Store, record: RunRecord | RobustnessRecord, kind: str, condition: str | None = None
) -> tuple[str, bytes | None]:
    """Name a record's table and read it, None where it is not there; raises StoreError where only another's is."""
    name = (outcomes_name if kind == OUTCOMES else scores_name)(record.task, record.fingerprint, condition)
    content, wanted = store.read_if_there(f"{name}.parquet"), vouched(record, condition).get(kind)
    if content is None or wanted is None or hashlib.sha256(content).hexdigest() == wanted:
        return name, content
    beside = beside_name(name, wanted)
    own = store.read_if_there(f"{beside}.parquet")
    if own is None or hashlib.sha256(own).hexdigest() != wanted:
        raise StoreError(
            f"{store.place(f'{name if own is None else beside}.parquet')} has another sha256 than its record says: it "
            "was changed, or belongs to another run. "
            "`bench rescore --write` makes scores again from stored predictions; else run the cell again."
        )
    return beside, own


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

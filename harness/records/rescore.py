"""Computes metrics anew from stored predictions: no model is needed, but the data with its targets is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.acquire.sources import folder_of
from harness.errors import BenchError, DataError, StoreError
from harness.plan.code_digests import CodeDigests
from harness.plan.data_places import recall
from harness.plan.run_plan import Environment
from harness.protocols import DataContext, Progress, Task, open_data
from harness.record import Estimate, RunRecord, now
from harness.records.sample_scores import (
    SCORES,
    Scored,
    read_additive,
    read_answers,
    rewrite_scores,
    table_name,
    vouched,
)
from harness.records.score_answers import answer_metrics, score_answers
from harness.records.scoring import Scoring
from harness.records.store import Store
from harness.records.table_names import outcomes_name
from harness.sample import Dataset, Outcome, Sample, evaluated

SAME = 1e-12
_ADDITIVE = ("interaction", "EMAP ")
"""Beginnings of metrics that need answers which are not stored: those of the additive projection."""


def _silent(what: str, done: int, total: int) -> None:
    return None


@dataclass(frozen=True)
class DataPlace:
    """Where the data of stored records may be: as `bench run` is told, and settings that records do not hold."""

    environment: Environment
    data: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = _silent
    elsewhere: bool = False
    """Whether records of other data than `data` may be on data that lies where their runs found it."""


class Rescorer(AbstractContextManager["Rescorer"]):
    """Scores the stored predictions of records on one split; opening it checks the metrics' golden vectors."""

    def __init__(self, record: RunRecord, place: DataPlace) -> None:
        from harness.plan.plugins import load_task

        self.task: Task = load_task(record.task)
        self.data = open_record_data(self.task, record, place)
        self.split = record.split
        self.samples = self.task.samples(self.data, self.split)
        self.scorer = Scoring(self.task, self.data, place.environment.cache)
        self.cache = place.environment.cache
        self.signature = ""
        self.code = CodeDigests(place.environment.cache).scoring_versions(self.task)

    def __enter__(self) -> Self:
        self.scorer.__enter__()
        self.signature = self.scorer.prepare(self.samples)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.scorer.__exit__(kind, error, trace)

    def score(self, store: Store, record: RunRecord) -> Scored:
        """Score stored answers; raises StoreError where they are gone, DataError where they do not fit."""
        outcomes = read_predictions(store, record)
        return score_answers(self.scorer, self.samples_of(record), outcomes, read_additive(store, record))

    def samples_of(self, record: RunRecord) -> list[Sample]:
        """Take the samples that a record's model answered for."""
        skipped = record.provenance.get("skipped_samples", {}).get("evaluation", {})
        return evaluated(self.samples, record.cell.get("evaluate", {}).get("limit"), skipped)


def read_predictions(store: Store, record: RunRecord) -> list[Outcome]:
    """Read the predictions behind a record; raises StoreError where they are missing or not those of the record."""
    name = outcomes_name(record.task, record.fingerprint)
    if not store.exists(f"{name}.parquet"):
        raise StoreError(
            f"{store.url}/{name}.parquet is missing: the predictions of {record.model} seed {record.seed} were not "
            "kept, so nothing can be scored anew. Run it again, or fetch the file from where it ran."
        )
    return list(read_answers(store, record))


@dataclass(frozen=True)
class MetricChange:
    """What one metric was and is now; None where it is absent. `kept` says that it could not be computed anew."""

    metric: str
    old: Estimate | None
    new: Estimate | None
    kept: bool = False

    @property
    def difference(self) -> float | None:
        """New minus old, None where one of them is absent."""
        return None if self.old is None or self.new is None else self.new.value - self.old.value

    @property
    def equal(self) -> bool:
        """Whether value, both ends of the interval and the count are the same, to 1e-12."""
        if self.old is None or self.new is None:
            return self.old is self.new
        pairs = zip(asdict(self.old).values(), asdict(self.new).values(), strict=True)
        return all(_is_same(one, other) for one, other in pairs)

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        old, new = (None if e is None else e.to_json() for e in (self.old, self.new))
        return {
            "metric": self.metric, "old": old, "new": new, "difference": self.difference, "equal": self.equal,
            "recomputed": not self.kept,
        }  # fmt: skip


def _is_same(one: Any, other: Any) -> bool:
    numbers = isinstance(one, float | int) and isinstance(other, float | int)
    return abs(one - other) <= SAME if numbers else bool(one == other)


@dataclass(frozen=True)
class Rescored:
    """A record, its metrics as they come out now, and what changed."""

    record: RunRecord
    signature: str
    changes: tuple[MetricChange, ...]

    @property
    def unchanged(self) -> bool:
        """Whether signature and all metrics are the same."""
        return self.signature == self.record.signature and all(change.equal for change in self.changes)

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return {
            "fingerprint": self.record.fingerprint,
            "task": self.record.task,
            "model": self.record.model,
            "control": self.record.control,
            "seed": self.record.seed,
            "signature": {"old": self.record.signature, "new": self.signature},
            "unchanged": self.unchanged,
            "metrics": [change.to_json() for change in self.changes],
        }


@dataclass(frozen=True)
class NotScored:
    """Records that could not be scored anew, and why: their data is not to be found."""

    records: tuple[RunRecord, ...]
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return {"fingerprints": [record.fingerprint for record in self.records], "not_scored": self.reason}


def rescore(
    records: Sequence[RunRecord], store: Store, place: DataPlace, *, write: bool = False
) -> tuple[list[Rescored], list[NotScored]]:
    """Compute the metrics of records anew, and with `write` put those that changed in the place of the old ones.

    A record keeps its fingerprint, since predictions and settings are the same, and what its metrics and signature
    were is kept in `provenance.rescored`; where nothing changed nothing is written but the digest of today's scoring,
    where another one made it, and what samples contribute, where that is missing (records made before it was kept).
    Each record is scored on its own data: those whose data is not found come back with the reason, and the others are
    scored.
    """
    groups: dict[tuple[Any, ...], list[RunRecord]] = {}
    for record in records:
        data = record.cell.get("training", {}).get("data", {})
        options = data.get("options", {}), data.get("scoring", {})
        groups.setdefault((record.task, record.data_digest, record.split, str(options)), []).append(record)
    place = replace(place, elsewhere=len({record.data_digest for record in records}) > 1)
    found: list[Rescored] = []
    lost: list[NotScored] = []
    for group in groups.values():
        try:
            rescorer = Rescorer(group[0], place)
        except DataError as error:
            lost.append(NotScored(tuple(group), str(error)))
            continue
        with rescorer:
            found += [_rescored_in_place(rescorer, store, record, write=write) for record in group]
    return found, lost


def _rescored_in_place(rescorer: Rescorer, store: Store, record: RunRecord, *, write: bool) -> Rescored:
    scored = rescorer.score(store, record)
    resamples = record.cell.get("evaluate", {}).get("resamples", 1000)
    new = answer_metrics(rescorer.scorer, scored, rescorer.task.metrics[0], resamples)
    rescored = _rescored(record, new, rescorer.signature)
    if write and not rescored.unchanged:
        _replace(store, rescored, scored, rescorer)
    elif write and not _has_scores(store, record):
        digests = rewrite_scores(store, record, scored, rescorer.task.metrics)
        vouching = replace(record, provenance={**record.provenance, **digests})
        store.replace_record(_scored_by(vouching, rescorer.code))
    elif write and record.cell.get("scoring") != rescorer.code:
        store.replace_record(_scored_by(record, rescorer.code))
    return rescored


def _scored_by(record: RunRecord, code: Mapping[str, str]) -> RunRecord:
    """Let a record say by which code its numbers come out as they stand there."""
    return replace(record, cell={**record.cell, "scoring": dict(code)})


def _has_scores(store: Store, record: RunRecord) -> bool:
    """Whether what samples contribute is stored as the record says."""
    known = vouched(record).get(SCORES)
    content = store.read_if_there(f"{table_name(store, record, SCORES)}.parquet")
    return known is not None and content is not None and hashlib.sha256(content).hexdigest() == known


def _rescored(record: RunRecord, new: Mapping[str, Estimate | None], signature: str) -> Rescored:
    kept = {name for name in record.metrics if name not in new and name.startswith(_ADDITIVE)}
    names = dict.fromkeys([*record.metrics, *new])
    changes = [
        MetricChange(
            name, record.metrics.get(name), record.metrics[name] if name in kept else new.get(name), name in kept
        )
        for name in names
    ]
    return Rescored(record, signature, tuple(changes))


def _replace(store: Store, rescored: Rescored, scored: Scored, rescorer: Rescorer) -> None:
    """Write scores, then the record that vouches for them; the former numbers stay in its provenance."""
    from harness.measure.provenance import provenance

    record = rescored.record
    digests = rewrite_scores(store, record, scored, rescorer.task.metrics)
    history = {"made": now(), "code": provenance(), "former": former_numbers(record)}
    new = replace(
        _scored_by(record, rescorer.code),
        metrics={change.metric: change.new for change in rescored.changes},
        signature=rescored.signature,
        provenance={
            **record.provenance,
            **digests,
            "rescored": history,
        },
    )
    store.replace_record(new)


def former_numbers(record: RunRecord) -> dict[str, Any]:
    """What a record's numbers were, for the provenance of those that come after them."""
    return {
        "fingerprint": record.fingerprint,
        "metrics": {name: None if e is None else e.to_json() for name, e in record.metrics.items()},
        "signature": record.signature,
        "outcomes_sha256": record.provenance.get("outcomes_sha256"),
        "rescored": record.provenance.get("rescored"),
    }


def open_record_data(task: Task, record: RunRecord, place: DataPlace) -> Dataset:
    """Open the data that a record was made on; raises DataError where other data, or none, is found.

    Looked for where `--data` says, then where the run found it on this machine.
    """
    tried = []
    for context in _contexts(task, record, place):
        where = _where(context)
        try:
            data = open_data(task, context)
        except BenchError as error:
            tried.append(f"cannot be opened ({where}): {error}")
            continue
        if data.digest == record.data_digest:
            return data
        tried.append(f"is other data ({where}): {data.name} in {data.root} has the digest {data.digest[:16]}")
    raise DataError(
        f"The data of {record.model} seed {record.seed} ({record.data}, digest {record.data_digest[:16]}, split "
        f"{record.split}), which holds the targets, {'; and it '.join(tried)}. Give the same data with --data, and "
        "settings that were files (classes, templates, unseen) with --set task.KEY=VALUE."
    )


def _contexts(task: Task, record: RunRecord, place: DataPlace) -> list[DataContext]:
    """Where the data of a record may be, the likeliest first."""
    stored = record.cell.get("training", {}).get("data", {})
    split = None if record.split == stored.get("default_split") else record.split
    here = place.environment
    settings = record_settings(task, record, place)
    known = recall(here.cache, record.task, record.data_digest, record.split)
    wish = (
        "scenes"
        if place.data is None and stored.get("layout") == "scenes"
        else folder_of(place.data, here.cache, place.progress)
    )
    told = DataContext(
        wish, split, here.bench_data, here.working_directory, here.cache, place.progress, settings,
        evaluate_only=known is not None and known.evaluate_only,
    )  # fmt: skip
    if known is None:
        return [told]
    remembered = DataContext(
        known.wish, known.split, known.environment, Path(known.working_directory), here.cache, place.progress,
        {**known.settings, **place.settings}, known.evaluate_only,
    )  # fmt: skip
    if place.data is None:
        return [remembered, told]
    return [told, remembered] if place.elsewhere else [told]


def _where(context: DataContext) -> str:
    if context.wish:
        return f"--data {context.wish}"
    return f"$BENCH_DATA {context.environment}" if context.environment else "no --data"


def record_settings(task: Task, record: RunRecord, place: DataPlace) -> dict[str, Any]:
    """The settings that a record's data was opened with, as far as records hold them, and the user's own."""
    data = record.cell.get("training", {}).get("data", {})
    options = {**data.get("options", {}), **data.get("scoring", {})}
    plain = {k: v for k, v in options.items() if k in task.settings and isinstance(v, str | bool | int | float)}
    return {**plain, **place.settings}

"""What a report is made of: records, robustness records, stored predictions and example images, read from folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from harness.errors import StoreError
from harness.judge.judged_leaderboard import nothing_stored
from harness.judge.verdict.evidence import FusionControls, ReadScores
from harness.judge.verdict.judge import score_reader
from harness.record import ExplanationRecord, RobustnessRecord, RunRecord
from harness.records.conflicts import in_conflict
from harness.records.sample_scores import OUTCOMES, label_of, table_name
from harness.records.store import Store
from harness.records.table_names import outcomes_name
from harness.report.page.examples import ExampleIndex, Scope
from harness.storage.parquet_files import read_parquet

Columns = Mapping[str, Sequence[Any]]
"""A stored table of outcomes: sample_id, prediction (JSON), and what each sample scores."""


def _nobody(task: str) -> FusionControls:
    return FusionControls({}, ())


@dataclass(frozen=True)
class ReportOptions:
    """What is shown and how.

    `metrics` are each task's in their order, the first one ranks; a task that is not named is asked of its plugin.
    `unfused` are the models that effective robustness is fitted on, `reference` the one that mCE divides by.
    `image_bytes` is the most that example images may take of the page, before base64 adds a third. `fusion` tells of a
    task which models get the mark of a verdict: asking the installed plugins would load them.
    """

    title: str = "Fusemark report"
    tasks: tuple[str, ...] | None = None
    metrics: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unfused: tuple[str, ...] = ()
    reference: str | None = None
    image_bytes: int = 900_000
    fusion: Callable[[str], FusionControls] = _nobody


def _nothing(name: str) -> Columns | None:
    return None


@dataclass(frozen=True)
class Sources:
    """Records as they were read. `outcomes` reads a stored table by its name in the results folder, None for none.

    `examples` are each task's indices of example images.
    """

    records: tuple[RunRecord, ...]
    sweeps: tuple[RobustnessRecord, ...] = ()
    examples: Mapping[str, Sequence[ExampleIndex]] = field(default_factory=dict)
    outcomes: Callable[[str], Columns | None] = _nothing
    sample_scores: ReadScores = nothing_stored
    folders: tuple[str, ...] = ()
    conflicts: frozenset[str] = frozenset()
    explained: tuple[tuple[ExplanationRecord, Store], ...] = ()
    """Records of explanations, each with the folder that holds its tables and maps."""


def read_sources(stores: Sequence[Store], tasks: Sequence[str] | None = None) -> Sources:
    """Read what several results folders hold of some tasks, or of all; raises StoreError when there is no record.

    A record that stands in two folders counts once.
    """
    wanted: Sequence[str | None] = [None] if tasks is None else list(tasks)
    runs = [[r for task in wanted for r in store.read_records(task)] for store in stores]
    records = {record.fingerprint: record for of_store in runs for record in of_store}
    perturbed = [[r for task in wanted for r in store.read_robustness(task)] for store in stores]
    sweeps = {record.fingerprint: record for of_store in perturbed for record in of_store}
    if not records:
        of = f" of {', '.join(tasks)}" if tasks else ""
        raise StoreError(
            f"No records{of} in {', '.join(store.url for store in stores)}. "
            "Run 'bench run' first, or give another folder with --results."
        )
    names = sorted({record.task for record in records.values()})
    return Sources(
        records=tuple(sorted(records.values(), key=lambda r: (r.created, r.fingerprint))),
        sweeps=tuple(sorted(sweeps.values(), key=lambda r: (r.created, r.fingerprint))),
        examples={name: tuple(_examples(stores, name, perturbed)) for name in names},
        outcomes=_outcomes_reader(stores, [[*r, *p] for r, p in zip(runs, perturbed, strict=True)]),
        sample_scores=score_reader(
            stores, known={s: (*r, *p) for s, r, p in zip(stores, runs, perturbed, strict=True)}
        ),
        folders=tuple(store.url for store in stores),
        conflicts=frozenset().union(*(in_conflict(store) for store in stores)),
        explained=_explained(stores, wanted),
    )


def _explained(stores: Sequence[Store], tasks: Sequence[str | None]) -> tuple[tuple[ExplanationRecord, Store], ...]:
    """Records of explanations; one that stands in two folders counts once, as that of the first."""
    found = {
        r.fingerprint: (r, store) for store in reversed(stores) for task in tasks for r in store.read_explanations(task)
    }
    return tuple(sorted(found.values(), key=lambda pair: (pair[0].created, pair[0].fingerprint)))


def _examples(stores: Sequence[Store], task: str, sweeps: Sequence[Sequence[RobustnessRecord]]) -> list[ExampleIndex]:
    """Find the indices of a task, one for each split of each data set; of equal ones that of the first folder.

    `sweeps` are those of each store. An index of an older version does not name its data: it is that of the folder's
    sweeps where these have but one.
    """
    found: dict[tuple[str, str], ExampleIndex] = {}
    for store, records in zip(stores, sweeps, strict=True):
        scopes = {(record.data_digest, record.split) for record in records if record.task == task}
        only = next(iter(scopes)) if len(scopes) == 1 else None
        for pattern in ("index.json", "*/index.json"):
            for name in store.names(f"{task}/robustness/examples/{pattern}"):
                content = _index(store, name)
                scope = _scope(content) or only
                key = (name, "" if pattern != "index.json" else store.url)
                found.setdefault(key, ExampleIndex(name.rpartition("/")[0], content, scope, store.read_bytes))
    return list(found.values())


def _scope(content: Mapping[str, Any]) -> Scope | None:
    digest, split = content.get("data_digest"), content.get("split")
    return (str(digest), str(split)) if digest is not None and split is not None else None


def _index(store: Store, name: str) -> Mapping[str, Any]:
    try:
        content = json.loads(store.read_bytes(name))
    except ValueError as error:
        raise StoreError(f"{store.place(name)} is not JSON: {error}. Delete it and run the sweep again.") from None
    if not isinstance(content, dict) or not isinstance(content.get("samples"), list):
        raise StoreError(f"{store.place(name)} has no list 'samples'. Delete it and run the sweep again.")
    return content


def _outcomes_reader(
    stores: Sequence[Store], records: Sequence[Sequence[RunRecord | RobustnessRecord]]
) -> Callable[[str], Columns | None]:
    """Read outcomes by the name that they have where no other run has left some, from the first folder with them."""

    @cache
    def owners(place: int) -> dict[str, tuple[RunRecord | RobustnessRecord, str | None]]:
        found: dict[str, tuple[RunRecord | RobustnessRecord, str | None]] = {}
        for record in records[place]:
            labels = [label_of(s) for s in record.scores] if isinstance(record, RobustnessRecord) else [None]
            found |= {outcomes_name(record.task, record.fingerprint, label): (record, label) for label in labels}
        return found

    def read(name: str) -> Columns | None:
        for place, store in enumerate(stores):
            if store.exists(f"{name}.parquet"):
                record, label = owners(place).get(name, (None, None))
                return _outcomes(store, name if record is None else table_name(store, record, OUTCOMES, label))
        return None

    return read


def _outcomes(store: Store, name: str) -> Columns | None:
    """Read a Parquet file of outcomes."""
    import pyarrow as arrow

    try:
        table = read_parquet(store.read_bytes(f"{name}.parquet"))
    except arrow.ArrowException as error:
        raise StoreError(
            f"{store.place(f'{name}.parquet')} cannot be read: {error}. Delete it and run again."
        ) from None
    columns: Columns = table.to_pydict()
    return columns

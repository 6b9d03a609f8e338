"""Robustness records that several runs fill at once: no condition is lost, and each is told with its own tables.

In a local folder one run at a time puts its conditions beside those that stand there. A URL has no lock: each run
leaves what it made in a part of its own, <results>/<task>/robustness/<fingerprint>/parts/<digest>.json, which is made
only once and never changed, and then writes the record anew from all parts, until no other has come meanwhile. A run
that is killed between the two is made up for by the next one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.record import PerturbedScore, RobustnessRecord
from harness.records.sample_scores import OUTCOMES, SCORES, TABLES, label_of, vouched
from harness.records.store import Store
from harness.records.table_names import beside_name, outcomes_name, scores_name
from harness.storage.digest import with_digest

Build = Callable[[RobustnessRecord | None], RobustnessRecord]
"""Makes a record of new conditions and of those of a former record; None: of the new ones alone."""


def put_conditions(store: Store, task: str, fingerprint: str, build: Build) -> None:
    """Write the robustness record of a model with new conditions, beside those that others have left or leave now."""
    if store.local is not None:
        with store.replacing():
            former = store.find_robustness(task, fingerprint)
            record = build(former)
            store.write_robustness(record)
        _clear(store, former, record)
        return
    own, folder = with_digest(build(None).to_json()), f"{task}/robustness/{fingerprint}/parts"
    store.create_only(f"{folder}/{json.loads(own)['digest'][:16]}.json", own)
    names: list[str] = []
    while names != (names := store.names(f"{folder}/*.json")):
        parts = [part for name in names if (part := store.read_robustness_part(name)) is not None]
        former = store.find_robustness(task, fingerprint)
        store.write_robustness(build(united([*([former] if former else []), *sorted(parts, key=_made)])))


def united(records: Sequence[RobustnessRecord]) -> RobustnessRecord:
    """The last record with the conditions of all that were run with its settings; of equal ones the last stands."""
    last = records[-1]
    scores: dict[str, PerturbedScore] = {}
    tables: dict[str, Mapping[str, str]] = {}
    for record in records:
        if (record.limit, record.shortest_px, record.signature) == (last.limit, last.shortest_px, last.signature):
            scores |= {label_of(score): score for score in record.scores}
            tables |= {label_of(score): vouched(record, label_of(score)) for score in record.scores}
    told: dict[str, Any] = {**last.provenance, TABLES: {label: own for label, own in tables.items() if own}}
    return replace(last, scores=tuple(scores.values()), provenance=told)


def _made(record: RobustnessRecord) -> tuple[str, str]:
    return record.created, json.dumps(record.provenance, sort_keys=True, default=str)


def _clear(store: Store, former: RobustnessRecord | None, record: RobustnessRecord) -> None:
    """Let tables of conditions that were made anew take the places of those that nothing vouches for any more."""
    for label in () if former is None else map(label_of, former.scores):
        for kind, name in ((OUTCOMES, outcomes_name), (SCORES, scores_name)):
            old, new = (None if each is None else vouched(each, label).get(kind) for each in (former, record))
            if old is not None and old != new:
                plain = f"{name(record.task, record.fingerprint, label)}.parquet"
                if _is(store, plain, old) and new is not None:
                    _promote(store, plain, f"{beside_name(plain.removesuffix('.parquet'), new)}.parquet")
                store.remove(f"{beside_name(plain.removesuffix('.parquet'), old)}.parquet")


def _promote(store: Store, plain: str, beside: str) -> None:
    content = store.read_if_there(beside)
    if content is not None:
        store.write_bytes(plain, content)
        store.remove(beside)


def _is(store: Store, name: str, digest: str) -> bool:
    content = store.read_if_there(name)
    return content is not None and hashlib.sha256(content).hexdigest() == digest

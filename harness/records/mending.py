"""Brings records of earlier versions up to date: they vouch for their tables, and tell no places or secrets.

What is computed stays as it is. A table that no digest covered is covered from now on as it lies there: a mended record
says so, since nothing can tell whether the table was changed before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.record import RobustnessRecord, RunRecord
from harness.records.sample_scores import TABLES, label_of, portable_score, table_digests, vouched
from harness.records.store import Store
from harness.storage.portable import scrubbed, without_places

MENDED = "mended"
"""Where a record's provenance says what was brought up to date."""


@dataclass(frozen=True)
class Mended:
    """A record that was brought up to date, and what of it: `tables` now covered, `places` now left out."""

    task: str
    fingerprint: str
    sweep: bool
    what: tuple[str, ...]


def mend(store: Store, task: str | None = None, *, write: bool) -> list[Mended]:
    """Bring all records of a folder up to date, or with `write` False only say which are not."""
    found = []
    for record in store.read_records(task):
        new, what = _run_record(store, record)
        if what and write:
            store.replace_record(new)
        found += [Mended(record.task, record.fingerprint, False, what)] if what else []
    for sweep in store.read_robustness(task):
        renewed, what = _robustness_record(store, sweep)
        if what and write:
            store.write_robustness(renewed)
        found += [Mended(sweep.task, sweep.fingerprint, True, what)] if what else []
    return found


def render_mended(found: list[Mended], *, written: bool) -> str:
    """Say in a line each what was, or would be, brought up to date."""
    if not found:
        return "All records vouch for their tables, and none tells where it was made."
    lines = [
        f"{each.task}  {each.fingerprint}{'  perturbed' if each.sweep else ''}: {', '.join(each.what)}"
        for each in found
    ]
    end = "They were brought up to date." if written else "Bring them up to date with --write."
    return "\n".join([*lines, f"{len(found)} records. {end}"])


def _run_record(store: Store, record: RunRecord) -> tuple[RunRecord, tuple[str, ...]]:
    digests = {
        name: digest
        for name, digest in table_digests(store, record.task, record.fingerprint).items()
        if name not in vouched(record)
    }
    error = None if record.error is None else scrubbed(record.error)
    plain = replace(record, cell=without_places(record.cell), provenance=without_places(record.provenance), error=error)
    what = (*(("tables",) if digests else ()), *(("places",) if _differ(plain, record) else ()))
    return replace(plain, provenance=_said({**plain.provenance, **digests}, what)), what


def _robustness_record(store: Store, record: RobustnessRecord) -> tuple[RobustnessRecord, tuple[str, ...]]:
    added: dict[str, Mapping[str, str]] = {}
    for label in map(label_of, record.scores):
        known = vouched(record, label)
        digests = table_digests(store, record.task, record.fingerprint, label)
        if any(name not in known for name in digests):
            added[label] = {**digests, **known}
    scores = tuple(map(portable_score, record.scores))
    plain = replace(record, scores=scores, provenance=without_places(record.provenance))
    what = (*(("tables",) if added else ()), *(("places",) if _differ(plain, record) else ()))
    tables = {**plain.provenance.get(TABLES, {}), **added}
    return replace(plain, provenance=_said({**plain.provenance, TABLES: tables}, what)), what


def _said(provenance: Mapping[str, Any], what: tuple[str, ...]) -> dict[str, Any]:
    return {**provenance, MENDED: sorted({*provenance.get(MENDED, ()), *what})}


def _differ(one: RunRecord | RobustnessRecord, other: RunRecord | RobustnessRecord) -> bool:
    """Compare as stored, where tuples are lists."""
    import json

    return json.dumps(one.to_json(), sort_keys=True) != json.dumps(other.to_json(), sort_keys=True)

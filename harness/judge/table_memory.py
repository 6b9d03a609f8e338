"""What tables of stored records came out as, remembered by all that they are made of: a table is computed once.

Of a row that is what its samples tell (intervals, spreads), its ranks and its mark. All of it follows from the contents
of the records, robustness records and score tables behind a table, from the installed models' controls and from the
code; where any of these is not known without reading it, nothing is remembered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from harness.judge.leaderboard import Row
from harness.judge.verdict.evidence import FusionControls
from harness.record import Estimate, RobustnessRecord, RunRecord
from harness.records.sample_scores import settled_scores
from harness.records.store import Store
from harness.stats.rank_intervals import RankInterval
from harness.stats.seed_variance import Spread
from harness.storage.remembered import Remembered, name_of_content, own_code

_PACKAGES = ("numpy", "scipy")


@dataclass(frozen=True)
class TableMemory:
    """Remembers tables; `contents` digest all that is stored of a fingerprint, `basis` what all tables share."""

    memory: Remembered = field(default_factory=lambda: Remembered("tables", None))
    basis: str = ""
    contents: Mapping[str, bytes] = field(default_factory=dict)

    @staticmethod
    def of(
        store: Store,
        records: Sequence[RunRecord],
        sweeps: Sequence[RobustnessRecord],
        metrics: Sequence[str],
        fusion: FusionControls,
    ) -> TableMemory:
        """That of the cache in use, for the records of a task in a results folder."""
        memory = Remembered.here("tables")
        if memory.cache is None or not store.contents:
            return TableMemory()
        basis = json.dumps([own_code(_PACKAGES), list(metrics), dict(fusion.controls), list(fusion.unfused)])
        scores = settled_scores(store, records, memory.cache)
        perturbed = {sweep.fingerprint: _content(store, sweep, "robustness") for sweep in sweeps}
        contents = {}
        for record in records:
            name = record.fingerprint
            known = (_content(store, record, "records"), perturbed.get(name, b"none"), scores.get(name, "").encode())
            if all(known):
                contents[name] = name_of_content(*known)
        return TableMemory(memory, basis, contents)

    def recall(self, rows: Sequence[Row]) -> list[Row] | None:
        """The rows of a table with all that was found out of them; None where it is to be found out."""
        name = self._name(rows)
        stored = None if name is None else self.memory.find([name]).get(name)
        if stored is None:
            return None
        return [_with(row, known) for row, known in zip(rows, json.loads(stored), strict=True)]

    def keep(self, rows: Sequence[Row]) -> None:
        """Remember what was found out of a table's rows."""
        name = self._name(rows)
        if name is not None:
            self.memory.keep({name: json.dumps([_plain(row) for row in rows], separators=(",", ":")).encode()})

    def _name(self, rows: Sequence[Row]) -> bytes | None:
        names = [name for row in rows for name in row.fingerprints]
        if self.memory.cache is None or not all(name in self.contents for name in names):
            return None
        shape = json.dumps([row.fingerprints for row in rows])
        return name_of_content(self.basis, shape, *(self.contents[name] for name in names))


def _content(store: Store, record: RunRecord | RobustnessRecord, kind: str) -> bytes:
    return store.contents.get(f"{record.task}/{kind}/{record.fingerprint}.json", b"")


def _plain(row: Row) -> list[Any]:
    metrics = {name: None if e is None else astuple(e) for name, e in row.metrics.items()}
    spreads = {name: astuple(spread) for name, spread in row.spreads.items()}
    return [metrics, spreads, None if row.rank is None else astuple(row.rank), row.verdict]


def _with(row: Row, known: Sequence[Any]) -> Row:
    metrics, spreads, rank, verdict = known
    return replace(
        row,
        metrics={name: None if e is None else Estimate(*e) for name, e in metrics.items()},
        spreads={name: Spread(*spread) for name, spread in spreads.items()},
        rank=None if rank is None else RankInterval(*rank),
        verdict=verdict,
    )

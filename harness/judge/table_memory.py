"""What tables of stored records came out as, remembered by all that they are made of: a table is computed once.

Of a row that is what its samples tell (intervals, spreads), its ranks and its mark. All of it follows from the contents
of the records, robustness records and score tables behind a table, from the installed models' controls and from the
code; where any of these is not known without reading it, nothing is remembered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.judge.known_row import KnownRow
from harness.judge.verdict.evidence import FusionControls
from harness.record import RobustnessRecord, RunRecord
from harness.records.sample_scores import settled_scores
from harness.records.store import Store
from harness.storage.remembered import Remembered, name_of_content, own_code

_PACKAGES = ("numpy", "scipy")
Fingerprints = tuple[str, ...]
"""Of the records of one row."""


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

    def recall(self, rows: Sequence[Fingerprints]) -> Mapping[Fingerprints, KnownRow] | None:
        """What was found out of the rows of a table, by their fingerprints; None where it is to be found out."""
        name = self._name(rows)
        stored = None if name is None else self.memory.find([name]).get(name)
        if stored is None:
            return None
        return {tuple(row): KnownRow.from_json(known) for row, known in json.loads(stored)}

    def keep(self, rows: Mapping[Fingerprints, KnownRow]) -> None:
        """Remember what was found out of a table's rows."""
        name = self._name(list(rows))
        if name is not None:
            stored = [(row, known.to_json()) for row, known in rows.items()]
            self.memory.keep({name: json.dumps(stored, separators=(",", ":")).encode()})

    def _name(self, rows: Sequence[Fingerprints]) -> bytes | None:
        ordered = sorted(rows)
        names = [name for row in ordered for name in row]
        if self.memory.cache is None or not all(name in self.contents for name in names):
            return None
        return name_of_content(self.basis, json.dumps(ordered), *(self.contents[name] for name in names))


def _content(store: Store, record: RunRecord | RobustnessRecord, kind: str) -> bytes:
    return store.contents.get(f"{record.task}/{kind}/{record.fingerprint}.json", b"")

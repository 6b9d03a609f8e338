"""Records of explanations -> rows of a table: what maps of a model score over its seeds, and which methods are void."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from harness.explain.map_kinds import OF_METHOD, shuffled_of
from harness.explain.map_scores import HEED, MASS, MEASURES, SHARES
from harness.judge.record_settings import code_key, setting_key
from harness.record import Estimate, ExplanationRecord, MapScore, RunRecord, name_of
from harness.records.explanations import read_explained
from harness.records.store import Store
from harness.stats.difference import Difference, weighted_difference
from harness.stats.resampling import FloatArray
from harness.stats.sample_scores import SampleScores

MODALITIES = ("image", "text", "image+text")
ReadExplained = Callable[[ExplanationRecord, str], SampleScores | None]


@dataclass(frozen=True)
class ExplanationScope:
    """What rows that stand in one table have in common."""

    task: str
    data: str
    data_digest: str
    split: str
    samples: int
    reference: str
    grid: int

    @classmethod
    def of(cls, record: ExplanationRecord) -> ExplanationScope:
        """The scope of a record."""
        told = record.settings
        return cls(
            record.task, record.data, record.data_digest, record.split, record.samples,
            str(told.get("reference")), int(told.get("grid", 0)),
        )  # fmt: skip


@dataclass(frozen=True)
class ExplanationRow:
    """One kind of map of one model, its seeds together: figures by measure; `void` says why it says nothing.

    `over_shuffled` is by how much its first measure is above that of the same method on shuffled weights. `reason` says
    why there are no figures.
    """

    scope: ExplanationScope
    model: str
    control: str | None
    seeds: tuple[int, ...]
    modality: str
    name: str
    kind: str
    figures: Mapping[str, Estimate] = field(default_factory=dict)
    over_shuffled: Estimate | None = None
    void: bool | None = None
    reason: str = ""

    @property
    def row_name(self) -> str:
        """The model, with its control in brackets."""
        return name_of(self.model, self.control)

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        figures = {name: figure.to_json() for name, figure in self.figures.items()}
        over = None if self.over_shuffled is None else self.over_shuffled.to_json()
        return {
            **asdict(self.scope), "model": self.model, "control": self.control, "seeds": list(self.seeds),
            "modality": self.modality, "map": self.name, "kind": self.kind, "figures": figures,
            "over_random_weights": over, "void": self.void, "reason": self.reason,
        }  # fmt: skip


@dataclass(frozen=True)
class ExplainedSeeds:
    """What the maps of a model's seeds score on the same samples: `[seeds, samples]` by (map, measure)."""

    values: Mapping[tuple[str, str], FloatArray]
    clusters: tuple[str, ...]

    def difference(self, one: tuple[str, str], other: tuple[str, str]) -> Difference | None:
        """One map's measure minus another's, paired; None where either is not there."""
        if one not in self.values or other not in self.values:
            return None
        return weighted_difference((1.0, -1.0), (self.values[one], self.values[other]), self.clusters)

    def estimate(self, key: tuple[str, str]) -> Estimate:
        """The mean with its interval over seeds and samples; of a share, within 0..1."""
        found = as_estimate(weighted_difference((1.0,), (self.values[key],), self.clusters))
        return within_unit(found) if key[1] in SHARES else found


def explained_seeds(records: Sequence[ExplanationRecord], table: str, read: ReadExplained) -> ExplainedSeeds | None:
    """Read a table of all seeds; None where one lacks it, or is about other samples."""
    found = [read(record, table) for record in records]
    tables = [each for each in found if each is not None]
    if not tables or len(tables) < len(found) or any(t.sample_ids != tables[0].sample_ids for t in tables):
        return None
    shared = set.intersection(*(set(t.metrics) for t in tables))
    values = {
        (name, measure): np.stack([np.asarray(t.metrics[column], dtype=np.float64) for t in tables])
        for column in sorted(shared)
        for name, _, measure in (column.rpartition("|"),)
    }
    return ExplainedSeeds(values, tables[0].clusters)


def explanation_rows(task: str, store: Store) -> list[ExplanationRow]:
    """Make the rows of a task's models, those of the newest code alone."""

    def read(record: ExplanationRecord, table: str) -> SampleScores | None:
        return read_explained(store, record, table)

    return rows_of_explanations(store.read_explanations(task), store.read_records(task), read)


def rows_of_explanations(
    records: Iterable[ExplanationRecord], runs: Iterable[RunRecord], read: ReadExplained
) -> list[ExplanationRow]:
    """Make the rows of records whose models have a run among these; `read` gives what samples scored."""
    known = {record.fingerprint: record for record in runs}
    return [row for own in grouped_explanations(records, known).values() for row in _rows(own, read)]


def grouped_explanations(
    records: Iterable[ExplanationRecord], runs: Mapping[str, RunRecord]
) -> dict[tuple[Any, ...], list[ExplanationRecord]]:
    """Sort records by scope, model, control and setting, newest code alone; seeds ascending."""
    groups: dict[tuple[Any, ...], dict[str, dict[int, ExplanationRecord]]] = {}
    for record in records:
        run = runs.get(record.fingerprint)
        if run is not None:
            key = (ExplanationScope.of(record), record.model, record.control, setting_key(run))
            code = f"{code_key(run)} {record.methods}"
            groups.setdefault(key, {}).setdefault(code, {})[record.seed] = record
    newest = {key: max(codes.values(), key=_made) for key, codes in groups.items()}
    return {key: [of_seed[seed] for seed in sorted(of_seed)] for key, of_seed in newest.items()}


def _made(of_seed: Mapping[int, ExplanationRecord]) -> str:
    return max(record.created for record in of_seed.values())


def _rows(records: Sequence[ExplanationRecord], read: ReadExplained) -> Iterator[ExplanationRow]:
    first = records[0]
    seeds = tuple(record.seed for record in records)
    maps: dict[tuple[str, str], MapScore] = {(s.modality, s.name): s for s in first.scores}
    tables = {
        (modality, held): explained_seeds(records, f"{modality}-{held}", read)
        for modality in MODALITIES[:2]
        for held in ("truth", "heed")
    }
    tables["image+text", ""] = explained_seeds(records, "image+text", read)
    for modality in MODALITIES:
        own = [found for (of, _), found in tables.items() if of == modality and found is not None]
        for name, score in ((n, s) for (of, n), s in maps.items() if of == modality):
            figures = {m: found.estimate((name, m)) for found in own for n, m in found.values if n == name}
            over, void = _over_shuffled(name, own) if score.kind == OF_METHOD else (None, None)
            yield ExplanationRow(
                ExplanationScope.of(first), first.model, first.control, seeds, modality, name, score.kind,
                {m: figures[m] for m in (*MEASURES, *figures) if m in figures}, over, void, score.error or "",
            )  # fmt: skip


def _over_shuffled(method: str, tables: Sequence[ExplainedSeeds]) -> tuple[Estimate | None, bool | None]:
    """By how much a method's mass (else insertion - deletion) is above that on shuffled weights, and if it is void."""
    for measure in (MASS, HEED):
        for table in tables:
            found = table.difference((method, measure), (shuffled_of(method), measure))
            if found is not None:
                return as_estimate(found), not found.low > 0
    return None, None


def within_unit(found: Estimate) -> Estimate:
    """Cut the interval of a share to 0..1."""
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def as_estimate(found: Difference) -> Estimate:
    """A difference as a number with its interval."""
    low, high = found.interval or (None, None)
    return Estimate(found.value, low, high, found.clusters, found.note)

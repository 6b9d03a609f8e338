"""What the regression gate compares of each trained model: score, robustness, latency and memory, with evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from harness.condition import CLEAN
from harness.judge.record_settings import of_newest_code, setting_key
from harness.measure.foreign_load import crowding
from harness.record import Estimate, RobustnessRecord, RunRecord, name_of
from harness.records.sample_scores import read_scores
from harness.records.store import Store
from harness.stats.sample_scores import SampleScores
from harness.storage.stored_types import require_types

OK = "ok"


@dataclass(frozen=True, order=True)
class MeasuredSubject:
    """A trained model on a split; its seeds are compared together."""

    task: str
    data: str
    split: str
    model: str
    control: str

    @property
    def label(self) -> str:
        """The model with its control, as tables name it."""
        return name_of(self.model, self.control)


@dataclass(frozen=True)
class Latency:
    """Seconds of one call over those of the calibration workload: of all calls, and in blocks of successive calls.

    `crowding` is by how much of the machine's CPU others used more than this job left free, 0..1: above 0 the job had
    to wait for a core. 0 where that is not known.
    """

    ratio: float
    blocks: tuple[float, ...]
    version: int
    crowding: float = 0.0


@dataclass(frozen=True)
class Measured:
    """What is known of one seed of a subject.

    `error` says why `status` is failed or skipped. `scores` are the contributions of samples to the ranking `metric`:
    under "" of the clean samples, under a condition's label of the perturbed ones; `conditions` the status of each
    condition. `setting` digests the settings, None where an older baseline does not say.
    """

    subject: MeasuredSubject
    seed: int
    fingerprint: str
    status: str
    data_digest: str
    signature: str | None
    machine: str
    error: str | None = None
    metric: str | None = None
    score: Estimate | None = None
    latency: Latency | None = None
    memory_bytes: int | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, SampleScores] = field(default_factory=dict)
    setting: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types, without the contributions of samples."""
        content = {key: value for key, value in asdict(replace(self, scores={})).items() if key != "scores"}
        return content | {"score": self.score.to_json() if self.score else None}

    @staticmethod
    def from_json(content: Mapping[str, Any], scores: Mapping[str, SampleScores]) -> Measured:
        """Build from what `to_json` made; raises KeyError, TypeError or ValueError for anything else."""
        require_types(Measured, content, ("scores",))
        latency, score = content["latency"], content["score"]
        parts = {
            "subject": MeasuredSubject(**content["subject"]),
            "score": score and Estimate(**score),
            "latency": latency and Latency(**{**latency, "blocks": tuple(latency["blocks"])}),
            "scores": scores,
        }
        return Measured(**{**content, **parts})


def read_measured(
    store: Store,
    metrics: Mapping[str, Sequence[str]],
    tasks: Sequence[str] | None = None,
    settings: Mapping[MeasuredSubject, str | None] | None = None,
) -> list[Measured]:
    """Read the current records of a results folder, of all tasks or some; `metrics` of each task, the ranking first.

    `settings` are those that are wanted of some subjects, as of a baseline's rows: another setting in the same folder
    then changes nothing. Of other subjects, and where there is no record of the wanted one, the newest is taken.
    """
    found = [
        _measured(store, record, metrics.get(record.task, ()))
        for record in _current(store.read_records(), settings or {})
        if tasks is None or record.task in tasks
    ]
    return sorted(found, key=lambda measured: (measured.subject, measured.seed))


def setting_digest(record: RunRecord) -> str:
    """Digest the settings of a record, 12 hexadecimal digits."""
    return hashlib.sha256(setting_key(record).encode()).hexdigest()[:12]


def settings_left_out(records: Sequence[RunRecord]) -> list[str]:
    """Name the subjects of which a baseline takes the newest of several settings, and how many it leaves out."""
    settings: dict[MeasuredSubject, set[str]] = {}
    for record in records:
        if record.status == OK:
            settings.setdefault(_subject(record), set()).add(setting_digest(record))
    return [f"{s.task}, {s.label}: {len(own) - 1}" for s, own in sorted(settings.items()) if len(own) > 1]


def _current(records: Sequence[RunRecord], wanted: Mapping[MeasuredSubject, str | None]) -> list[RunRecord]:
    """Keep the seeds of each subject of the newest code and data: those of the wanted settings, else of its newest.

    Failed and skipped ones too. What older code scored does not stand in for what was not run again.
    """
    by_subject: dict[MeasuredSubject, list[RunRecord]] = {}
    for record in records:  # oldest first
        by_subject.setdefault(_subject(record), []).append(record)
    kept: list[RunRecord] = []
    for subject, own in by_subject.items():
        current = [r for r in of_newest_code(own) if r.data_digest == own[-1].data_digest]
        asked = [r for r in current if r.cell and setting_digest(r) == wanted.get(subject)]
        newest = setting_key(own[-1])
        same = asked or [r for r in current if setting_key(r) == newest]
        kept += {record.seed: record for record in same}.values()
    return kept


def _subject(record: RunRecord) -> MeasuredSubject:
    return MeasuredSubject(record.task, record.data, record.split, record.model, record.control or "")


def _measured(store: Store, record: RunRecord, metrics: Sequence[str]) -> Measured:
    metric = next((name for name in metrics if record.metrics.get(name) is not None), None)
    robustness = store.find_robustness(record.task, record.fingerprint)
    conditions = {} if robustness is None else _conditions(robustness)
    tables = {"": read_scores(store, record)}
    if robustness is not None:
        labels = [label for label, status in conditions.items() if status == OK]
        tables |= {label: read_scores(store, robustness, label) for label in labels}
    return Measured(
        subject=_subject(record),
        seed=record.seed,
        fingerprint=record.fingerprint,
        status=record.status,
        data_digest=record.data_digest,
        signature=record.signature,
        machine=record.device,
        error=record.error,
        metric=metric,
        score=None if metric is None else record.metrics[metric],
        latency=_latency(record),
        memory_bytes=record.efficiency.peak_memory_bytes,
        conditions=conditions,
        setting=setting_digest(record),
        scores={label: _only(table, metric) for label, table in tables.items() if table and metric in table.metrics},
    )


def _only(table: SampleScores, metric: str | None) -> SampleScores:
    own = {name: values for name, values in table.metrics.items() if name == metric}
    return SampleScores(table.sample_ids, table.clusters, own)


def _conditions(record: RobustnessRecord) -> dict[str, str]:
    return {f"{s.perturbation}-{s.severity}": s.status for s in record.scores if s.perturbation != CLEAN.name}


def _latency(record: RunRecord) -> Latency | None:
    noted = record.efficiency.notes.get("calibrated_latency")
    if noted is None:
        return None
    return Latency(noted["ratio"], tuple(noted["blocks"]), noted["version"], crowding(record.efficiency.notes))

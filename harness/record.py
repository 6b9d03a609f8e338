"""What a cell leaves behind: an immutable record with a schema version."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from harness.storage.metric_names import current_name, with_current_names
from harness.storage.stored_types import require_file_names, require_tables, require_types

SCHEMA_VERSION = 1
STATUSES = ("ok", "failed", "skipped")
VARIANT = "variant"
"""Where a record's provenance says of a compressed variant how it was made, and how near it is to its parent."""
BESIDE_PARENT = "beside_parent"
"""Where the notes of its costs say how fast a variant is beside its parent, timed in turn."""
_NAME = re.compile(r"(?P<model>.+?)\s*\[(?P<control>[^\]]+)\]")


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval and the count of samples that inform it.

    `low` and `high` are both None where these samples cannot say how sure the number is; `note` then says why ("too
    few: 1 image"), and beside an interval what weakens it.
    """

    value: float
    low: float | None
    high: float | None
    count: int
    note: str | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, or None where there is no interval."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def drawn(self) -> tuple[float, float]:
        """Both ends of the bar in a chart: of no length where there is no interval."""
        return self.interval or (self.value, self.value)

    @property
    def is_finite(self) -> bool:
        """Whether the value, and the ends where there are any, are numbers."""
        return all(math.isfinite(number) for number in (self.value, *(self.interval or ())))

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types; the note stands there where there is one."""
        return {key: value for key, value in asdict(self).items() if key != "note" or value is not None}

    def counted(self) -> str:
        """Say how many samples inform it, and what weakens its interval.

        >>> Estimate(0.5, 0.25, 0.75, 12, "undefined on 7% of resamples").counted()
        '12 samples, undefined on 7% of resamples'
        """
        weakened = f", {self.note}" if self.note and self.interval else ""
        return f"{self.count} sample{'' if self.count == 1 else 's'}{weakened}"

    def bracket(self, style: str = ".3f") -> str:
        """Put the interval, or why there is none, into brackets.

        >>> Estimate(0.5, 0.25, 0.75, 12).bracket(), Estimate(0.9, None, None, 1, "too few: 1 image").bracket()
        ('[0.250, 0.750]', '(too few: 1 image)')
        """
        ends = self.interval
        return f"({self.note or 'no interval'})" if ends is None else f"[{ends[0]:{style}}, {ends[1]:{style}}]"


@dataclass(frozen=True)
class Efficiency:
    """What a model costs; seconds, bytes and counts. None where nothing supports the number.

    A latency percentile is None when there were too few runs for it (see `harness.measure.latency`).
    `peak_memory_bytes` has the libraries and what loading took, too; `memory_added_bytes` is what is there while it
    answers, less what the process had before. `energy_joules` is of one sample of a batch, less idle
    (`harness.measure.energy`).
    """

    parameters_total: int | None = None
    parameters_trainable: int | None = None
    flops: int | None = None
    latency_p50_seconds: float | None = None
    latency_p95_seconds: float | None = None
    latency_runs: int | None = None
    throughput_per_second: float | None = None
    throughput_batch: int | None = None
    peak_memory_bytes: int | None = None
    train_seconds: float | None = None
    memory_added_bytes: int | None = None
    energy_joules: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """Everything that is known of one cell, as it is stored in JSON.

    `status` is ok, failed or skipped; a failed or skipped cell has an `error` and no metrics: it is
    never a zero and never silently absent. `metrics` holds None for an *absent* metric; `ceilings` the best
    score that anyone could reach, by metric and by what is seen, where it is known.
    """

    fingerprint: str
    task: str
    data: str
    data_digest: str
    split: str
    model: str
    control: str | None
    seed: int
    status: str
    error: str | None
    metrics: Mapping[str, Estimate | None]
    signature: str | None
    efficiency: Efficiency
    device: str
    provenance: Mapping[str, Any]
    cell: Mapping[str, Any]
    created: str
    ceilings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return {**asdict(self), "metrics": _plain(self.metrics)}

    @staticmethod
    def from_json(content: Mapping[str, Any], text: str | bytes | None = None) -> RunRecord:
        """Build from what `to_json` made; raises ValueError for a wrong type, TypeError for an unknown key.

        `text` is the same content as JSON, where that is at hand.
        """
        _require_run(content, text)
        fields = dict(content)
        fields["metrics"] = _estimates(content["metrics"], content["signature"])
        fields["ceilings"] = with_current_names(content.get("ceilings", {}), content["signature"])
        fields["efficiency"] = Efficiency(**content["efficiency"])
        return RunRecord(**fields)


@dataclass(frozen=True)
class PerturbedScore:
    """A model's score under one condition: one perturbation, a joint one (`a+b`), a shift, or "clean".

    `severity` is 0 for clean and for shifts other than corrupted copies. `status` is ok, failed or skipped; a skipped
    condition (a text perturbation of a model that reads no text) is never counted as robust. `metrics` has the task's
    first metric and whatever else came with it. `notes` say what was done: the sha256 of the pixels, how many texts
    changed, how many unfaithful rewritings were dropped, whether an attack passed its gates. `answers` names what the
    model answered, by all that can move it; "" where an earlier version made the score.
    """

    fingerprint: str
    perturbation: str
    severity: int
    family: str
    modality: str
    status: str
    error: str | None = None
    metrics: Mapping[str, Estimate | None] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    answers: str = ""


@dataclass(frozen=True)
class RobustnessRecord:
    """How one trained model scores under each condition; `fingerprint` is that of its `RunRecord`.

    `metric` is the task's first one, `chance` what guessing scores by it. `limit` is the number of samples at most and
    `shortest_px` the canvas on which perturbations act (0: the image as it is on disk).
    """

    fingerprint: str
    task: str
    data: str
    data_digest: str
    split: str
    model: str
    control: str | None
    seed: int
    metric: str
    signature: str
    chance: float
    limit: int | None
    shortest_px: int
    device: str
    scores: tuple[PerturbedScore, ...]
    provenance: Mapping[str, Any]
    created: str
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        scores = [{**asdict(score), "metrics": _plain(score.metrics)} for score in self.scores]
        return {**asdict(replace(self, scores=())), "scores": scores}

    @staticmethod
    def from_json(content: Mapping[str, Any], text: str | bytes | None = None) -> RobustnessRecord:
        """Build from what `to_json` made, as `RunRecord.from_json`; raises the same errors."""
        require_file_names(content, ("fingerprint", "task"))
        require_types(RobustnessRecord, content, text=text)
        for score in content["scores"]:
            _require_status(score["status"])
        scores = tuple(
            PerturbedScore(**{**score, "metrics": _estimates(score["metrics"], content["signature"])})
            for score in content["scores"]
        )
        metric = current_name(content["metric"], content["signature"])
        return RobustnessRecord(**{**content, "scores": scores, "metric": metric})


@dataclass(frozen=True)
class MapScore:
    """How good the maps of one method, or of one baseline, are on one modality: image, text or both.

    `kind` is method, baseline, random-weights (the method on shuffled weights) or model (no map: what the model does).
    `status` is ok or skipped, with the reason as `error`. A metric is None where nothing decides it here.
    """

    name: str
    kind: str
    modality: str
    status: str
    error: str | None = None
    metrics: Mapping[str, Estimate | None] = field(default_factory=dict)


@dataclass(frozen=True)
class ExplanationRecord:
    """How good explanations of one trained model are; `fingerprint` is that of its `RunRecord`.

    `settings` are those of the section [explain] and the versions of the methods; `explained_by` names all that can
    move a map.
    """

    fingerprint: str
    task: str
    data: str
    data_digest: str
    split: str
    model: str
    control: str | None
    seed: int
    explained_by: str
    methods: tuple[str, ...]
    settings: Mapping[str, Any]
    samples: int
    device: str
    scores: tuple[MapScore, ...]
    provenance: Mapping[str, Any]
    created: str
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        scores = [{**asdict(score), "metrics": _plain(score.metrics)} for score in self.scores]
        return {**asdict(replace(self, scores=())), "scores": scores, "methods": list(self.methods)}

    @staticmethod
    def from_json(content: Mapping[str, Any], text: str | bytes | None = None) -> ExplanationRecord:
        """Build from what `to_json` made, as `RunRecord.from_json`; raises the same errors."""
        require_file_names(content, ("fingerprint", "task"))
        require_types(ExplanationRecord, content, text=text)
        for score in content["scores"]:
            _require_status(score["status"])
        scores = tuple(
            MapScore(**{**score, "metrics": _estimates(score["metrics"], None)}) for score in content["scores"]
        )
        return ExplanationRecord(**{**content, "scores": scores, "methods": tuple(content["methods"])})


def evaluated_samples(record: RunRecord) -> tuple[int, int] | None:
    """How many samples of its split a record is about, and how many the split has; None where that is not recorded."""
    known = record.provenance.get("samples")
    return (known["evaluated"], known["of"]) if known else None


def prompt_of(record: RunRecord) -> str:
    """Name the prompt by which a record's model was asked; "" where it was not asked in words."""
    options = (record.cell.get("training") or {}).get("options") or {}
    return str((options.get("settings") or {}).get("prompt_name", ""))


def now() -> str:
    """The time in UTC, to a thousandth of a second."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def name_of(model: str, control: str | None) -> str:
    """Name a row as all tables do: the model, with its control in brackets."""
    return f"{model} [{control}]" if control else model


def split_name(name: str) -> tuple[str, str | None]:
    """Take a row's name apart into the model and its control; the inverse of `name_of`, the space may be left out.

    >>> split_name("film[C0]"), split_name("film [C0]"), split_name("hf:org/name")
    (('film', 'C0'), ('film', 'C0'), ('hf:org/name', None))
    """
    match = _NAME.fullmatch(name)
    return (match["model"], match["control"]) if match else (name, None)


def _require_run(content: Mapping[str, Any], text: str | bytes | None) -> None:
    require_types(RunRecord, content, text=text)
    require_file_names(content, ("fingerprint", "task"))
    _require_status(content["status"])
    require_tables(content["cell"], ("training", "evaluate", "measure"), "cell")
    require_tables(content["cell"].get("training") or {}, ("data", "train", "options", "versions"), "cell.training")
    require_tables(content["provenance"], ("training", "hardware", "samples", "skipped_samples"), "provenance")


def _require_status(status: str) -> None:
    if status not in STATUSES:
        raise ValueError(f"status = '{status}': wanted {', '.join(STATUSES)}")


def _estimates(content: Mapping[str, Any], signature: str | None) -> dict[str, Estimate | None]:
    known = with_current_names(content, signature)
    return {name: None if estimate is None else Estimate(**estimate) for name, estimate in known.items()}


def _plain(metrics: Mapping[str, Estimate | None]) -> dict[str, Any]:
    return {name: None if estimate is None else estimate.to_json() for name, estimate in metrics.items()}

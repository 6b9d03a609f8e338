"""`bench show FINGERPRINT`: everything that a record says of where its numbers come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from harness.judge.record_settings import scoring_of
from harness.judge.select_records import find_fingerprint, records_of
from harness.measure.provenance import recorded_versions
from harness.record import Estimate, RunRecord
from harness.records.sample_scores import OUTCOMES, table_name
from harness.records.store import Store

_MODIFIED = "+modified"
_UNKNOWN = "not recorded (made by an earlier version)"


def show(text: str, store: Store, task: str | None, style: str) -> str:
    """Find a record by its fingerprint or the beginning of it, and render it as text or json; raises UsageError."""
    record = find_fingerprint(text, records_of(store, task), store)
    if style == "json":
        return json.dumps(origin(record, store), indent=1, allow_nan=False)
    return render_origin(origin(record, store))


def origin(record: RunRecord, store: Store) -> dict[str, Any]:
    """Gather what is known of a record, under the keys that `bench show --format json` documents."""
    known, training = record.provenance, record.cell.get("training", {})
    code = {**training.get("versions", {}), **scoring_of(record)}
    commit = known.get("git")
    predictions = f"{table_name(store, record, OUTCOMES)}.parquet"
    return {
        "record": {
            "fingerprint": record.fingerprint,
            "task": record.task,
            "model": record.model,
            "control": record.control,
            "seed": record.seed,
            "status": record.status,
            "error": record.error,
            "made": record.created,
            "results": store.url,
        },
        "command": known.get("command"),
        "code": {
            "commit": commit.removesuffix(_MODIFIED) if isinstance(commit, str) else None,
            "dirty": commit.endswith(_MODIFIED) if isinstance(commit, str) else None,
            "training": code.get("training"),
            "task": code.get("task"),
            "model": code.get("model"),
            "scoring": code.get("scoring"),
            "python": known.get("python"),
        },
        "versions": recorded_versions(known),
        "hardware": {
            "device": record.device,
            **record.efficiency.notes.get("machine", {}),
            "gpu_state": record.efficiency.notes.get("gpu_state", {}),
        },
        "data": {
            "name": record.data,
            "sha256": record.data_digest,
            "split": record.split,
            "samples": known.get("samples", {}),
            "limit": record.cell.get("evaluate", {}).get("limit"),
            "options": training.get("data", {}).get("options", {}),
            "preprocessing_sha256": known.get("preprocessing_sha256"),
            "skipped_samples": known.get("skipped_samples", {}),
        },
        "weights": {"recipe": training.get("recipe", {}), "prerequisite": training.get("prerequisite")},
        "settings": {part: _set(training.get(part, {})) for part in ("train", "options", "decode")}
        | {part: _set(record.cell.get(part, {})) for part in ("evaluate", "measure")},
        "training": known.get("training", {}),
        "metrics": {name: None if e is None else e.to_json() for name, e in record.metrics.items()},
        "signature": record.signature,
        "ceilings": {name: dict(found) for name, found in record.ceilings.items()},
        "predictions": {
            "file": predictions,
            "there": store.exists(predictions),
            "sha256": known.get("outcomes_sha256"),
        },
        "costs": {k: v for k, v in asdict(record.efficiency).items() if k != "notes"},
        "noisy": list(record.efficiency.notes.get("noisy", [])),
        "rescored": known.get("rescored"),
    }


def render_origin(found: Mapping[str, Any]) -> str:
    """Render as headed lists; metrics of single classes are left to JSON."""
    parts = []
    for heading, content in found.items():
        lines = list(_lines(heading, content))
        if lines:
            parts.append("\n".join([heading, *(f"  {line}" for line in lines)]))
    return "\n\n".join(parts)


def _lines(heading: str, content: Any) -> Iterator[str]:
    if heading == "metrics":
        yield from _metric_lines(content)
    elif heading in ("command", "signature"):
        yield content or _UNKNOWN
    elif heading == "noisy":
        yield from content or ["no: nothing disturbed its measurements"]
    elif heading == "rescored":
        if content is not None:
            yield f"{content['made']} by {content['code'].get('git')}; the former numbers are in --format json"
    else:
        pairs = list(_flat(content))
        width = max((len(name) for name, _ in pairs), default=0)
        yield from (f"{name.ljust(width)}  {value}" for name, value in pairs)


def _metric_lines(metrics: Mapping[str, Mapping[str, Any] | None]) -> Iterator[str]:
    shown = {name: e for name, e in metrics.items() if ":" not in name}
    width = max((len(name) for name in shown), default=0)
    for name, e in shown.items():
        yield f"{name.ljust(width)}  {'absent' if e is None else _told(Estimate(**e))}"
    if len(shown) < len(metrics):
        yield f"and {len(metrics) - len(shown)} of single classes: --format json"


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name what lies deeper with dots; what was not set is left out, but for a false or a zero."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value not in (None, "", [], ()):
            yield f"{prefix}{name}", ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _set(content: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what was not set."""
    return {name: value for name, value in content.items() if value not in (None, "", {}, [])}


def _told(e: Estimate) -> str:
    return f"{e.value:.4f} {e.bracket('.4f')}, {e.counted()}"

"""What a click on a number shows: the runs behind it, the conditions, and what is known of both, as compact JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.judge.record_settings import scoring_of
from harness.measure.provenance import recorded_versions
from harness.record import Estimate, RunRecord, evaluated_samples
from harness.report.page.entries import Board
from harness.report.page.notes import data_notes, scoring_notes
from harness.report.page.sweeps import Sweep

_CODE = ("training", "task", "model", "scoring")


class Shared:
    """Keeps equal things once and names each by its number."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, item: Any) -> int:
        """Give the number of an item, a new one where it was not seen before."""
        key = json.dumps(item, sort_keys=True)
        if key not in self._places:
            self._places[key] = len(self.items)
            self.items.append(item)
        return self._places[key]


def provenance_of_page(boards: Sequence[tuple[Board, Sequence[Sweep]]]) -> dict[str, Any]:
    """Gather rows, runs and cells; package versions, settings, conditions and notes are kept once each."""
    versions, settings, notes, names = Shared(), Shared(), Shared(), Shared()
    rows: dict[str, Any] = {}
    runs: dict[str, Any] = {}
    for board, sweeps in boards:
        for entry in board.entries:
            rows[entry.key] = {"name": entry.name, "runs": list(entry.row.fingerprints)}
            for record in entry.records:
                runs[record.fingerprint] = _run(record, versions, settings)
        for sweep in sweeps:
            for key, answers in sweep.answers.items():
                cells = {
                    names.place(label): _cell(a.estimate, a.status, a.error, a.notes, notes)
                    for label, a in answers.items()
                }
                rows[key] |= {"metric": sweep.metric, "chance": sweep.chance, "cells": cells}
                rows[key] |= {"limit": sweep.limit, "shortest_px": sweep.shortest_px}
    return {
        "rows": rows, "runs": runs, "versions": versions.items, "settings": settings.items,
        "notes": notes.items, "conditions": names.items,
    }  # fmt: skip


def _run(record: RunRecord, versions: Shared, settings: Shared) -> dict[str, Any]:
    known, training = record.provenance, record.cell.get("training", {})
    packages = recorded_versions(known)
    learned = known.get("training", {})
    code = {**training.get("versions", {}), **scoring_of(record)}
    facts = {
        "task": record.task,
        "seed": record.seed,
        "status": record.status,
        "error": record.error,
        "data": record.data,
        "data digest": record.data_digest,
        "split": record.split,
        "metric signature": record.signature,
        "commit": known.get("git"),
        "code of training, task, model, scoring": " ".join(str(code[name]) for name in _CODE if name in code),
        "preprocessing": known.get("preprocessing_sha256"),
        "checkpoint": learned.get("checkpoint_sha256"),
        "training": _training(learned),
        "unreadable samples": _unreadable(known.get("skipped_samples", {})),
        "samples": _samples(record),
        "notes on the data": "; ".join(data_notes(record)),
        "notes on the answers": "; ".join(scoring_notes(record)),
        "timing": "; ".join(record.efficiency.notes.get("noisy", [])),
        "latency runs": record.efficiency.latency_runs,
        "device": record.device,
        "python": known.get("python"),
        "made": record.created,
    }
    shown = {name: value for name, value in facts.items() if value not in (None, "", {}, [])}
    asked = {name: _plain(training.get(name, {})) for name in ("train", "decode", "options")}
    asked["evaluate"] = _plain(record.cell.get("evaluate", {}))
    return {"facts": shown, "versions": versions.place(packages), "settings": settings.place(asked)}


def _training(learned: Mapping[str, Any]) -> str:
    names = ("steps", "best_step", "best_score", "final_loss", "precision", "seconds")
    parts = [f"{name.replace('_', ' ')} {_short(learned[name])}" for name in names if learned.get(name) is not None]
    return ", ".join(parts)


def _unreadable(skipped: Mapping[str, Any]) -> str:
    counts = {name: len(those) for name, those in skipped.items() if those}
    return ", ".join(f"{count} in {name}" for name, count in counts.items())


def _samples(record: RunRecord) -> str:
    known = evaluated_samples(record)
    return f"{known[0]:,} of {known[1]:,}" if known else ""


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what was not set."""
    return {name: value for name, value in content.items() if value not in (None, "", {}, [])}


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(
    estimate: Estimate | None, status: str, error: str | None, known: Mapping[str, Any], notes: Shared
) -> list[Any]:
    """[value, low, high, count, notes] or [status, error, notes]; numbers have six digits."""
    place = notes.place(dict(known)) if known else -1
    if estimate is None:
        return [status, error or "no score was recorded", place]
    numbers = (estimate.value, estimate.low, estimate.high)
    return [*(None if v is None else float(f"{v:.6g}") for v in numbers), estimate.count, place]

"""Two records of one cell, made by two runs at once: equal where neither the time nor the machine speaks."""

from __future__ import annotations

from typing import Any

from harness.record import RunRecord
from harness.records.sample_scores import OUTCOMES
from harness.records.store import Store
from harness.storage.digest import content_digest, with_digest

_SAME = (OUTCOMES, "preprocessing_sha256", "samples", "skipped_samples")
"""What a record's provenance says of the answers, whoever made them."""


def deterministic_digest(record: RunRecord) -> str:
    """Digest what must come out the same on every machine: answers and scores, not costs, dates and hosts."""
    content: dict[str, Any] = {
        name: value
        for name, value in record.to_json().items()
        if name in ("fingerprint", "status", "metrics", "signature", "ceilings")
    }
    return content_digest(content | {name: record.provenance.get(name) for name in _SAME})


def in_conflict(store: Store, task: str | None = None) -> frozenset[str]:
    """The fingerprints of a task, or of all, that another run has finished with other answers or scores."""
    names = store.names(f"{task or '*'}/conflicts/*.json")
    return frozenset(name.rpartition("/")[2].partition("-")[0] for name in names)


def settle(store: Store, label: str, record: RunRecord, other: RunRecord) -> tuple[str, bool]:
    """Compare a finished cell with the `other` record that stands for it; returns what to say, and whether they differ.

    One that differs is kept in <results>/<task>/conflicts/<fingerprint>-<digest>.json, beside the other: no table is
    made of it, and nothing replaces it. One that failed is not compared.
    """
    digest = deterministic_digest(record)
    if record.status != "ok" or digest == deterministic_digest(other):
        return f"{label}: another run has finished it meanwhile; its record stands.", False
    name = f"{record.task}/conflicts/{record.fingerprint}-{digest[:16]}.json"
    store.create_only(name, with_digest(record.to_json()))
    return (
        f"{label}: CONFLICT: another run has finished it meanwhile with other answers or scores. Its record stands, "
        f"this one is kept in {store.url}/{name}. Compare both (packages, hardware), delete what is wrong, run again.",
        True,
    )

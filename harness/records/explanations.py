"""What is stored of explanations: a record, what each sample's maps score, and some maps to look at.

<results>/<task>/explanations/<fingerprint>.json            the record, written last
<results>/<task>/explanations/<fingerprint>/<table>.parquet what maps of each sample score, a column a map and measure
<results>/<task>/explanations/<fingerprint>/examples.json   some samples with their images and maps
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.errors import StoreError
from harness.record import ExplanationRecord
from harness.records.sample_scores import TABLES
from harness.records.store import Store
from harness.stats.sample_scores import SampleScores
from harness.storage.digest import with_digest

_EXAMPLES = "examples"


def column_of(name: str, measure: str) -> str:
    """Name the column of a map's measure."""
    return f"{name}|{measure}"


def write_explanations(
    store: Store,
    record: ExplanationRecord,
    tables: Mapping[str, SampleScores],
    examples: Sequence[Mapping[str, Any]],
) -> None:
    """Write a record with its tables and examples, in the place of one that knew fewer methods."""
    folder = f"{record.task}/explanations/{record.fingerprint}"
    digests = {name: store.write_sample_scores(f"{folder}/{name}", table) for name, table in tables.items()}
    shown = json.dumps(list(examples), allow_nan=False).encode()
    store.write_bytes(f"{folder}/{_EXAMPLES}.json", shown)
    digests[_EXAMPLES] = hashlib.sha256(shown).hexdigest()
    whole = replace(record, provenance={**record.provenance, TABLES: digests})
    store.write_bytes(f"{folder}.json", with_digest(whole.to_json()))


def read_explained(store: Store, record: ExplanationRecord, table: str) -> SampleScores | None:
    """Read what samples scored; None where the record has no such table. Raises StoreError where it is another's."""
    content = _vouched(store, record, table, "parquet")
    folder = f"{record.task}/explanations/{record.fingerprint}"
    return None if content is None else store.read_sample_scores(f"{folder}/{table}", content)


def read_examples(store: Store, record: ExplanationRecord) -> list[dict[str, Any]]:
    """Read the samples whose maps were kept; raises StoreError where they are another record's."""
    content = _vouched(store, record, _EXAMPLES, "json")
    found: list[dict[str, Any]] = [] if content is None else json.loads(content)
    return found


def _vouched(store: Store, record: ExplanationRecord, name: str, ending: str) -> bytes | None:
    wanted = record.provenance.get(TABLES, {}).get(name)
    if wanted is None:
        return None
    place = f"{record.task}/explanations/{record.fingerprint}/{name}.{ending}"
    content = store.read_bytes(place)
    if hashlib.sha256(content).hexdigest() != wanted:
        raise StoreError(
            f"{store.place(place)} has another sha256 than its record says: it was changed, or belongs to another run. "
            f"Delete {record.task}/explanations/{record.fingerprint}.json and run again with --explain."
        )
    return content

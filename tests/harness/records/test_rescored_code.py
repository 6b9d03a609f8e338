"""A record whose numbers come out the same by today's code says so, and is written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.record import RunRecord
from harness.records.rescore import _rescored_in_place
from harness.records.sample_scores import Scored, table_digests, write_scores
from harness.records.store import Store
from harness.sample import Outcome, Sample


def test_a_record_that_comes_out_the_same_names_todays_code(record: Callable[..., RunRecord], tmp_path: Path) -> None:
    store, scored = Store(str(tmp_path)), Scored([Sample("1", Path(), "a")], [Outcome("1", "a")], {})
    rescorer: Any = SimpleNamespace(
        task=SimpleNamespace(metrics=("main",)), scorer=None, signature="main:1", code={"digest": "new"},
        score=lambda store, record: scored,
    )  # fmt: skip
    write_scores(store, "a-task", "f", scored, ("main",))
    old = record("m", metrics={}, fingerprint="f", provenance=table_digests(store, "a-task", "f"))
    store.replace_record(old)
    assert _rescored_in_place(rescorer, store, old, write=False).unchanged
    assert store.find_record("a-task", "f") == old
    assert _rescored_in_place(rescorer, store, old, write=True).unchanged
    new = store.find_record("a-task", "f")
    assert new is not None and new.cell == {**old.cell, "scoring": {"digest": "new"}}
    assert (new.metrics, new.provenance, new.created) == (old.metrics, old.provenance, old.created)
    written = (tmp_path / "a-task/records/f.json").stat().st_mtime_ns
    _rescored_in_place(rescorer, store, new, write=True)
    assert (tmp_path / "a-task/records/f.json").stat().st_mtime_ns == written

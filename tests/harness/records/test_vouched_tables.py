"""Records vouch for the tables beside them: a changed one is refused wherever it is read; the committed ones fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.cli.records import mend as mend_folder
from harness.errors import StoreError
from harness.judge.verdict.judge import score_reader
from harness.record import Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.records.mending import mend, render_mended
from harness.records.sample_scores import (
    SCORES,
    TABLES,
    portable_score,
    read_answers,
    read_scores,
    table_digests,
    uncovered,
)
from harness.records.store import Store
from harness.records.table_names import beside_name, outcomes_name, scores_name
from harness.sample import Outcome
from harness.stats.sample_scores import SampleScores
from harness.storage.portable import without_places

RESULTS = Path(__file__).parents[3] / "results"
IDS = tuple(str(number) for number in range(20))


def vouching(store: Store, record: RunRecord) -> RunRecord:
    """Let a record vouch for its tables as they are now."""
    return replace(record, provenance={**record.provenance, **table_digests(store, record.task, record.fingerprint)})


def write_tables(store: Store, record: RunRecord | RobustnessRecord, condition: str | None = None) -> None:
    names = [make(record.task, record.fingerprint, condition) for make in (scores_name, outcomes_name)]
    store.write_sample_scores(names[0], SampleScores(IDS, IDS, {"main": np.arange(20) / 20}))
    store.write_outcomes(names[1], [Outcome(name, "a") for name in IDS], {"main": list(np.arange(20) / 20)})


@pytest.fixture
def stored(record: Callable[..., RunRecord], tmp_path: Path) -> tuple[Store, RunRecord]:
    """A record that vouches for its tables."""
    store, plain = Store(str(tmp_path)), record("m", 0.5)
    write_tables(store, plain)
    whole = vouching(store, plain)
    store.replace_record(whole)
    return store, whole


def sweep_of(record: RunRecord, **provenance: Any) -> RobustnessRecord:
    scores = tuple(
        PerturbedScore(f"f{n}", "fog", n, "weather", "image", "ok", metrics={"main": Estimate(0.5, 0.4, 0.6, 20)})
        for n in (1, 2)
    )
    return RobustnessRecord(
        record.fingerprint, record.task, "tiny", "d1", "val", "m", None, 0, "main", "main:1", 0.0, None, 224, "cpu",
        scores, provenance, record.created,
    )  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_bit_is_read(stored: tuple[Store, RunRecord], data: st.DataObject, tmp_path: Path) -> None:
    store, record = stored
    make, read = data.draw(st.sampled_from([(scores_name, read_scores), (outcomes_name, read_answers)]))
    path = tmp_path / f"{make(record.task, record.fingerprint)}.parquet"
    content = path.read_bytes()
    position = data.draw(st.integers(0, 8 * len(content) - 1))
    changed = bytearray(content)
    changed[position // 8] ^= 1 << position % 8
    path.write_bytes(changed)
    try:
        with pytest.raises(StoreError, match=rf"{re.escape(path.name)} has another sha256.*bench rescore --write"):
            read(store, record)
        if make is scores_name:
            with pytest.raises(StoreError, match="another sha256"):
                score_reader([store])(record.task, record.fingerprint, None)
    finally:
        path.write_bytes(content)
    assert read(store, record) is not None


def test_tables_of_conditions_are_vouched_for_too(stored: tuple[Store, RunRecord], tmp_path: Path) -> None:
    store, record = stored
    for label in ("fog-1", "fog-2"):
        write_tables(store, sweep_of(record), label)
    tables = {label: table_digests(store, record.task, record.fingerprint, label) for label in ("fog-1", "fog-2")}
    sweep = sweep_of(record, **{TABLES: tables})
    store.write_robustness(sweep)
    read = score_reader([store])
    found = read(record.task, record.fingerprint, "fog-1")
    assert found is not None and found.metrics["main"][3] == 0.15
    path = tmp_path / f"{scores_name(record.task, record.fingerprint, 'fog-2')}.parquet"
    path.write_bytes((tmp_path / f"{scores_name(record.task, record.fingerprint)}.parquet").read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"fog-2.parquet has another sha256"):
        read(record.task, record.fingerprint, "fog-2")


def test_what_is_not_stored_is_none_and_what_no_record_knows_is_not_read(
    stored: tuple[Store, RunRecord], record: Callable[..., RunRecord]
) -> None:
    store, known = stored
    stranger = record("other", 0.1)
    write_tables(store, stranger)
    assert score_reader([store])(stranger.task, stranger.fingerprint, None) is None
    assert read_scores(store, replace(known, fingerprint="gone")) is None


def test_a_perturbed_score_tells_no_places() -> None:
    score = PerturbedScore(
        "f", "fog", 1, "weather", "image", "failed", error="/home/ada/w.pt is broken", notes={"log": "/home/ada/log"}
    )
    assert portable_score(score) == replace(score, error="…/w.pt is broken", notes={"log": "…/log"})
    plain = replace(score, error=None, notes={"texts": 3})
    assert portable_score(plain) == plain


def test_mending_covers_tables_and_leaves_out_places(record: Callable[..., RunRecord], tmp_path: Path) -> None:
    store, plain = Store(str(tmp_path)), record("m", 0.5)
    old = replace(
        plain,
        provenance={"command": "bench run --data /home/ada/x", "git": "abc"},
        cell={**plain.cell, "training": {**plain.cell["training"], "options": {"vision_weights": "/home/ada/w.pt"}}},
    )
    write_tables(store, old)
    write_tables(store, sweep_of(old), "fog-1")
    store.replace_record(old)
    store.write_robustness(sweep_of(old))
    assert "1 of 1 records" in str(uncovered(store, store.read_records()))
    said: list[str] = []
    read = score_reader([store], said.append)
    for condition in (None, "fog-1"):
        assert read(old.task, old.fingerprint, condition) is not None
    assert len(said) == 1 and "bench mend --results" in said[0]
    assert "Bring them up to date with --write" in render_mended(mend(store, write=False), written=False)
    assert store.read_records() == [old]
    assert [(each.sweep, each.what) for each in mend(store, write=True)] == [
        (False, ("tables", "places")), (True, ("tables",)),
    ]  # fmt: skip
    (new,) = store.read_records()
    assert new.provenance["command"] == "bench run --data …/x"
    assert new.cell["training"]["options"] == {"vision_weights": "…/w.pt"}
    assert (new.fingerprint, new.metrics, new.created) == (old.fingerprint, old.metrics, old.created)
    assert new.provenance[SCORES] == table_digests(store, new.task, new.fingerprint)[SCORES]
    assert uncovered(store, [new]) is None and mend(store, write=True) == []
    assert read_scores(store, new) is not None


def test_a_misspelt_folder_is_not_called_mended(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"No records in .*Give another folder with --results"):
        mend_folder(str(tmp_path / "nowhere"), None, False)


@pytest.mark.parametrize("folder", sorted(path.name for path in RESULTS.iterdir() if path.is_dir()))
def test_committed_records_are_covered_and_tell_no_places(folder: str) -> None:
    store = Store(str(RESULTS / folder))
    assert mend(store, write=False) == []
    for record in store.read_records():
        told = [record.cell, record.provenance, record.error]
        assert without_places(told) == told, "nothing would be hidden or shortened"
        read_scores(store, record)
    for sweep in store.read_robustness():
        for score in sweep.scores:
            read_scores(store, sweep, f"{score.perturbation}-{score.severity}")


@pytest.mark.parametrize("digest", [7, None, ["a"], "../../../etc/passwd", "a" * 63, "A" * 64])
def test_what_is_no_digest_names_no_table(digest: object) -> None:
    with pytest.raises(StoreError, match="which is no sha256"):
        beside_name("a-task/outcomes/f", digest)
    assert beside_name("a-task/outcomes/f", "a" * 64) == f"a-task/outcomes/f-{'a' * 16}"

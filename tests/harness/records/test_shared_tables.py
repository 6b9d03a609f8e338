"""Runs that share a results folder or a URL: each record has its own tables, and no condition of a sweep is lost."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from harness.errors import StoreError
from harness.record import PerturbedScore, RobustnessRecord, RunRecord
from harness.records.conflicts import settle
from harness.records.packing import pack
from harness.records.sample_scores import (
    OUTCOMES,
    SCORES,
    TABLES,
    Scored,
    read_answers,
    read_scores,
    rewrite_scores,
    table_name,
    vouched,
    write_scores,
)
from harness.records.shared_conditions import put_conditions
from harness.records.store import Store
from harness.records.writers import beside_other_runs
from harness.sample import Outcome, Sample
from harness.stats.resampling import MeanStatistics

Make = Callable[..., RunRecord]
FINGERPRINT = "ab" * 8


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path) if request.param == "folder" else f"memory://{tmp_path.name}/results")


def scored(answer: str) -> Scored:
    samples = [Sample(name, Path(name), None) for name in ("x", "y")]
    outcomes = [Outcome(sample.sample_id, answer) for sample in samples]
    return Scored(samples, outcomes, {"main": MeanStatistics(np.array([0.25, 0.5]) * len(answer))})


def finished(store: Store, record: Make, answer: str) -> RunRecord:
    tables = write_scores(store, "a-task", FINGERPRINT, scored(answer), ("main",))
    return record("a", len(answer) / 10, fingerprint=FINGERPRINT, provenance=tables)


@pytest.mark.parametrize("first", [0, 1])
def test_the_record_that_stands_and_the_one_in_conflict_have_their_own_tables(
    store: Store, record: Make, first: int
) -> None:
    made = [finished(store, record, "a"), finished(store, record, "bb")]  # both before either leaves its record
    stands, other = made[first], made[1 - first]
    store.write_record(stands)
    assert settle(store, "a", other, stands)[1]
    for each, answer in zip(made, ("a", "bb"), strict=True):
        assert [outcome.prediction for outcome in read_answers(store, each)] == [answer, answer]
        scores = read_scores(store, each)
        assert scores is not None and scores.metrics["main"].tolist() == [0.25 * len(answer), 0.5 * len(answer)]
    assert len(store.names("a-task/outcomes/*.parquet")) == len(store.names("a-task/scores/*.parquet")) == 2
    rewritten = rewrite_scores(store, stands, scored("ccc"), ("main",))
    store.replace_record(replace(stands, provenance={**stands.provenance, **rewritten}))
    assert [outcome.prediction for outcome in read_answers(store, other)] == [("a", "bb")[1 - first]] * 2


def test_equal_tables_are_one_and_those_of_former_records_are_read(store: Store, record: Make) -> None:
    one, other = finished(store, record, "a"), finished(store, record, "a")
    assert one.provenance == other.provenance
    assert store.names("a-task/*/*.parquet") == [
        f"a-task/{kind}/{FINGERPRINT}.parquet" for kind in ("outcomes", "scores")
    ]
    former = replace(one, provenance={})
    assert read_scores(store, former) is not None and len(read_answers(store, former)) == 2
    assert table_name(store, former, SCORES) == f"a-task/scores/{FINGERPRINT}"


def test_tables_beside_others_are_packed(tmp_path: Path, record: Make) -> None:
    store = Store(str(tmp_path))
    finished(store, record, "a")
    stands = finished(store, record, "bb")
    store.write_record(stands)
    pack(str(tmp_path))
    assert read_answers(Store(str(tmp_path)), stands)[0].prediction == "bb"
    assert table_name(Store(str(tmp_path)), stands, OUTCOMES).endswith(stands.provenance[OUTCOMES][:16])


def sweep(store: Store, labels: list[str], answer: str = "a") -> Callable[[RobustnessRecord | None], RobustnessRecord]:
    """What a run makes of some conditions, as a robustness run does."""
    tables = {
        f"{name}-1": write_scores(store, "a-task", FINGERPRINT, scored(answer), ("main",), f"{name}-1")
        for name in labels
    }
    fresh = [PerturbedScore(f"{name} {answer}", name, 1, "weather", "image", "ok") for name in labels]

    def build(former: RobustnessRecord | None) -> RobustnessRecord:
        old = [score for score in (former.scores if former else ()) if score.perturbation not in labels]
        kept = {f"{s.perturbation}-1": dict(vouched(former, f"{s.perturbation}-1")) for s in old if former}
        return RobustnessRecord(
            fingerprint=FINGERPRINT, task="a-task", data="tiny", data_digest="d1", split="val", model="a", control=None,
            seed=0, metric="main", signature="s", chance=0.0, limit=None, shortest_px=0, device="cpu",
            scores=tuple(sorted([*old, *fresh], key=lambda score: score.perturbation)),
            provenance={TABLES: kept | tables}, created="2030-01-01T00:00:00.000+00:00",
        )  # fmt: skip

    return build


def _add(url: str, names: list[str]) -> None:
    store = Store(url)
    for name in names:
        put_conditions(store, "a-task", FINGERPRINT, sweep(store, [name]))


def test_conditions_of_many_writers_are_all_there(tmp_path: Path) -> None:
    url, context = str(tmp_path), multiprocessing.get_context("fork")
    names = [[f"fog{writer}{turn}" for turn in "abc"] for writer in range(8)]
    writers = [context.Process(target=_add, args=(url, own)) for own in names]
    for process in writers:
        process.start()
    for process in writers:
        process.join(60)
    found = Store(url).find_robustness("a-task", FINGERPRINT)
    assert found is not None
    assert [score.perturbation for score in found.scores] == sorted(name for own in names for name in own)
    assert all(read_scores(Store(url), found, f"{score.perturbation}-1") is not None for score in found.scores)


def test_a_run_that_came_between_on_a_url_keeps_its_conditions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}/results")
    put_conditions(store, "a-task", FINGERPRINT, sweep(store, ["old"]))
    write, between = Store.write_robustness, iter([True])

    def late(self: Store, record: RobustnessRecord) -> None:
        if next(between, False):  # another run does all of its own after this one has read what is there
            put_conditions(store, "a-task", FINGERPRINT, sweep(store, ["theirs"], "bb"))
        write(self, record)

    monkeypatch.setattr(Store, "write_robustness", late)
    put_conditions(store, "a-task", FINGERPRINT, sweep(store, ["ours"]))
    found = store.find_robustness("a-task", FINGERPRINT)
    assert found is not None and [score.perturbation for score in found.scores] == ["old", "ours", "theirs"]
    assert [read_answers(store, found, f"{name}-1")[0].prediction for name in ("old", "ours", "theirs")] == [
        "a",
        "a",
        "bb",
    ]
    assert [each.fingerprint for each in store.read_robustness("a-task")] == [FINGERPRINT]  # parts are no records


def test_a_condition_that_is_made_anew_leaves_no_table_of_before(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for answer in ("a", "bb", "ccc"):
        put_conditions(store, "a-task", FINGERPRINT, sweep(store, ["fog"], answer))
        found = store.find_robustness("a-task", FINGERPRINT)
        assert found is not None and read_answers(store, found, "fog-1")[0].prediction == answer
    assert sorted(path.name for path in tmp_path.rglob("*.parquet")) == ["fog-1.parquet", "fog-1.parquet"]


def test_on_a_url_one_record_follows_a_failed_one_and_no_failure_follows_anything(record: Make, tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}/results")
    failed = record("a", status="failed", error="it broke", fingerprint=FINGERPRINT)
    store.write_record(failed)
    store.write_record(replace(failed, error="it broke again"))
    found = store.find_record("a-task", FINGERPRINT)
    assert found is not None and found.error == "it broke"
    stored = store.read_bytes(f"a-task/records/{FINGERPRINT}.json")
    first, second = (record("a", value, fingerprint=FINGERPRINT) for value in (0.5, 0.75))
    store.write_record(first)
    store.write_bytes(f"a-task/records/{FINGERPRINT}.json", stored)  # what a second one saw a moment before
    with pytest.raises(StoreError, match=r"immutable"):
        store.write_record(second)
    for late in (second, failed):
        with pytest.raises(StoreError, match=r"immutable"):
            store.write_record(late)
    found = store.find_record("a-task", FINGERPRINT)
    assert found is not None and found.metrics == first.metrics


def test_other_protocols_refuse_a_second_writer(tmp_path: Path) -> None:
    class Plain(MemoryFileSystem):
        protocol = "plain"

    fsspec.register_implementation("plain", Plain, clobber=True)
    store = Store(f"plain://{tmp_path.name}/results")
    with beside_other_runs(store):
        with (
            pytest.raises(StoreError, match=r"Another bench run is writing to plain://.*delete that file"),
            beside_other_runs(store),
        ):
            pass
        assert len(store.names(".writers/*.json")) == 1
    assert store.names(".writers/*.json") == []
    with beside_other_runs(store):
        pass
    for many in (f"memory://{tmp_path.name}/results", f"file://{tmp_path}"):
        with beside_other_runs(Store(many)), beside_other_runs(Store(many)):
            assert Store(many).names(".writers/*") == []

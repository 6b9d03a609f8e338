"""Eight processes fill one bucket with tables, sweeps and trainings, and some are killed: what is there is whole."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import StoreError
from harness.record import Efficiency, Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.records.conflicts import deterministic_digest, in_conflict, settle
from harness.records.sample_scores import TABLES, Scored, label_of, read_answers, read_scores, vouched, write_scores
from harness.records.shared_conditions import put_conditions
from harness.records.store import Store
from harness.records.trainings import LOG, SUMMARY, TRAINING_FILES, training_folder, upload_training
from harness.sample import Outcome, Sample
from harness.stats.resampling import MeanStatistics
from tests.harness.conftest import JOB

_WRITERS, _CELLS, _KILLED = 8, 2, 3


def scored(answer: str) -> Scored:
    samples = [Sample(str(number), Path(str(number)), None) for number in range(200)]
    outcomes = [Outcome(sample.sample_id, answer) for sample in samples]
    return Scored(samples, outcomes, {"main": MeanStatistics(np.linspace(0, 1, 200) * len(answer))})


def made_record(number: int, answer: str, tables: dict[str, str]) -> RunRecord:
    value = len(answer) / 10
    return RunRecord(
        fingerprint=f"{number:016x}", task="a-task", data="tiny", data_digest="d1", split="val", model="a",
        control=None, seed=number, status="ok", error=None, metrics={"main": Estimate(value, value, value, 200)},
        signature="main:1", efficiency=Efficiency(), device="a machine", provenance=tables, cell={},
        created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def sweep(fingerprint: str, label: str, tables: dict[str, str]) -> Any:
    """What a run makes of one condition, as a robustness run does."""

    def build(former: RobustnessRecord | None) -> RobustnessRecord:
        old = [score for score in (former.scores if former else ()) if label_of(score) != f"{label}-1"]
        kept = {label_of(score): dict(vouched(former, label_of(score))) for score in old if former}
        fresh = PerturbedScore(f"{fingerprint} {label}", label, 1, "weather", "image", "ok")
        return RobustnessRecord(
            fingerprint=fingerprint, task="a-task", data="tiny", data_digest="d1", split="val", model="a",
            control=None, seed=0, metric="main", signature="s", chance=0.0, limit=None, shortest_px=0, device="cpu",
            scores=tuple(sorted([*old, fresh], key=lambda score: score.perturbation)),
            provenance={TABLES: kept | {f"{label}-1": tables}}, created="2030-01-01T00:00:00.000+00:00",
        )  # fmt: skip

    return build


def fill(url: str, writer: int, folder: Path) -> None:
    """Do what a run does with its cells: the training, its tables, its record, and a condition of its own."""
    store = Store(url)
    training = folder / f"training-{writer}"
    training.mkdir(exist_ok=True)
    for file in TRAINING_FILES:
        (training / file).write_text(json.dumps({"run": writer}) if file == SUMMARY else str(writer) * 100_000)
    for number in range(_CELLS):
        upload_training(replace(JOB, seed=number), training, store)
        answer = "ab"[writer % 2] * (1 + writer % 2)  # half of them answer otherwise
        record = made_record(number, answer, write_scores(store, "a-task", f"{number:016x}", scored(answer), ("main",)))
        try:
            store.write_record(record)
        except StoreError:
            stands = store.find_record("a-task", record.fingerprint)
            assert stands is not None
            settle(store, "a", record, stands)
        label = f"fog{writer // 2}"  # of two of them the same one
        tables = write_scores(store, "a-task", record.fingerprint, scored(answer), ("main",), f"{label}-1")
        put_conditions(store, "a-task", record.fingerprint, sweep(record.fingerprint, label, tables))


def assert_whole(url: str, cache: Path) -> int:
    """Check that whatever a record names is there and is its own; returns how many records there are."""
    store = Store(url)
    records = store.read_records("a-task")
    for record in records:
        answers = {outcome.prediction for outcome in read_answers(store, record)}
        assert answers == {"a"} if record.metrics["main"].value == 0.1 else {"bb"}  # type: ignore[union-attr]
        assert read_scores(store, record) is not None
    for sweeps in store.read_robustness("a-task"):
        for score in sweeps.scores:
            assert len(read_answers(store, sweeps, label_of(score))) == 200
            assert read_scores(store, sweeps, label_of(score)) is not None
    for number in range(_CELLS):
        folder, finished = training_folder(replace(JOB, seed=number), store, cache)
        if finished:
            run = str(json.loads((folder / SUMMARY).read_text())["run"])
            assert {(folder / file).read_text() for file in TRAINING_FILES if file != SUMMARY} == {run * 100_000}
    return len(records)


def test_what_a_bucket_holds_is_whole_whoever_is_killed_and_the_next_run_makes_up_for_them(
    bucket: str, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")  # fsspec begins anew in a fork
    writers = [context.Process(target=fill, args=(bucket, writer, tmp_path)) for writer in range(_WRITERS)]
    for process in writers:
        process.start()
    rng, store, looks = random.Random(1), Store(bucket), 0
    to_kill = rng.sample(range(_WRITERS), _KILLED)
    deadline = time.monotonic() + 300
    while any(process.is_alive() for process in writers) and time.monotonic() < deadline:
        if store.names("a-task/records/*.json"):
            if to_kill and (pid := writers[to_kill.pop()].pid) is not None:
                os.kill(pid, signal.SIGKILL)
            assert_whole(bucket, tmp_path / f"cache-{looks}")
            looks += 1
            time.sleep(0.3)
    assert {process.exitcode for process in writers} == {0, -signal.SIGKILL}
    assert looks > 1
    before = {record.fingerprint: deterministic_digest(record) for record in store.read_records("a-task")}
    for writer, process in enumerate(writers):
        if process.exitcode:
            fill(bucket, writer, tmp_path)
    assert assert_whole(bucket, tmp_path / "cache") == _CELLS
    after = {record.fingerprint: deterministic_digest(record) for record in Store(bucket).read_records("a-task")}
    assert before.items() <= after.items(), "what stood has changed"
    assert in_conflict(store, "a-task") <= after.keys()
    for sweeps in store.read_robustness("a-task"):
        names = {score.perturbation for score in sweeps.scores}
        assert names == {f"fog{pair}" for pair in range(_WRITERS // 2)}
    assert len(store.read_robustness("a-task")) == _CELLS
    assert store.read_if_there(f"a-task/training/{JOB.fingerprint}/{LOG}") is None  # each in a folder of its sha256

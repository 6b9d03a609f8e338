"""Trainings on a URL: a reader has all files of one run, however many put theirs there and are killed meanwhile."""

from __future__ import annotations

import json
import multiprocessing
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cell import TrainingJob
from harness.errors import StoreError
from harness.records.store import Store
from harness.records.trainings import (
    CHECKPOINT,
    LOG,
    SUMMARY,
    TRAINING_FILES,
    read_log,
    training_folder,
    upload_training,
)
from tests.harness.conftest import JOB


def trained(folder: Path, run: int, size: int = 1) -> Path:
    folder.mkdir(parents=True)
    for file in TRAINING_FILES:
        content = json.dumps({"run": run}) if file == SUMMARY else str(run) * size
        (folder / file).write_text(content)
    return folder


def fetched(job: TrainingJob, store: Store, cache: Path) -> set[str]:
    """Which run each file is of."""
    folder, finished = training_folder(job, store, cache)
    assert finished
    found = {(folder / file).read_text() for file in TRAINING_FILES}
    return {str(json.loads(each)["run"]) if each.startswith("{") else each[:1] for each in found}


def test_what_comes_second_is_taken_away_and_what_came_first_is_whole(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}/results")
    for run in (1, 2, 1):
        upload_training(JOB, trained(tmp_path / f"{run}-{time.monotonic_ns()}", run), store)
    name = f"{JOB.task}/training/{JOB.fingerprint}"
    assert fetched(JOB, store, tmp_path / "cache") == {"1"}
    assert len(store.names(f"{name}/*/*")) == len(TRAINING_FILES) - 1
    assert store.names(f"{name}/*.*") == [f"{name}/{SUMMARY}"]
    assert read_log(JOB.task, JOB.fingerprint, store)[1] == b"1"
    store.remove(store.names(f"{name}/*/{LOG}")[0])
    with pytest.raises(StoreError, match=r"log\.jsonl is not there"):
        training_folder(JOB, store, tmp_path / "other")


def test_trainings_of_earlier_versions_lie_beside_their_summary(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}/results")
    name = f"{JOB.task}/training/{JOB.fingerprint}"
    assert not training_folder(JOB, store, tmp_path / "none")[1]
    for file in (CHECKPOINT, LOG, SUMMARY):
        store.write_bytes(f"{name}/{file}", b'{"run": 1}' if file == SUMMARY else b"1")
    folder, finished = training_folder(JOB, store, tmp_path / "cache")
    assert finished and (folder / CHECKPOINT).read_bytes() == b"1" == read_log(JOB.task, JOB.fingerprint, store)[1]


def _upload(url: str, run: int, folder: Path) -> None:
    for turn in range(4):
        upload_training(replace(JOB, seed=turn), folder, Store(url))


def test_no_reader_sees_files_of_two_runs(tmp_path: Path) -> None:
    url, context = f"file://{tmp_path}/results", multiprocessing.get_context("fork")
    writers = [
        context.Process(target=_upload, args=(url, run, trained(tmp_path / str(run), run, 200_000)))
        for run in range(1, 9)
    ]
    for process in writers:
        process.start()
    for process in random.Random(0).sample(writers, 3):
        process.kill()
    for process in writers:
        process.join(60)
    for turn in range(4):
        assert len(fetched(replace(JOB, seed=turn), Store(url), tmp_path / "cache")) == 1

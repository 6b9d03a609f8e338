"""Whatever one cell does, the others are done, the failure has a message, and a second run mends what it can."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

FAULTS = {
    0: ("", "ok", ""),
    1: ("nan", "failed", "The loss is nan at step 1. Lower train.learning_rate"),
    2: ("raise", "failed", "ValueError: planted"),
    3: ("killed", "failed", "ended by SIGKILL (not by this system for memory"),
    4: ("memory:5", "ok", "out of memory: going on in 4 micro-batches a step"),
    5: ("memory:0", "failed", "Out of memory at step 1 with one sample at a time"),
    6: ("predict-memory:3", "ok", "out of memory: going on with batches of 3"),
    7: ("hang", "failed", "The job made no report for 20 s (last: "),
    8: ("not-finite", "failed", "holds nan: [0.5, nan]"),
    9: ("objects", "failed", "for sample 101; wanted a list of JSON values"),
    10: ("unprintable", "failed", "half a character \\ud800, an escape \\u001b[2J and xxx"),
    11: ("no-pickle", "failed", "Unpicklable: (its message cannot be read: its __str__ raises RuntimeError)"),
    12: ("loud", "ok", "noise from elsewhere"),
}
PLANTED = f"model.outsider_fault={';'.join(fault for fault, _, _ in FAULTS.values())}"


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, bench_in: Any, captions: Path, quick: tuple[str, ...]) -> Any:
    """One run with another fault planted in each seed; its records by seed."""
    folder = tmp_path_factory.mktemp("faulty")
    bench = bench_in(folder)
    command = ("run", *quick, "--seeds", len(FAULTS), "--data", captions, "--results", folder / "r",
               "--job-timeout", 20, "--set", PLANTED)  # fmt: skip
    first = bench(*command)
    records = [json.loads(path.read_text()) for path in (folder / "r").glob("word-caption/records/*.json")]
    return first, {record["seed"]: record for record in records}, (bench, command, folder / "r")


def test_the_exit_code_says_that_something_failed_and_every_cell_is_there(faulty: Any) -> None:
    first, records, _ = faulty
    assert first.returncode == 1, first.stderr
    assert sorted(records) == list(FAULTS)
    assert "4 ok (0 found done), 9 failed, 0 skipped" in first.stdout
    assert "noise" not in first.stdout
    assert "Traceback (most" not in first.stderr


@pytest.mark.parametrize("seed", FAULTS)
def test_each_fault_has_its_status_and_message(seed: int, faulty: Any) -> None:
    first, records, _ = faulty
    _, status, message = FAULTS[seed]
    assert records[seed]["status"] == status
    assert (records[seed]["metrics"] == {}) == (status == "failed")
    if status == "failed":
        assert message in records[seed]["error"]
    assert message in first.stderr


def test_a_killed_job_was_tried_again_with_less_memory(faulty: Any) -> None:
    assert "Retrying with a quarter of the batch" in faulty[0].stderr


def test_scores_do_not_depend_on_less_memory(faulty: Any) -> None:
    metrics = [faulty[1][seed]["metrics"] for seed in (0, 4, 6, 12)]
    assert metrics[0] == metrics[1] == metrics[2] == metrics[3]
    assert faulty[1][4]["provenance"]["training"]["accumulation"] == 4
    note = "memory ran out while training: 4 micro-batches a step instead of 1"
    assert note in [found["text"] for found in faulty[1][4]["provenance"]["notes"]]
    told = [found["text"] for found in faulty[1][6]["provenance"]["notes"]]
    assert told == ["memory ran out in evaluation: batches of 3 instead of 64"]
    assert faulty[1][6]["provenance"]["evaluated_in_batches_of"] == 3
    assert not faulty[1][0]["provenance"]["notes"]


def test_a_bugs_traceback_is_kept_beside_the_record(faulty: Any) -> None:
    first, records, (_, _, results) = faulty
    kept = results / f"word-caption/failures/{records[2]['fingerprint']}.txt"
    assert "ValueError: planted" in kept.read_text()
    assert str(kept) in first.stderr
    assert not (results / f"word-caption/failures/{records[1]['fingerprint']}.txt").exists()


def test_only_failed_cells_are_tried_again(faulty: Any) -> None:
    _, records, (bench, command, results) = faulty
    good = [results / f"word-caption/records/{records[seed]['fingerprint']}.json" for seed in (0, 4, 6, 12)]
    before = [path.stat().st_mtime_ns for path in good]
    again = bench(*command)
    assert again.returncode == 1
    assert "4 ok (4 found done), 9 failed" in again.stdout
    assert [path.stat().st_mtime_ns for path in good] == before


def test_damaged_trainings_are_named_and_mended_by_deleting_them(finished: Any, tmp_path: Path) -> None:
    shutil.copytree(finished.results, tmp_path / "results")
    summaries = (tmp_path / "results").glob("word-caption/training/*/training.json")
    first_made = sorted(summaries, key=lambda path: path.stat().st_mtime_ns)[:2]  # other tests may have added more
    one, other = (path.parent for path in first_made)
    (one / "checkpoint.safetensors").write_bytes(b"\x80\x04K\x01.")
    (other / "training.json").write_text('{"checkpoint_')
    command = ("--seeds", "2", "--limit", "4", "--results", tmp_path / "results")
    broken = finished.run(*command)
    assert broken.returncode == 1
    assert f"{one / 'checkpoint.safetensors'} has sha256" in broken.stderr
    assert f"{other / 'training.json'} is not a training's summary" in broken.stderr
    assert f"Delete {one} and run again" in broken.stderr
    shutil.rmtree(one)
    shutil.rmtree(other)
    assert finished.run(*command).returncode == 0


def test_a_broken_image_is_named_or_skipped_and_counted(
    bench: Any, captions_in: Any, quick: tuple[str, ...], tmp_path: Path
) -> None:
    data = captions_in(tmp_path / "data")
    train, val = (sorted((data / f"{split}2017").iterdir()) for split in ("train", "val"))
    train[20].write_bytes(train[20].read_bytes()[:300])
    val[1].write_text("no image at all")
    command = ("run", *quick, "--model", "nearest-colour", "--data", data, "--results", tmp_path / "results")
    failed = bench(*command)
    assert failed.returncode == 1
    assert train[20].name in failed.stderr
    assert "--on-bad-sample skip" in failed.stderr
    skipped = bench(*command, "--on-bad-sample", "skip")
    assert skipped.returncode == 0, skipped.stderr
    records = [json.loads(path.read_text()) for path in (tmp_path / "results").glob("*/records/*.json")]
    (record,) = [record for record in records if record["status"] == "ok"]
    assert record["metrics"]["word-overlap"]["count"] == 11
    counted = record["provenance"]["skipped_samples"]
    assert list(counted["evaluation"]) == [str(int(val[1].stem))]
    assert counted["training"] == [str(int(train[20].stem))]


def test_predictions_that_cannot_be_scored_fail_their_cell_alone(
    bench: Any, captions: Path, quick: tuple[str, ...], tmp_path: Path
) -> None:
    run = bench("run", *quick, "--model", "nearest-colour,most-common-caption", "--data", captions,
                "--results", tmp_path / "results", "--set", "model.colour_fault=no-text")  # fmt: skip
    assert run.returncode == 1
    assert "1 ok (0 found done), 1 failed" in run.stdout
    assert "nearest-colour: failed: The predictions cannot be scored: AttributeError" in run.stdout

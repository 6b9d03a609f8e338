"""What the command's processes import, leave behind and say, whatever folder it is called from and however it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.records.store import Store

PLANTED = ("torch.py", "tasks/__init__.py", "timm.py", "numpy.py", "signal.py", "multiprocessing.py",
           "harness/__init__.py", "baselines/__init__.py", "sitecustomize.py")  # fmt: skip


def family(leader: int) -> set[psutil.Process]:
    """A process and all that it has started so far."""
    return {psutil.Process(leader), *psutil.Process(leader).children(recursive=True)}


def test_nothing_in_the_working_directory_is_imported(
    bench_in: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path
) -> None:
    """A downloaded folder may hold a torch.py; an honest one a package called tasks."""
    bench = bench_in(tmp_path / "here")
    for name in PLANTED:
        (tmp_path / "here" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "here" / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__ + '\\n')\n")
    run = bench.fresh("run", *quick, "--data", captions, "--results", tmp_path / "results")
    assert run.returncode == 0, run.stderr
    shutil.rmtree(tmp_path / "here" / "tasks")
    (tmp_path / "here" / "tasks.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    again = bench.fresh("run", *quick, "--data", captions, "--results", tmp_path / "results")
    assert "1 ok (1 found done)" in again.stdout, again.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


@pytest.mark.slow
def test_two_runs_at_once_on_one_url_both_end_well(
    bench: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path, scores: Any
) -> None:
    """A folder has a lock; a URL has none, and each of two runs finds records that the other has made meanwhile."""
    (tmp_path / "tmp").mkdir()
    both = ("run", *quick, "--seeds", 2, "--data", captions, "--results", f"file://{tmp_path / 'results'}")
    runs = [bench.start(*both, TMPDIR=str(tmp_path / "tmp")) for _ in range(2)]
    ended = [run.communicate(timeout=240) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ended
    assert all("2 ok" in out for out, _ in ended)
    assert len(scores(tmp_path / "results")) == 2
    again = bench(*both, TMPDIR=str(tmp_path / "tmp"))
    assert "2 ok (2 found done)" in again.stdout
    assert list((tmp_path / "tmp").glob("bench-*")) == []
    assert list((tmp_path / "results").rglob("*.part")) == []


@pytest.mark.slow
@pytest.mark.parametrize("place", ["folder", "s3"])
def test_two_runs_share_the_cells_of_one_store_and_one_goes_on_where_the_other_is_killed(
    bench: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path, request: pytest.FixtureRequest, place: str
) -> None:
    url = str(tmp_path / "results") if place == "folder" else request.getfixturevalue("bucket")
    slow = ("--set", "model.outsider_fault=slow", "--set", "train.steps=4", "--jobs", 1, "--seeds", 4)
    both = ("run", *quick, *slow, "--data", captions, "--results", url)
    first, second = (bench.start(*both, BENCH_CACHE=str(tmp_path / name)) for name in ("one", "other"))
    store = Store(url)
    while first.poll() is None and not store.names("word-caption/records/*.json"):
        time.sleep(0.1)
    first.kill()
    said = first.communicate()[1]
    out, told = second.communicate(timeout=240)
    said += told
    assert second.returncode == 0 and "4 ok" in out, told
    assert "another run makes it (process " in said and "CONFLICT" not in said
    records = store.read_records("word-caption")
    assert len(records) == 4
    assert store.names("word-caption/claims/*") == []
    summaries = [json.loads(store.read_bytes(name)) for name in store.names("word-caption/training/*/training.json")]
    recorded = sorted(record.provenance["training"]["seconds"] for record in records)
    assert sorted(summary["seconds"] for summary in summaries) == recorded
    again = bench(*both, BENCH_CACHE=str(tmp_path / "one"))
    assert "4 ok (4 found done)" in again.stdout


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_on_another_machine(
    bench: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path, bucket: str
) -> None:
    slow = ("--set", "model.outsider_fault=slow", "--set", "train.steps=16", "--checkpoint-every", 1)
    command = ("run", *quick, *slow, "--data", captions, "--results", bucket)
    first, store = bench.start(*command, BENCH_CACHE=str(tmp_path / "one")), Store(bucket)
    while first.poll() is None and not store.names("word-caption/training/*/resume.safetensors"):
        time.sleep(0.1)
    first.kill()
    first.communicate()
    second = bench(*command, BENCH_CACHE=str(tmp_path / "other"))
    assert "1 ok (0 found done)" in second.stdout, second.stderr
    assert "goes on from step " in second.stderr
    assert store.names("word-caption/training/*/resume.safetensors") == []


def test_ctrl_c_ends_every_process_and_blames_no_memory(
    bench: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path, processes: Any
) -> None:
    hanging = ("--set", "model.outsider_fault=hang")
    run = bench.start_fresh("run", *quick, *hanging, "--data", captions, "--results", tmp_path / "results")
    try:
        processes.wait_until(lambda: len(family(run.pid)) >= 3, 120)  # itself, the fork server, the job that hangs
        time.sleep(1)
        everyone = family(run.pid)
        os.killpg(run.pid, signal.SIGINT)
        _, told = run.communicate(timeout=30)
        processes.wait_until(lambda: not any(process.is_running() for process in everyone), 5)
    finally:
        processes.kill_group(run.pid)
    assert run.returncode == 130
    assert "bench: interrupted. Finished cells are kept" in told
    assert "memory" not in told
    assert "Retrying" not in told
    assert "Traceback" not in told


def test_the_fork_server_killed_under_a_run_does_not_end_it(
    bench: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path, processes: Any
) -> None:
    """It is the largest process, and so the first that a system without memory kills."""
    run = bench.start("run", *quick, "--seeds", 3, "--jobs", 1, "--data", captions, "--results", tmp_path / "results")
    try:
        assert any("seed 0:" in line for line in iter(run.stderr.readline, ""))
        everyone = family(run.pid)
        for process in psutil.Process(run.pid).children():
            process.kill()
        out, told = run.communicate(timeout=120)
        processes.wait_until(lambda: not any(process.is_running() for process in everyone), 5)
    finally:
        processes.kill_group(run.pid)
    assert "Aborted" not in told
    assert "Traceback" not in told
    assert (run.returncode == 0 and "3 ok" in out) or (run.returncode == 1 and "2 ok (0 found done), 1 failed" in out)
    assert bench("run", *quick, "--seeds", 3, "--data", captions, "--results", tmp_path / "results").returncode == 0


@pytest.mark.parametrize("words", [("list", "tasks"), ("lederboard",), ("leaderboard", "--results", "none")])
def test_a_process_with_its_imports_behind_it_is_as_a_new_one(words: tuple[str, ...], bench: Any) -> None:
    late = {
        "BENCH_DATA": "x",
        "KMP_INIT_AT_FORK": "FALSE",
        "AWS_DEFAULT_REGION": "x",
        "CUBLAS_WORKSPACE_CONFIG": ":16:8",
    }
    assert bench.warm.serves(bench._environment(late))
    assert not bench.warm.serves(bench._environment({"HF_HUB_OFFLINE": "1"})), "read while libraries are imported"
    warm, fresh = bench(*words), bench.fresh(*words)
    assert (warm.returncode, warm.stdout, warm.stderr) == (fresh.returncode, fresh.stdout, fresh.stderr)

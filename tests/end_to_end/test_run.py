"""A third party's task and model from a caption folder to the leaderboard, and again from where it stood."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

pytestmark = pytest.mark.slow


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_a_run_leaves_records_outcomes_and_checkpoints(finished: Any) -> None:
    records = [json.loads(path.read_text()) for path in finished.results.glob("word-caption/records/*.json")]
    assert sorted(record["seed"] for record in records) == [0, 1]
    for record in records:
        assert (record["status"], record["error"], record["model"]) == ("ok", None, "most-common-caption")
        assert record["metrics"]["never"] is None
        assert 0 < record["metrics"]["word-overlap"]["value"] < 1
        assert record["metrics"]["word-overlap"]["count"] == 12
        assert record["provenance"]["skipped_samples"] == {"training": [], "evaluation": {}}
        assert str(finished.captions) not in json.dumps(record["cell"])
        outcomes = parquet.read_table(finished.results / f"word-caption/outcomes/{record['fingerprint']}.parquet")
        assert outcomes.column_names == ["sample_id", "prediction", "word-overlap"]
        mean = sum(outcomes["word-overlap"].to_pylist()) / 12
        assert mean == pytest.approx(record["metrics"]["word-overlap"]["value"])
    assert len(list(finished.results.glob("word-caption/training/*/checkpoint.safetensors"))) == 2
    assert "asked for with --data" in finished.first.stderr
    assert "2 ok (0 found done), 0 failed, 0 skipped" in finished.first.stdout


def test_the_same_command_finds_everything_done(finished: Any) -> None:
    before, started = snapshot(finished.results), time.monotonic()
    again = finished.run("--seeds", "2")
    seconds = time.monotonic() - started
    assert again.returncode == 0
    assert "2 ok (2 found done), 0 failed, 0 skipped" in again.stdout
    assert snapshot(finished.results) == before
    assert again.stdout.splitlines()[:4] == finished.first.stdout.splitlines()[:4]
    assert seconds < 5


def test_what_is_only_scored_otherwise_is_neither_trained_nor_asked_again(finished: Any, tmp_path: Path) -> None:
    copy = shutil.copytree(finished.results, tmp_path / "results")
    shutil.rmtree(copy / "word-caption/training")
    other = finished.run("--results", copy, "--seeds", "2", "--set", "evaluate.resamples=70")
    assert "2 of 2 cells have answered before: their stored predictions are scored anew" in other.stderr
    assert "2 ok (0 found done), 0 failed, 0 skipped" in other.stdout
    assert not (copy / "word-caption/training").exists()
    records = [json.loads(path.read_text()) for path in copy.glob("word-caption/records/*.json")]
    old, new = ([r for r in records if r["cell"]["evaluate"]["resamples"] == n and not r["seed"]] for n in (50, 70))
    assert len(records) == 4 and new[0]["efficiency"] == old[0]["efficiency"]
    assert new[0]["metrics"]["word-overlap"]["value"] == old[0]["metrics"]["word-overlap"]["value"]
    assert new[0]["provenance"]["rescored"]["former"]["fingerprint"] == old[0]["fingerprint"]
    assert new[0]["provenance"]["training"] == old[0]["provenance"]["training"]


def test_every_format_of_the_leaderboard_says_the_same(finished: Any, tmp_path: Path) -> None:
    show = ("leaderboard", "--task", "word-caption", "--results", finished.results, "--format")
    (row,) = json.loads(finished.bench(*show, "json").stdout)
    assert (row["model"], row["seeds"], row["status"], row["data"]) == ("most-common-caption", 2, "ok", "tiny")
    assert f"{row['metrics']['word-overlap']['value']:.3f} [" in finished.bench(*show, "md").stdout
    finished.bench(*show, "csv", "--out", tmp_path / "new" / "table.csv")
    assert str(row["metrics"]["word-overlap"]["value"]) in (tmp_path / "new" / "table.csv").read_text()
    refused = finished.bench(*show, "csv", "--out", tmp_path / "new" / "table.csv" / "below")
    assert (refused.returncode, "Cannot write --out" in refused.stderr) == (3, True)


def test_other_settings_are_a_run_of_their_own_and_the_first_comes_back(finished: Any) -> None:
    other = finished.run("--limit", "5")
    assert "1 ok (0 found done)" in other.stdout
    assert ", 5 of 12 samples" in other.stdout
    again = finished.run("--seeds", "2")
    assert ", 12 samples" in again.stdout
    assert ", 5 of 12 samples" in again.stdout, "other settings have a table of their own"
    assert len(list(finished.results.glob("word-caption/training/*/checkpoint.safetensors"))) == 2


def test_a_results_url_works_and_is_found_again(
    bench: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path, finished: Any, scores: Callable[..., Any]
) -> None:
    command = ("run", *quick, "--data", captions, "--results", f"file://{tmp_path}/bucket/results")
    first = bench(*command)
    assert first.returncode == 0, first.stderr
    again = bench(*command)
    assert "1 ok (1 found done)" in again.stdout
    (own,) = scores(tmp_path / "bucket" / "results")
    assert own in scores(finished.results)
    assert list((tmp_path / "bucket" / "results").glob("word-caption/training/*/training.json"))


def test_two_runs_at_once_share_a_folder_and_train_a_cell_once(
    finished: Any, quick: tuple[str, ...], processes: Any, tmp_path: Path
) -> None:
    slow = ("--set", "model.outsider_fault=slow", "--set", "train.steps=12", "--results", tmp_path / "results")
    first = finished.bench.start("run", *quick, "--data", finished.captions, *slow)
    try:
        lines = iter(first.stderr.readline, "")
        assert any("training" in line for line in lines)
        packed = finished.bench("pack", tmp_path / "results")
        assert (packed.returncode, "A bench run is writing to" in packed.stderr) == (3, True)
        second = finished.run(*slow)
        out, error = first.communicate(timeout=120)
    finally:
        processes.kill_group(first.pid)
    assert (first.returncode, second.returncode) == (0, 0), error + second.stderr
    assert "CONFLICT" not in error + second.stderr
    assert {out.count("1 ok"), second.stdout.count("1 ok")} == {1}
    assert len(list(tmp_path.glob("results/word-caption/records/*.json"))) == 1
    assert "most-common-caption seed 0  training" not in second.stderr, "the second one waited for the first's"

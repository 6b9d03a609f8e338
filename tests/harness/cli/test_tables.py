"""Commands that show what is stored take every task that has records, unless some are named."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import StoreError
from harness.records.store import Store
from tests.harness.report.page.made_up import made_record, made_sweep


@pytest.fixture
def results(tmp_path: Path) -> str:
    """Records of two tasks that are installed and of one that is not."""
    store = Store(str(tmp_path / "results"))
    for task, metric in (("coco-caption", "CIDEr"), ("image-classification", "top-1"), ("elsewhere", "WER")):
        record = made_record("film", 0.5, task=task, metric=metric)
        store.write_record(record)
        store.write_robustness(made_sweep(record, metric=metric))
    return store.url


def shown(*arguments: str) -> tuple[str, str]:
    """Run a command that must end well."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


@pytest.mark.parametrize("wish", [(), ("--task", "all")])
def test_leaderboards_of_all_stored_tasks_are_one_text_or_one_document(wish: tuple[str, ...], results: str) -> None:
    text, told = shown("leaderboard", "--results", results, *wish)
    assert "coco-caption on made-up" in text
    assert "image-classification on made-up" in text
    assert "elsewhere: left out, as no plugin of this task is installed." in told
    rows = json.loads(shown("leaderboard", "--results", results, "--format", "json", *wish)[0])
    assert [row["task"] for row in rows] == ["coco-caption", "image-classification"]
    lines = list(csv.DictReader(io.StringIO(shown("leaderboard", "--results", results, "--format", "csv", *wish)[0])))
    assert [(line["CIDEr"], line["top-1"]) for line in lines] == [("0.5", ""), ("", "0.5")]


def test_named_tasks_alone_are_shown(results: str) -> None:
    text, _ = shown("leaderboard", "--results", results, "--task", "image-classification")
    assert "coco-caption" not in text


def test_robustness_and_verdicts_take_all_tasks_too(results: str) -> None:
    text, _ = shown("robustness", "--results", results)
    assert "coco-caption on made-up" in text
    assert "image-classification on made-up" in text
    text, _ = shown("verdict", "--results", results, "--model", "film", "--claim", "a")
    assert text.count("fusion raises the score") == 1  # captioning has no model film among the installed ones
    assert "image-classification" in text


def test_what_is_about_one_task_asks_which(results: str) -> None:
    done = CliRunner().invoke(app, ["robustness", "--results", results, "--reference", "film"])
    assert "Choose one with --task: coco-caption, image-classification" in str(done.exception)


def test_an_empty_folder_is_no_error(tmp_path: Path) -> None:
    assert "No records" in shown("leaderboard", "--results", str(tmp_path))[0]
    assert "No robustness records" in shown("robustness", "--results", str(tmp_path))[0]
    assert json.loads(shown("robustness", "--results", str(tmp_path), "--format", "json")[0]) == []
    assert "No fused model has a record here" in shown("verdict", "--results", str(tmp_path))[0]


@pytest.mark.parametrize("command", ["leaderboard", "robustness", "explanations", "verdict"])
def test_a_folder_that_is_not_there_is_no_empty_one(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = CliRunner().invoke(app, [command, "--results", str(tmp_path / "nope")])
    assert isinstance(done.exception, StoreError) and f"There is no folder {tmp_path}/nope" in str(done.exception)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["leaderboard"]).exit_code == 0, "before the first run"

"""Exit code 0 means that what was asked for was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
HUB = {"HF_HUB_OFFLINE": "1"}


def records_of(results: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(results.glob("*/records/*.json"))]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "hf:./not-there"),
        ("--model", "open_clip:local-dir:./not-there", "--task", "all"),
        ("--model", "most-common-caption,hf:./not-there"),
    ],
)
def test_a_misspelt_path_is_a_usage_error_before_anything_runs(
    arguments: tuple[str, ...], bench: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path
) -> None:
    run = bench("run", *quick, "--data", captions, "--results", tmp_path / "results", *arguments, **HUB)
    assert run.returncode == 2, run.stderr
    assert "not-there" in run.stderr
    assert not records_of(tmp_path / "results")


def test_a_model_asked_for_by_name_that_cannot_run_is_a_failure_and_its_reason_is_looked_up_anew(
    bench: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    command = ("run", *quick, "--task", "coco-caption", "--data", captions, "--results", results, "--model", "hf-git")
    first = bench(*command, HF_HUB_CACHE=str(tmp_path / "empty"), **HUB)
    assert first.returncode == 1
    assert "1 cell of models that were asked for by name did not run" in first.stderr
    (record,) = records_of(results)
    assert record["status"] == "skipped"
    assert "is not in the Hugging Face cache" in record["error"]
    created = record["created"]
    again = bench(*command, HF_HUB_CACHE=str(tmp_path / "empty"), **HUB)
    assert again.returncode == 1
    (record,) = records_of(results)
    assert record["created"] > created

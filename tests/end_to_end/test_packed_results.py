"""A run goes on in a packed folder as in any, and what it adds is packed beside the rest."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_a_run_goes_on_in_a_packed_folder(finished: Any, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(finished.results, results)
    here = replace(finished, results=results)
    records = len(list(results.glob("word-caption/records/*.json")))
    packed = finished.bench("pack", results)
    assert (packed.returncode, "Left as they are: word-caption/training." in packed.stdout) == (0, True), packed.stderr
    lines = (results / "word-caption" / "records.jsonl").read_text().splitlines()
    assert len(lines) - 1 == records >= 2 and not (results / "word-caption" / "records").exists()

    more = here.run("--seeds", "3")
    assert "3 ok (2 found done), 0 failed, 0 skipped" in more.stdout, more.stderr
    assert len(list(results.glob("word-caption/records/*.json"))) == 1
    assert finished.bench("pack", results).returncode == 0
    assert len((results / "word-caption" / "records.jsonl").read_text().splitlines()) == records + 2

    assert finished.bench("unpack", results).returncode == 0
    for path in finished.results.glob("word-caption/*/*.[jp]*"):
        assert (results / path.relative_to(finished.results)).read_bytes() == path.read_bytes()


def test_a_folder_that_is_not_there_is_named(bench: Any) -> None:
    for command in ("pack", "unpack"):
        done = bench(command, "nowhere")
        assert (done.returncode, "There is no folder nowhere" in done.stderr) == (3, True)

"""docs/notebook.md runs as it stands there, beside a folder of photographs and the records of this repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docs.test_pages import install_page
from tests.tasks.squares import write_squares


@pytest.mark.slow
def test_the_page_shows_what_comes_out(tmp_path: Path) -> None:
    install_page("own-model.md", tmp_path / "site")
    write_squares(tmp_path / "photos", {"train": 6, "val": 2, "test": 2})
    (tmp_path / "results").symlink_to(REPOSITORY / "results")
    place = {"BENCH_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "doctest", "-o", "NORMALIZE_WHITESPACE", str(REPOSITORY / "docs" / "notebook.md")]
    ended = subprocess.run(
        command, cwd=tmp_path, env=os.environ | place, text=True, capture_output=True, timeout=300, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", ""), "nothing is printed beside what is shown"

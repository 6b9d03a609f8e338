"""The page about results folders says what records say, and results/README.md is the one that they give now."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.tables import leaderboard_markdown
from harness.errors import StoreError
from harness.record import RunRecord
from harness.records.packing import pack
from harness.records.store import Store
from harness.report.overview import folder_part, origins, overview

REPOSITORY = Path(__file__).parents[3]
Make = Callable[..., RunRecord]


def test_origins_count_commands_and_commits(record: Make) -> None:
    def made(seed: int, **provenance: object) -> RunRecord:
        return replace(record("m", 0.5, seed=seed), provenance=provenance)

    again = {"code": {"git": "c" * 40}}
    records = [
        made(0, command="bench run --model m", git="a" * 40),
        made(1, command="bench run --model m", git="a" * 40),
        made(2, command="bench run `x`\n<b>", git="b" * 40 + "+modified", rescored=again),
        made(3),
    ]
    assert origins(records) == [
        "2 records by `bench run --model m`, commit aaaaaaa",
        "1 record by `bench run 'x' <b>`, commit bbbbbbb with changes that were not committed",
        "1 record by a command that they do not hold (an earlier version made them), of a commit that was not recorded",
        "1 record scored again by commit ccccccc",
    ]


def test_a_page_has_a_part_for_each_folder_packed_or_not(record: Make, tmp_path: Path) -> None:
    for name in ("two", "one", "local"):
        Store(str(tmp_path / name)).write_record(replace(record("m", 0.5), provenance={"command": f"bench run {name}"}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.md").write_text("")
    pack(str(tmp_path / "two"))
    page = overview(
        tmp_path, "bench overview", lambda stored: f"TABLE of {stored.task} in {Path(stored.store.url).name}"
    )
    assert "from its records by\n\n    bench overview\n" in page
    assert page.partition("## one/")[2] == (
        "\n\n### a-task\n\n- 1 record by `bench run one`, of a commit that was not recorded\n\nTABLE of a-task in one"
        "\n\n## two/"
        "\n\n### a-task\n\n- 1 record by `bench run two`, of a commit that was not recorded\n\nTABLE of a-task in two"
    )


def test_a_folder_without_results_folders_says_so(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StoreError, match=r"has no results folder in it\. Give the folder that holds them"):
            overview(root, "bench overview", lambda stored: "")


LISTED = subprocess.run(["git", "ls-files", "results"], cwd=REPOSITORY, text=True, capture_output=True, check=True)
FOLDERS = sorted({name.split("/")[1] for name in LISTED.stdout.splitlines() if name.count("/") > 1})


@pytest.mark.parametrize("name", FOLDERS)
def test_the_committed_page_is_what_the_records_give(name: str) -> None:
    page = (REPOSITORY / "results" / "README.md").read_text(encoding="utf-8")
    part = folder_part(REPOSITORY / "results" / name, leaderboard_markdown)
    remedy = "make it anew: uv run bench overview results --out results/README.md"
    assert f"\n\n{part.strip()}\n" in page, remedy


def test_the_committed_page_knows_no_other_folder() -> None:
    page = (REPOSITORY / "results" / "README.md").read_text(encoding="utf-8")
    found = [line for line in page.splitlines() if line.startswith("## ")]
    assert found == [f"## {name}/" for name in FOLDERS]

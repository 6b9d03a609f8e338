"""What tables of stored records cost per record: calls of functions are counted, which no other process can move.

A folder of twice as many records must take twice as many calls more, and not more a record than it did when the limits
were set: reading, checking, averaging and judging are done once for each.
"""

from __future__ import annotations

import cProfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.judge.select_records import select_pairs
from harness.judge.stored_rows import leaderboard_rows
from harness.judge.verdict.judge import installed_fusion, judge_stores
from harness.records.store import Store
from harness.report.page.contents import build_report
from harness.report.page.sources import ReportOptions, read_sources
from tests.benchmarks.bench_table_commands import TASK, synthetic_results

SIZES = (40, 80, 120)  # records, of 1, 2 and 3 settings
GROWTH = 1.2
"""How much more the last records may cost than those before; 1.67 where all are compared with each other."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("records")
    for size in SIZES:
        synthetic_results(root / str(size), size)
    return [root / str(size) for size in SIZES]


def calls(command: Callable[[Store], Any], folder: Path) -> int:
    profile = cProfile.Profile(builtins=False)
    profile.runcall(command, Store(str(folder)))
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize(
    ("command", "most"),
    [
        (lambda store: leaderboard_rows(TASK, store), 1950),
        (lambda store: judge_stores(TASK, [store]), 1400),
        (lambda store: build_report(read_sources([store]), ReportOptions(fusion=installed_fusion)), 4000),
        (lambda store: select_pairs("class-embedding", "class-embedding[C2]", store, None), 900),
    ],
    ids=["leaderboard", "verdict", "report", "compare"],
)
def test_a_record_more_costs_as_much_as_those_before(
    command: Callable[[Store], Any], most: int, folders: list[Path]
) -> None:
    command(Store(str(folders[0])))  # imports, plugins
    first, second, third = (calls(command, folder) for folder in folders)
    step = SIZES[1] - SIZES[0]
    assert (third - second) / (second - first) <= GROWTH
    assert (third - second) / step <= most

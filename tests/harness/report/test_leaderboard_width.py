"""The leaderboard of every task, as it stands in results/, fits 100 columns; --wide leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.judge.judged_leaderboard import judged_tables
from harness.judge.leaderboard import Row
from harness.judge.verdict.judge import installed_fusion
from harness.plan.plugins import load_task
from harness.record import Estimate
from harness.records.store import Store
from harness.report.leaderboard_tables import metric_names, render_leaderboard, slice_table
from harness.report.tables.costs import COSTS
from harness.report.tables.document import document_text

RESULTS = Path(__file__).parents[3] / "results"
TASKS = ("coco-caption", "coco-detection", "coco-segmentation", "image-classification", "zero-shot-classification")


@pytest.fixture(scope="module", params=TASKS)
def tables(request: pytest.FixtureRequest) -> tuple[list[list[Row]], list[str]]:
    metrics = load_task(request.param).metrics
    records = Store(str(RESULTS / "scenes")).read_records(request.param)
    return judged_tables(records, metrics, installed_fusion(request.param)), list(metrics)


def test_the_slice_whose_ceiling_is_known_stays_where_there_is_no_room() -> None:
    kinds = [f"kind of question {number}" for number in range(9)]
    score = Estimate(0.5, 0.4, 0.6, 9)
    ceilings = {"accuracy[yes/no]": {"text": 0.5, "both": 1.0}, "accuracy[hidden]": {"vision": 0.7}}
    names = [f"accuracy[{name}]" for name in (*kinds, "yes/no")]
    row: Any = SimpleNamespace(name="film", metrics=dict.fromkeys(names, score), ceilings=ceilings, failed_samples={})
    table = slice_table([row])
    assert table is not None
    lines = document_text([table], "text", 60).splitlines()
    assert "yes/no" in lines[0] + lines[1] and "left out for want of room" in "".join(lines)
    assert [line.split() for line in lines if line.startswith("ceiling")] == [
        ["ceiling:", "text", "0.500"], ["ceiling:", "both", "1.000"],
    ]  # fmt: skip


def test_no_line_is_longer_than_100_columns(tables: tuple[list[list[Row]], list[str]]) -> None:
    lines = render_leaderboard(*tables, "text").splitlines()
    assert len(lines) > 20
    assert max(map(len, lines)) <= 100
    first = next(line for line in lines if line.startswith("model"))
    assert {"rank", "fusion", "seeds", "p50"} <= set(" ".join(lines[lines.index(first) - 1 :][:2]).split())


def test_what_is_left_out_is_named_and_wide_shows_it(tables: tuple[list[list[Row]], list[str]]) -> None:
    rows, metrics = tables
    narrow, wide = render_leaderboard(rows, metrics, "text"), render_leaderboard(rows, metrics, "text", None)
    assert "left out for want of room (--wide shows all)" in narrow and "left out" not in wide
    titles = [name for table in rows for name in metric_names(table, metrics)]
    known = [row.efficiency for table in rows for row in table]
    titles += [cost.title for cost in COSTS if any(getattr(each, cost.name) is not None for each in known)]
    for title in titles:
        assert title in wide, title
        assert all(word in narrow for word in re.split("[ -]", title)), title  # a heading may be folded

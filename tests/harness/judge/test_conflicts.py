"""Rows that another run made otherwise are marked wherever they are shown."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness import api
from harness.judge.check.change import Limits
from harness.judge.check.run_gate import check_results, update_baseline
from harness.judge.stored_rows import leaderboard_rows
from harness.records.conflicts import settle
from harness.records.packing import unpack
from harness.records.store import Store
from harness.report.gate_tables import render_gate
from harness.report.leaderboard_tables import render_leaderboard
from harness.report.page.sources import ReportOptions
from harness.report.page.write import write_report

TASK, METRICS = "coco-caption", ("CIDEr",)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of four models, of one of which another run has left another score."""
    folder = tmp_path_factory.mktemp("results")
    shutil.copytree(Path(__file__).parents[3] / "results" / "photos" / TASK, folder / TASK)
    unpack(str(folder))
    store = Store(str(folder))
    record = store.read_records(TASK)[0]
    estimate = record.metrics["CIDEr"]
    assert estimate is not None
    other = replace(record, metrics={**record.metrics, "CIDEr": replace(estimate, value=estimate.value + 0.01)})
    assert settle(store, "a", other, record)[1]
    return folder


def test_leaderboards_mark_the_row_and_say_where_the_other_is(results: Path) -> None:
    store = Store(str(results))
    record = store.read_records(TASK)[0]
    tables = leaderboard_rows(TASK, store)
    assert [row.conflicts for rows in tables for row in rows if row.conflicts] == [(record.fingerprint,)]
    text = render_leaderboard(tables, METRICS, "md")
    assert text.count("(conflict)") == 1 and "CONFLICT" in text and f"{TASK}/conflicts" in text
    found = json.loads(render_leaderboard(tables, METRICS, "json"))
    assert sum(row["conflicts"] == [record.fingerprint] for row in found) == 1
    frame = api.leaderboard(TASK, results=str(results))
    assert frame["conflicts"].sum() == 1


def test_the_report_marks_the_row(results: Path, tmp_path: Path) -> None:
    write_report([Store(str(results))], tmp_path / "report.html", ReportOptions())
    page = (tmp_path / "report.html").read_text()
    assert page.count("CONFLICT: another run") == 1 and ">conflict<" in page


def test_the_check_names_the_row(results: Path, tmp_path: Path) -> None:
    update_baseline(tmp_path / "baseline", str(results), None)
    gate = check_results(tmp_path / "baseline", str(results), None, Limits())
    record = Store(str(results)).read_records(TASK)[0]
    assert gate.conflicts == (f"{record.model}{f'[{record.control}]' if record.control else ''}@{record.seed}",)
    assert "CONFLICT" in render_gate(gate, "text") and "CONFLICT" in render_gate(gate, "md")
    assert gate.to_json()["conflicts"] == list(gate.conflicts)

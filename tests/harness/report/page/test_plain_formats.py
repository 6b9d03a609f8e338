"""Markdown and CSV hold the numbers of the page and of the terminal."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from harness.errors import StoreError, UsageError
from harness.judge.leaderboard import build_rows
from harness.records.store import Store
from harness.report.leaderboard_tables import render_leaderboard
from harness.report.page.contents import build_report
from harness.report.page.page import render_page
from harness.report.page.plain_formats import render_csv, render_csv_files, render_markdown
from harness.report.page.sources import ReportOptions, Sources
from harness.report.page.write import write_report

from .made_up import made_record, made_records, made_sweep

METRICS = ("top-1", "macro-F1", "ECE", "ECE-null")
OPTIONS = ReportOptions(metrics={"image-classification": METRICS})


@pytest.fixture(scope="module")
def sources() -> Sources:
    records = made_records()
    return Sources(tuple(records), tuple(made_sweep(r) for r in records if r.status == "ok" and not r.control))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_scores_and_costs_are_those_of_the_terminal(sources: Sources) -> None:
    tables = build_rows(sources.records, METRICS)
    terminal = render_leaderboard(tables, METRICS, "md")
    ours = render_markdown(build_report(sources, OPTIONS))
    page = render_page(build_report(sources, OPTIONS))
    lines = [line for line in terminal.splitlines() if line.startswith("| fused-b |")]
    cells = [cell.strip() for line in lines for cell in line.strip("|").split("|")]
    own = [cell.strip() for line in ours.splitlines() if line.startswith("| fused-b |") for cell in line.split("|")]
    assert len(cells) > 12
    for cell in cells:
        assert cell in own or any(each.startswith(f"{cell} [") for each in own), cell
        assert cell.partition(" [")[0] in page


def test_csv_keeps_every_digit_and_its_sources(sources: Sources) -> None:
    found = rows(render_csv(build_report(sources, OPTIONS)))
    (top,) = [
        r for r in found if (r["table"], r["row"], r["column"]) == ("leaderboard", "fused-b", "top-1")
    ]  # fmt: skip
    record = next(r for r in sources.records if r.model == "fused-b")
    estimate = record.metrics["top-1"]
    assert estimate is not None
    assert (float(top["value"]), float(top["low"]), float(top["high"])) == (estimate.value, estimate.low, estimate.high)
    assert (top["count"], top["fingerprints"]) == ("978", record.fingerprint)
    (p50,) = [r for r in found if (r["row"], r["column"]) == ("fused-b", "p50 latency (seconds)")]
    assert float(p50["value"]) == record.efficiency.latency_p50_seconds
    (gap,) = [r for r in found if (r["table"], r["row"], r["column"]) == ("ladder", "fused-a [C3]", "F − Ci")]
    assert float(gap["value"]) == pytest.approx(0.2)
    assert len(gap["fingerprints"].split()) == 2


def test_a_folder_gets_a_file_for_each_table(sources: Sources, tmp_path: Path) -> None:
    write_report(sources, tmp_path / "tables", OPTIONS)
    names = sorted(path.name for path in (tmp_path / "tables").iterdir())
    assert names == sorted(render_csv_files(build_report(sources, OPTIONS)))
    assert names[0] == "image-classification-1-01-leaderboard.csv"
    first = rows((tmp_path / "tables" / names[0]).read_text())[0]
    assert (first["model"], first["top-1"], first["top-1 low"]) == ("fused-a", "0.55", "0.52")
    heat = rows(next((tmp_path / "tables").glob("*-heat.csv")).read_text())
    assert heat[0]["model"] == "fused-a"
    assert float(heat[0]["fog"]) < float(heat[0]["clean"])


def test_text_from_outside_is_neither_markup_nor_a_formula() -> None:
    names = ("=HYPERLINK(1)", "a|b\n# heading", "<b>x</b>", "@x", "+1+1", "`code`")
    report = build_report(Sources(tuple(made_record(name, 0.5) for name in names)), OPTIONS)
    markdown = render_markdown(report)
    assert "<b>" not in markdown
    assert "\n# heading" not in markdown
    table = [line for line in markdown.splitlines() if line.startswith("| a")]
    assert all("a\\|b # heading" in line for line in table)
    for row in rows(render_csv(report)):
        assert row["row"][:1] not in ("=", "@", "+")


@pytest.mark.parametrize("name", ["x.html", "x.md", "x.csv", "folder"])
def test_the_suffix_chooses(name: str, sources: Sources, tmp_path: Path) -> None:
    write_report(sources, tmp_path / "new" / name, OPTIONS)
    assert (tmp_path / "new" / name).exists()
    write_report(sources, tmp_path / "new" / name, OPTIONS)


def test_errors_say_what_to_do(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown suffix '\.pdf'. Take \.html"):
        write_report(sources, tmp_path / "x.pdf", OPTIONS)
    with pytest.raises(StoreError, match="No records"):
        write_report([Store(str(tmp_path / "nothing"))], tmp_path / "x.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Cannot write --out"):
        write_report(sources, tmp_path / "file" / "x.html", OPTIONS)
    with pytest.raises(StoreError, match="No records of these tasks"):
        write_report(sources, tmp_path / "x.html", ReportOptions(tasks=("other",)))

"""Whatever a name holds, nothing that a terminal, a page or a spreadsheet would obey comes out of any writer."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.progress import ConsoleReporter
from harness.judge.check.change import Limits
from harness.judge.check.gate import run_gate
from harness.judge.check.measured import Latency, Measured, MeasuredSubject
from harness.judge.compare.comparison import Comparison
from harness.judge.leaderboard import build_rows
from harness.judge.robustness.summary import summaries
from harness.judge.select_records import Chosen
from harness.judge.verdict.verdict import ClaimScope, Judged, Number, Verdict
from harness.record import Efficiency, Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.records.store import Store
from harness.report.comparison_tables import render_comparison
from harness.report.gate_tables import render_gate
from harness.report.leaderboard_tables import render_leaderboard
from harness.report.page.contents import build_report
from harness.report.page.plain_formats import render_csv, render_csv_files, render_markdown
from harness.report.page.sources import ReportOptions, Sources
from harness.report.robustness_tables import ROBUSTNESS_STYLES, render_conditions, render_summary
from harness.report.verdict_tables import render_verdict
from harness.stats.sample_scores import SampleScores
from harness.text.outside_text import csv_cell, markdown_text, one_line, visible

EVIL = (
    "\x1b[2J\x1b]0;owned\x07", "=cmd|'/C calc'!A0", "<script>alert(1)</script>", "a|b\r\n# heading", "\u202egnp.exe",
    "![x](http://a/b.png)", "[x]: http://a", "\ud800", "\x9b31m", "+1+1", "@SUM(A1)", "-1+cmd", "\t=1", "\x7f",
    "\ufffe", "`code`", "a\\", "--- ", "&lt;script&gt;", "\u2028x", "caf\udce9.png",
)  # fmt: skip
ANY = st.text(st.characters(exclude_categories=()), min_size=1, max_size=12) | st.sampled_from(EVIL)


def acts(text: str) -> str:
    """What a terminal would obey or nobody could see, by Unicode's own categories."""
    kept = "\n\t\u200c\u200d\u00ad"  # joiners within emoji and Persian words, the hyphen of a line's end
    marks = {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}
    obeyed = (c for c in text if unicodedata.category(c) in ("Cc", "Cs") or unicodedata.bidirectional(c) in marks)
    return "".join(c for c in obeyed if c not in kept)


@given(ANY)
def test_no_control_character_is_left_and_nothing_else_is_changed(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert acts(shown) == "" and acts(one_line(text)) == "" and len(one_line(text).splitlines()) <= 1
    assert visible(shown) == shown
    plain = text.replace("\r\n", "\n")
    if plain.isascii() and not acts(plain):
        assert shown == plain


def test_words_of_all_languages_and_emoji_stay() -> None:
    for text in ("naïve café", "猫と犬", "שלום", "می‌خواهم", "👩‍👩‍👧", "−0.5 ± 0.1 – 95 %", "a\tb\nc"):
        assert visible(text) == text
    assert visible("\x1b[0m\udce9") == "\\u001b[0m\\udce9"


@given(st.dictionaries(ANY, ANY))
def test_an_escaped_document_of_json_is_the_same_document(content: dict[str, str]) -> None:
    for ascii_only in (True, False):
        written = visible(json.dumps(content, ensure_ascii=ascii_only))
        if ascii_only:
            assert json.loads(written) == content
        assert acts(written) == ""


@given(ANY)
def test_no_cell_is_a_formula(text: str) -> None:
    cell = str(csv_cell(text))
    assert not re.match(r"\s*[=@+\-\uff1d\uff20\uff0b\uff0d]", cell) or float(cell) is not None
    assert (csv_cell(-0.5), csv_cell(None), csv_cell(True), csv_cell("-0.5")) == (-0.5, None, True, "-0.5")


@given(ANY)
def test_markdown_text_brings_no_markup(text: str) -> None:
    marked = markdown_text(text)
    assert not re.search(r"<|>|(?<!\\)[|`*]|\]\(|\]:", marked.replace("\\\\", ""))
    assert "\n" not in marked


def made(name: str, seed: int = 0, control: str | None = None, value: float = 0.5) -> RunRecord:
    estimate = Estimate(value, value - 0.1, value + 0.1, 48)
    cell = {"training": {"model": name, "seed": seed, "train": {}, "data": {}, "versions": {}}, "evaluate": {}}
    return RunRecord(
        fingerprint=f"{abs(hash((name, seed, control))):016x}"[:16], task="image-classification", data=name,
        data_digest=name * 20, split=name, model=name, control=control, seed=seed, status="ok", error=None,
        metrics={"top-1": estimate, f"top-1:{name}": estimate}, signature=name, efficiency=Efficiency(latency_runs=3),
        device=name, provenance={}, cell=cell, created="2026-01-01",
    )  # fmt: skip


def failed(name: str) -> RunRecord:
    return replace(made("x" + name), status="failed", error=name, metrics={}, signature=None)


def perturbed(name: str) -> RobustnessRecord:
    estimate = Estimate(0.5, 0.4, 0.6, 48)
    clean = PerturbedScore("c", "clean", 0, "clean", "image", "ok", None, {"top-1": estimate})
    scores = (clean, PerturbedScore("f", name, 1, name, "image", "failed", name))
    return RobustnessRecord(
        fingerprint="f", task="t", data=name, data_digest=name, split=name, model=name, control=None, seed=0,
        metric="top-1", signature=name, chance=0.1, limit=None, shortest_px=224, device=name, scores=scores,
        provenance={}, created="2026-01-01",
    )  # fmt: skip


def measured(name: str) -> Measured:
    score, ids = Estimate(0.5, 0.4, 0.6, 4), ("a", "b", "c", "d")
    return Measured(
        subject=MeasuredSubject(name, name, name, name, ""), seed=0, fingerprint=name, status="ok", data_digest=name,
        signature=name, machine=name, metric=name, score=score, latency=Latency(2.0, (2.0, 2.1), 1), memory_bytes=10**9,
        conditions={}, scores={"": SampleScores(ids, ids, {name: np.array([1.0, 0.0, 1.0, 0.0])})},
    )  # fmt: skip


def documents(name: str) -> dict[str, str]:
    """Everything that shows stored records, of records that call all things by this name."""
    rows = build_rows([made(name), failed(name)], ("top-1",))
    chosen = Chosen(name, Store("x"), (made(name),))
    told = Comparison(chosen, chosen, name, True, ((0, 0),), 60, (), {name: name}, (), (), (name,))
    robust = summaries([perturbed(name)], [])
    verdict = Verdict(
        "fusion-gain", name, "inconclusive", name, (Number(name, 0.5, note=name), Number(name, 0.5)), (name,)
    )
    judged = Judged(ClaimScope("t", name, name, name, name, None, name, 9), (verdict, replace(verdict, model="other")))
    gate = run_gate([measured(name)], [measured("x" + name)], Limits())
    report = build_report(Sources((made(name), failed(name))), ReportOptions())
    found = {
        f"leaderboard.{style}": render_leaderboard(rows, ("top-1",), style) for style in ("text", "md", "csv", "json")
    }
    found |= {f"compare.{style}": render_comparison([told], style) for style in ("text", "md", "json")}
    found |= {f"robustness.{style}": render_summary(robust, style) for style in ROBUSTNESS_STYLES}
    found |= {f"conditions.{style}": render_conditions(robust, style) for style in ROBUSTNESS_STYLES} | {
        "long.csv": render_conditions(robust, "csv")
    }
    found |= {f"verdict.{style}": render_verdict([judged], style) for style in ("text", "md", "json")}
    found |= {f"check.{style}": render_gate(gate, style) for style in ("text", "md", "json", "junit")}
    found |= {"report.md": render_markdown(report), "report.csv": render_csv(report)}
    found |= {f"table{n}.csv": text for n, text in enumerate(render_csv_files(report).values())}
    return found


@pytest.mark.parametrize("name", EVIL)
def test_no_writer_lets_a_name_act(name: str) -> None:
    for place, text in documents(name).items():
        kind = place.rpartition(".")[2]
        assert acts(visible(text) if kind in ("text", "json") else text) == "", place
        if kind == "md":
            assert "<script" not in text and "](http" not in text and "\n# heading" not in text, place
        if kind == "csv":
            for row in csv.reader(io.StringIO(text)):
                for cell in row:
                    assert not cell.lstrip().startswith(("=", "@", "+")) and not re.match(r"-[^\d]|-1\+", cell), place
        if kind == "json":
            json.loads(visible(text))
        if kind == "junit":
            ElementTree.fromstring(text)


def test_the_terminal_gets_no_line_that_a_name_made(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    reporter = ConsoleReporter("top-1", stream=stream)
    for name in EVIL:
        reporter.say(f"Data: {name}")
        reporter.progress(name, 1, 2)
        reporter.finish(made(name))
        reporter.finish(failed(name))
    assert acts(stream.getvalue()) == ""


def test_errors_quote_names_without_obeying_them(bench: Any, captions: Path) -> None:
    name = "\x1b[2J\u202e"
    run = bench("run", "--task", f"coco{name}")
    assert "bench: Unknown task 'coco\\u001b[2J\\u202e'" in run.stderr and run.returncode == 2
    run = bench("run", "--data", captions, "--model", "retrieval", "--split", name)
    assert acts(run.stdout + run.stderr) == "" and run.returncode == 2

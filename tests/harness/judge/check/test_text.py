"""What a gate looks like: in the terminal, as Markdown, JSON and JUnit."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from harness.judge.check.change import Limits
from harness.judge.check.gate import run_gate
from harness.judge.check.measured import Latency
from harness.report.gate_tables import render_gate

NASTY = "a<b>&|\"c'\x07"
ROW_KEYS = {
    "task", "label", "kind", "measure", "before", "now", "loss", "low", "high", "p", "note", "missing", "alike",
    "outcome", "adjusted_p",
}  # fmt: skip


@pytest.fixture
def gate(measured):
    """Of each outcome at least one row: NASTY regressed, slow slower, gone missing, fast improved, far away."""
    right, wrong = [1, 0] * 100, [0, 0] * 40 + [1, 0] * 60
    before = [measured(NASTY, right), measured("slow", right), measured("gone", right), measured("fast", wrong)]
    slow = measured("slow", right, latency=Latency(3.0, (3.0,) * 10, 1))
    now = [measured(NASTY, wrong), slow, measured("fast", right), measured("<new>", right)]
    far = measured("far", right), measured("far", right, machine="another")
    return run_gate([*before, far[0]], [*now, far[1]], Limits())


def test_junit_counts_and_kinds(gate):
    suite = ElementTree.fromstring(render_gate(gate, "junit"))
    cases = suite.findall("testcase")
    counts = {tag: len(suite.findall(f"testcase/{tag}")) for tag in ("failure", "error", "skipped")}
    assert (suite.tag, suite.get("name")) == ("testsuite", "bench check")
    assert counts == {"failure": 2, "error": 1, "skipped": 2}
    assert {
        "tests": str(len(cases)), "failures": "2", "errors": "1", "skipped": "2",
    } == {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}  # fmt: skip
    assert len(cases) == len(gate.rows) == 13
    assert {case.get("classname") for case in cases} == {"image-classification"}


def test_junit_names_and_messages(gate):
    suite = ElementTree.fromstring(render_gate(gate, "junit"))
    failures = {case.get("name"): case.find("failure") for case in suite.findall("testcase[failure]")}
    assert set(failures) == {"a<b>&|\"c'\\u0007: accuracy (top-1)", "slow: latency (latency / calibration)"}
    message = failures["a<b>&|\"c'\\u0007: accuracy (top-1)"].get("message")
    assert message.startswith("regressed: 0.500 -> 0.300, -0.200, [-0.2")
    error = suite.find("testcase/error")
    assert error.get("message") == "missing: it has no record now"


def test_markdown_table(gate):
    text = render_gate(gate, "md")
    lines = text.splitlines()
    assert lines[0] == "### bench check: regressed (2 regressed, 1 missing, 1 improved, 2 inconclusive, 7 unchanged)"
    (regressed,) = [line for line in lines if line.startswith("| regressed") and "a&lt;b&gt;&amp;\\|" in line]
    assert "<b>" not in text
    assert regressed.replace("\\|", "").count("|") == 11
    assert "<details><summary>7 unchanged</summary>" in text
    assert "not in the baseline: image-classification, &lt;new&gt;" in text
    assert "| regressed | image-classification | slow | latency / calibration | 2 | 3 | +50.0% |" in text


def test_intervals_hold_their_change_and_rise(gate):
    for line in render_gate(gate, "text").splitlines():
        if "[" in line and "a machine" not in line:
            low, high = (float(end.rstrip("%")) for end in line.split("[")[1].split("]")[0].split(", "))
            value = float(line.split("[")[0].split()[-1].rstrip("%"))
            assert low <= value <= high


def test_terminal_shows_what_changed_first_and_the_verdict_last(gate):
    lines = render_gate(gate, "text", None).splitlines()
    assert lines[0].split()[:4] == ["outcome", "task", "model", "measure"]
    shown = [line.split()[0] for line in lines[2:8]]
    assert shown == ["regressed", "regressed", "missing", "improved", "inconclusive", "inconclusive"]
    assert lines[-1].startswith("bench check: regressed (")


def test_json_keys(gate):
    content = json.loads(render_gate(gate, "json"))
    assert set(content) == {"exit_code", "counts", "new", "other_settings", "conflicts", "rows"}
    assert content["counts"] == {"regressed": 2, "missing": 1, "improved": 1, "inconclusive": 2, "unchanged": 7}
    assert all(set(row) == ROW_KEYS for row in content["rows"])
    assert content["exit_code"] == 1


def test_files_are_written_by_their_ending(run_in, check, tmp_path):
    run_in("before").add("a", [1, 0] * 20)
    check("base", "before", "--update")
    outs = [tmp_path / "out" / name for name in ("summary.md", "check.xml", "check.json", "check.txt")]
    checked = check("base", "before", *(word for out in outs for word in ("--out", out)))
    assert checked.code == 0
    summary, junit, data, plain = (out.read_text() for out in outs)
    assert summary.startswith("### bench check: fine (3 unchanged)")
    assert ElementTree.fromstring(junit).get("tests") == "3"
    assert json.loads(data)["counts"]["unchanged"] == 3
    assert plain == checked.text == "bench check: fine (3 unchanged)\n"

"""The gate's outcome for a reader: a table in the terminal, Markdown for a job's summary, JSON, JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from harness.errors import UsageError
from harness.judge.check.change import (  # fmt: skip
    IMPROVED,
    INCONCLUSIVE,
    LATENCY,
    MEMORY,
    MISSING,
    REGRESSED,
    UNCHANGED,
    Change,
    Judged,
)
from harness.judge.check.gate import FINE, WORSE, Gate
from harness.report.table_text import aligned, markdown
from harness.text.outside_text import markdown_text, one_line

STYLES = ("text", "md", "json", "junit")
_WORDS = (REGRESSED, MISSING, IMPROVED, INCONCLUSIVE, UNCHANGED)
_HEADING = ["outcome", "task", "model", "measure", "before", "now", "change", "95 % interval", "p adjusted", "note"]


def render_gate(gate: Gate, style: str) -> str:
    """Render in one of STYLES."""
    if style == "json":
        return json.dumps(gate.to_json(), indent=1, allow_nan=False)
    if style == "junit":
        return _junit(gate)
    return _markdown(gate) if style == "md" else _text(gate)


def style_of(path: Path) -> str:
    """Say in which style a file of this name is written; raises UsageError for other endings."""
    styles = {".md": "md", ".json": "json", ".xml": "junit", ".txt": "text"}
    if path.suffix not in styles:
        raise UsageError(f"--out {path}: unknown ending '{path.suffix}'. Take one of {', '.join(styles)}.")
    return styles[path.suffix]


def headline(gate: Gate) -> str:
    """Say in one line how it went."""
    counts = ", ".join(f"{gate.count(word)} {word}" for word in _WORDS if gate.count(word))
    verdict = {FINE: "fine", WORSE: "regressed"}.get(gate.exit_code, "not measured")
    return f"bench check: {verdict} ({counts or 'no rows'})"


def _text(gate: Gate) -> str:
    shown = [row for row in gate.rows if row.outcome != UNCHANGED]
    table = aligned([_HEADING, *map(_cells, shown)]) + "\n\n" if shown else ""
    return f"{table}{_notes(gate)}{headline(gate)}"


def _markdown(gate: Gate) -> str:
    changed = [row for row in gate.rows if row.outcome != UNCHANGED]
    same = [row for row in gate.rows if row.outcome == UNCHANGED]
    parts = [f"### {headline(gate)}"]
    if changed:
        parts.append(markdown([_HEADING, *map(_cells, changed)]))
    if same:
        table = markdown([_HEADING, *map(_cells, same)])
        parts.append(f"<details><summary>{len(same)} unchanged</summary>\n\n{table}\n\n</details>")
    if _notes(gate):
        parts.append("\n".join(markdown_text(line) for line in _notes(gate).splitlines()))
    return "\n\n".join(parts)


def _notes(gate: Gate) -> str:
    lines = []
    if gate.new:
        lines.append(f"not in the baseline: {'; '.join(gate.new)}")
    if gate.other_settings:
        lines.append(f"with other settings than the baseline's: {'; '.join(gate.other_settings)}")
    if gate.count(IMPROVED) or gate.new or gate.other_settings:
        lines.append("'bench check BASELINE --update' writes a new baseline")
    return "".join(f"{one_line(line)}\n" for line in lines)


def _cells(row: Judged) -> list[str]:
    change = row.change
    share = change.kind in (LATENCY, MEMORY)
    return [
        row.outcome,
        change.task,
        change.label,
        change.measure,
        _value(change.before, share),
        _value(change.now, share),
        _signed(change.loss, share),
        _interval(change, share),
        "" if row.adjusted_p is None else f"{row.adjusted_p:.2g}",
        change.note,
    ]


def _interval(change: Change, share: bool) -> str:
    ends = [_signed(end, share) for end in (change.low, change.high)]
    return f"[{', '.join(ends if share else reversed(ends))}]" if all(ends) else ""


def _value(value: float | None, share: bool) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if share else f"{value:.3f}"


def _signed(loss: float | None, share: bool) -> str:
    """A loss as the change that the reader sees: a score falls by it, a cost grows by it."""
    if loss is None:
        return ""
    return f"{loss:+.1%}" if share else f"{-loss:+.3f}"


def _junit(gate: Gate) -> str:
    """One test case a row: regressed is a failure, missing an error, inconclusive skipped."""
    suite = ElementTree.Element(
        "testsuite",
        name="bench check",
        tests=str(len(gate.rows)),
        failures=str(gate.count(REGRESSED)),
        errors=str(gate.count(MISSING)),
        skipped=str(gate.count(INCONCLUSIVE)),
    )
    tags = {REGRESSED: "failure", MISSING: "error", INCONCLUSIVE: "skipped"}
    for row in gate.rows:
        name = f"{row.change.label}: {row.change.kind} ({row.change.measure})"
        case = ElementTree.SubElement(suite, "testcase", classname=one_line(row.change.task), name=one_line(name))
        if row.outcome in tags:
            message = one_line(f"{row.outcome}: {_sentence(row)}")
            ElementTree.SubElement(case, tags[row.outcome], message=message)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _sentence(row: Judged) -> str:
    _, _, _, _, before, now, change, interval, p, note = _cells(row)
    numbers: Sequence[str] = [f"{before} -> {now}", change, interval, f"p adjusted {p}"] if change else []
    return ", ".join(part for part in [*numbers, note] if part)

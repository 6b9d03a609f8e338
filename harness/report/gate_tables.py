"""The gate's outcome for a reader: a table in the terminal, Markdown for a job's summary, JSON, JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from harness.errors import UsageError
from harness.judge.check.change import (
    IMPROVED,
    INCONCLUSIVE,
    LATENCY,
    MEMORY,
    MISSING,
    REGRESSED,
    UNCHANGED,
    Change,
    JudgedChange,
)  # fmt: skip
from harness.judge.check.gate import FINE, WORSE, Gate
from harness.report.tables.document import Block, Notes, document_text, markdown_table
from harness.report.tables.layout import PIPE_WIDTH
from harness.report.tables.table import ALWAYS, Table, TableCell, TableColumn, TableRow, name_column, text_column
from harness.report.tables.values import json_text
from harness.text.outside_text import markdown_text, one_line

GATE_STYLES = ("text", "md", "json", "junit")
_WORDS = (REGRESSED, MISSING, IMPROVED, INCONCLUSIVE, UNCHANGED)
_COLUMNS = (
    text_column("outcome", importance=ALWAYS),
    text_column("task", importance=80, least=14),
    name_column("model"),
    text_column("measure", importance=ALWAYS, least=12),
    TableColumn("before", importance=75),
    TableColumn("now", importance=75),
    TableColumn("change", importance=ALWAYS),
    TableColumn("interval", "95 % interval", importance=70),
    TableColumn("p adjusted", importance=60),
    text_column("note", importance=ALWAYS, least=24),
)


def render_gate(gate: Gate, style: str, width: int | None = PIPE_WIDTH) -> str:
    """Render in one of GATE_STYLES."""
    if style == "json":
        return json_text(gate.to_json())
    if style == "junit":
        return _junit(gate)
    return _markdown(gate) if style == "md" else document_text(gate_document(gate), "text", width)


def gate_document(gate: Gate) -> list[Block]:
    """What changed, what is new, and last the verdict."""
    changed = [row for row in gate.rows if row.outcome != UNCHANGED]
    return [*([gate_table(changed)] if changed else []), Notes((*_notes(gate), headline(gate)))]


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


def gate_table(rows: Sequence[JudgedChange]) -> Table:
    """A row for each number that was compared; what changed is a score's points, a cost's share."""
    return Table("check", "Changes", _COLUMNS, tuple(map(_row, rows)))


def _row(row: JudgedChange) -> TableRow:
    change = row.change
    share = change.kind in (LATENCY, MEMORY)
    moved = change.loss if change.loss is None or share else -change.loss
    texts = (row.outcome, change.task, change.label, change.measure)
    p = row.adjusted_p
    cells = (
        *map(TableCell, texts),
        *(TableCell(value, word=_value(value, share)) for value in (change.before, change.now)),
        TableCell(moved, word=_signed(change.loss, share)),
        TableCell(_interval(change, share)),
        TableCell(p, word="" if p is None else f"{p:.2g}"),
        TableCell(change.note),
    )
    return TableRow(cells, key=change.label)


def _markdown(gate: Gate) -> str:
    changed = [row for row in gate.rows if row.outcome != UNCHANGED]
    same = [row for row in gate.rows if row.outcome == UNCHANGED]
    parts = [f"### {headline(gate)}"]
    if changed:
        parts.append(markdown_table(gate_table(changed)))
    if same:
        table = markdown_table(gate_table(same))
        parts.append(f"<details><summary>{len(same)} unchanged</summary>\n\n{table}\n\n</details>")
    if notes := _notes(gate):
        parts.append("\n".join(map(markdown_text, notes)))
    return "\n\n".join(parts)


def _notes(gate: Gate) -> list[str]:
    lines = []
    if gate.conflicts:
        lines.append(f"CONFLICT: another run made these with other answers or scores: {'; '.join(gate.conflicts)}")
    if gate.new:
        lines.append(f"not in the baseline: {'; '.join(gate.new)}")
    if gate.other_settings:
        lines.append(f"with other settings than the baseline's: {'; '.join(gate.other_settings)}")
    if gate.count(IMPROVED) or gate.new or gate.other_settings:
        lines.append("'bench check BASELINE --update' writes a new baseline")
    return lines


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


def _sentence(row: JudgedChange) -> str:
    before, now, change, interval, p, note = gate_table([row]).texts()[1][4:]
    numbers: Sequence[str] = [f"{before} -> {now}", change, interval, f"p adjusted {p}"] if change else []
    return ", ".join(part for part in [*numbers, note] if part)

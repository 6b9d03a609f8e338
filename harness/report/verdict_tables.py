"""Verdicts -> a table of claims and models with what decides each, and one of the numbers behind them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from harness.errors import UsageError, nearest
from harness.judge.verdict.needs import LEAST_SEEDS
from harness.judge.verdict.verdict import CLAIMS, Judged, Verdict
from harness.report.tables.document import Block, Heading, Notes, document_text
from harness.report.tables.layout import PIPE_WIDTH
from harness.report.tables.table import (
    ALWAYS,
    VALUE_ONLY,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    text_column,
)
from harness.report.tables.values import json_text
from harness.report.tuning_table import tuning_table

VERDICT_STYLES = ("text", "md", "json")
_METHOD = (
    "[F: the fused model; C0 to C6: its matched controls; "
    f"95 % intervals over seeds and test samples; no verdict below {LEAST_SEEDS} seeds; Holm over the comparisons of "
    "a verdict; each verdict stands for itself]"
)
_MODEL = "{model}"
_ALL = "all models"
_NOTHING = (
    "No fused model has a record here. Run 'bench run --controls --seeds 5' first, or name folders with --results."
)

_UNTRAINED = (
    "Records are of {names}: evaluated as they are, so that no controls were trained beside them and no claim is made. "
    "'bench compare {first} {first}[C5]' says how much one owes to the image."
)


def render_verdict(judged: Sequence[Judged], style: str = "text", width: int | None = PIPE_WIDTH) -> str:
    """Draw two tables for each table of comparable records; raises UsageError for an unknown style."""
    if style not in VERDICT_STYLES:
        raise UsageError(f"--format: unknown value '{style}'. {nearest(style, VERDICT_STYLES)}")
    if style == "json":
        return json_text([verdict for table in judged for verdict in table.to_json()])
    return document_text(verdict_document(judged), style, width)


def verdict_document(judged: Sequence[Judged], recorded: Collection[str] = ()) -> list[Block]:
    """Give each table of records its verdicts, the numbers behind them, and what is missing.

    `recorded` are the models that have a record: where none can be judged, those are named that are never trained here.
    """
    blocks: list[Block] = []
    for table in judged:
        blocks += [Heading(table.scope.title), verdict_table(table.verdicts)]
        if any(verdict.numbers for verdict in table.verdicts):
            blocks.append(verdict_number_table(table.verdicts))
            blocks += [tuned] if (tuned := tuning_table(table.verdicts)) else []
        missing = Notes((*table.choices, *_missing(table.verdicts)), fold=False)
        blocks += [missing, Notes((_METHOD,))]
    return blocks or [_NOTHING, *_of_untrained(recorded)]


def _of_untrained(recorded: Collection[str]) -> list[Block]:
    names = sorted(name for name in recorded if ":" in name)
    return [Notes((_UNTRAINED.format(names=", ".join(names), first=names[0]),))] if names else []


def merged(verdicts: Sequence[Verdict]) -> list[tuple[Verdict, tuple[str, ...]]]:
    """Take verdicts together that say the same of several models, in the order of the claims."""
    found: dict[tuple[str, str, str], tuple[Verdict, list[str]]] = {}
    for verdict in verdicts:
        _, names = found.setdefault((verdict.claim, verdict.outcome, verdict.reason), (verdict, []))
        names.append(verdict.model or _ALL)
    return [(verdict, tuple(names)) for verdict, names in found.values()]


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """A row for each claim, outcome and reason, with the models that it holds for."""
    columns = (
        replace(text_column("claim", importance=ALWAYS, least=20), once=True), name_column("model"),
        text_column("verdict", importance=ALWAYS), text_column("decided by", importance=ALWAYS, least=24),
    )  # fmt: skip
    rows = [
        TableRow(
            (
                TableCell(f"{verdict.claim}: {CLAIMS[verdict.claim].title}"),
                TableCell(", ".join(names)),
                TableCell(verdict.outcome, word=verdict.mark),
                TableCell(verdict.reason),
            )
        )
        for verdict, names in merged(verdicts)
    ]
    return Table("verdicts", "Verdicts", columns, tuple(rows))


def verdict_number_table(verdicts: Sequence[Verdict]) -> Table:
    """A row for each number behind a verdict, and how it was made."""
    columns = (
        text_column("claim", importance=ALWAYS), replace(name_column("model"), once=True),
        text_column("number", importance=ALWAYS),
        text_column("how", importance=ALWAYS, least=24),
        *(TableColumn(name, importance=VALUE_ONLY) for name in ("value", "low", "high")),
    )  # fmt: skip
    rows = []
    for verdict in verdicts:
        for number in verdict.numbers:
            texts = _texts(verdict.claim, verdict.model or _ALL).cells
            told = (TableCell(number.name, word=number.shown), TableCell(number.note))
            rows.append(TableRow((*texts, *told, *map(TableCell, (number.value, number.low, number.high)))))
    return Table("verdict-numbers", "Numbers behind the verdicts", columns, tuple(rows))


def _texts(*texts: str) -> TableRow:
    return TableRow(tuple(map(TableCell, texts)))


def _missing(verdicts: Sequence[Verdict]) -> list[str]:
    """What inconclusive verdicts wait for; of several models that wait alike, the first stands for all.

    What several claims wait for stands once.
    """
    waiting: dict[str, dict[str, list[str]]] = {}  # what is missing but for the model's name -> claim -> models
    for verdict in verdicts:
        name = verdict.model or _ALL
        for item in verdict.missing:
            waiting.setdefault(item.replace(name, _MODEL), {}).setdefault(verdict.claim, []).append(name)
    lines: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for item, by_claim in waiting.items():
        for claim, names in by_claim.items():
            lines.setdefault((item, tuple(names)), []).append(claim)
    return [
        f"needed for {', '.join(claims)}, {_names(names)}: {item.replace(_MODEL, names[0])}"
        for (item, names), claims in lines.items()
    ]


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} models: {names[0]}, …"

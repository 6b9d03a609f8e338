"""Verdicts -> text, Markdown or JSON: one line a model and claim with what decides it, then the numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from harness.errors import UsageError, nearest
from harness.judge.verdict.evidence import LEAST_SEEDS
from harness.judge.verdict.verdict import CLAIMS, Judged, Verdict
from harness.report.table_text import markdown
from harness.text.outside_text import markdown_text, one_line

STYLES = ("text", "md", "json")
_METHOD = (
    "[F: the fused model; C0 to C6: its matched controls; "
    f"95 % intervals over seeds and test samples; no verdict below {LEAST_SEEDS} seeds; Holm over the comparisons of "
    "a verdict; each verdict stands for itself]"
)
_MODEL = "{model}"
_NOTHING = (
    "No fused model has a record here. Run 'bench run --controls --seeds 5' first, or name folders with --results."
)


def render(judged: Sequence[Judged], style: str = "text") -> str:
    """Draw one list for each table of comparable records; raises UsageError for an unknown style."""
    if style not in STYLES:
        raise UsageError(f"--format: unknown value '{style}'. {nearest(style, STYLES)}")
    if style == "json":
        return json.dumps([verdict for table in judged for verdict in table.to_json()], indent=1, allow_nan=False)
    draw = _markdown if style == "md" else _text
    return "\n\n".join(draw(table) for table in judged) or _NOTHING


def merged(verdicts: Sequence[Verdict]) -> list[tuple[Verdict, tuple[str, ...]]]:
    """Take verdicts together that say the same of several models, in the order of the claims."""
    found: dict[tuple[str, str, str], tuple[Verdict, list[str]]] = {}
    for verdict in verdicts:
        _, names = found.setdefault((verdict.claim, verdict.outcome, verdict.reason), (verdict, []))
        names.append(verdict.model or "all models")
    return [(verdict, tuple(names)) for verdict, names in found.values()]


def _text(table: Judged) -> str:
    lines = [one_line(table.scope.title), ""]
    groups = merged(table.verdicts)
    width = max(len(_names(names)) for _, names in groups)
    for claim, title in CLAIMS.items():
        of_claim = [(verdict, names) for verdict, names in groups if verdict.claim == claim]
        if of_claim:
            lines.append(f"{claim}  {title}")
            lines += [f"   {v.mark:<15}  {_names(names):<{width}}  {one_line(v.reason)}" for v, names in of_claim]
    details = [line for verdict in table.verdicts for line in _details(verdict)]
    shared = _missing(table.verdicts)
    choices = [one_line(choice) for choice in table.choices]
    return "\n".join([*lines, "", *details, *([""] if details else []), *choices, *shared, _METHOD])


def _details(verdict: Verdict) -> list[str]:
    """The numbers behind a verdict, one a line."""
    if not verdict.numbers:
        return []
    heading = f"{verdict.claim}  {one_line(verdict.model or 'all models')}"
    noted = [f"     {one_line(f'{number.shown}  ({number.note})')}" for number in verdict.numbers if number.note]
    plain = one_line("; ".join(number.shown for number in verdict.numbers if not number.note))
    return [heading, *noted, *([f"     {plain}"] if plain else [])]


def _missing(verdicts: Sequence[Verdict]) -> list[str]:
    """What inconclusive verdicts wait for; of several models that wait alike, the first stands for all.

    What several claims wait for stands once.
    """
    waiting: dict[str, dict[str, list[str]]] = {}  # what is missing but for the model's name -> claim -> models
    for verdict in verdicts:
        name = verdict.model or "all models"
        for item in verdict.missing:
            waiting.setdefault(item.replace(name, _MODEL), {}).setdefault(verdict.claim, []).append(name)
    lines: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for item, by_claim in waiting.items():
        for claim, names in by_claim.items():
            lines.setdefault((item, tuple(names)), []).append(claim)
    return [
        one_line(f"needed for {', '.join(claims)}, {_names(names)}: {item.replace(_MODEL, names[0])}")
        for (item, names), claims in lines.items()
    ]


def _names(names: Sequence[str]) -> str:
    return one_line(names[0] if len(names) == 1 else f"{len(names)} models: {names[0]}, …")


def _markdown(table: Judged) -> str:
    groups = merged(table.verdicts)
    rows = [["claim", "model", "verdict", "decided by"]]
    rows += [[f"{v.claim} {CLAIMS[v.claim]}", ", ".join(names), v.mark, v.reason] for v, names in groups]
    body = markdown(rows).replace("---:", "---")
    numbers = [["claim", "model", "number", "how"]]
    numbers += [
        [verdict.claim, verdict.model or "all models", number.shown, number.note]
        for verdict in table.verdicts
        for number in verdict.numbers
    ]
    parts = [f"**{markdown_text(table.scope.title)}**", body]
    if len(numbers) > 1:
        parts.append(markdown(numbers).replace("---:", "---"))
    notes = [*table.choices, *_missing(table.verdicts)]
    parts.append("\n".join(f"- {markdown_text(note)}" for note in [*notes, _METHOD]))
    return "\n\n".join(parts)

"""Renders a report as one HTML page that needs nothing else: styles, script, charts and images are inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.report.page.charts import (
    CostChart,
    NamedPoint,
    cost_chart,
    curve_chart,
    curve_scale,
    ladder_chart,
    reliability_chart,
)
from harness.report.page.contents import PagePart, Report, RobustnessPart, TaskPart
from harness.report.page.outline import Captions, PartOutline, outline_part
from harness.report.page.palette import STEPS, palette_css
from harness.report.page.pareto import Point
from harness.report.page.policy import content_hash
from harness.report.page.provenance import Shared
from harness.report.page.sweep_tables import Heat, HeatMap
from harness.report.page.sweeps import SweepKind
from harness.report.tables.costs import LATENCY, MEMORY
from harness.report.tables.html import packed, score_scale, templates_in
from harness.report.tables.table import MINUS, Table
from harness.text.outside_text import visible

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent
_STRONG = 5
"""Rows whose curves are drawn strong at first."""
_COSTS = (
    (LATENCY, "p50 latency, ms ↓", "Score against latency"),
    (MEMORY, "peak memory, MiB ↓", "Score against memory"),
)
"""Columns that a score is drawn against, with the name of the axis and the title of the chart."""


@dataclass(frozen=True)
class Curves:
    """Degradation curves of one family of perturbations."""

    family: str
    charts: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class PartView:
    """One data set of a task as the page shows it: its contents, its numbered sections, its charts of cost."""

    part: PagePart
    outline: PartOutline
    charts: tuple[tuple[CostChart, Any], ...]


@dataclass(frozen=True)
class TaskView:
    """A task as the page shows it."""

    number: int
    task: TaskPart
    parts: tuple[PartView, ...]


def render_page(report: Report) -> str:
    """Render; all text from outside is escaped, and the page's policy lets only its own script and styles run."""
    sets = Shared()
    environment = _environment(sets)
    style = palette_css() + (_HERE / "page.css").read_text(encoding="utf-8")
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src '{content_hash(script)}'; style-src '{content_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return environment.get_template("page.html.jinja").render(
        report=report, tasks=_views(report), policy=policy, style=_safe(style), script=_safe(script),
        provenance=lambda: _provenance(report, sets),  # called at the very end
    )  # fmt: skip


def _provenance(report: Report, sets: Shared) -> Any:
    return _safe(embedded_json(_visible({**report.provenance, "sets": sets.items})))


def _views(report: Report) -> list[TaskView]:
    return [
        TaskView(number, task, tuple(_view(part, number, place) for place, part in enumerate(task.parts, start=1)))
        for number, task in enumerate(report.tasks, start=1)
    ]


def _view(part: PagePart, task: int, place: int) -> PartView:
    charts = tuple(cost_charts(part))
    return PartView(part, outline_part(part, task, place, has_charts=bool(charts)), charts)


def embedded_json(content: Any) -> str:
    """Write JSON that can stand inside a script element: nothing in it can end that element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _visible(content: Any) -> Any:
    """Let no text inside act instead of being seen, as marks of direction do."""
    if isinstance(content, str):
        return visible(content)
    if isinstance(content, Mapping):
        return {_visible(key): _visible(value) for key, value in content.items()}
    return [_visible(each) for each in content] if isinstance(content, list | tuple) else content


def _safe(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # our own file, or escaped by the function that made it


def _environment(sets: Shared) -> Environment:
    """Make the templates' environment; `sets` takes in the lists of conditions that numbers refer to."""
    environment = templates_in(_HERE)
    environment.globals.update(
        caption=Captions(),
        curves=curves,
        ladder_chart=lambda ladder: _safe(ladder_chart(ladder)),
        reliability_chart=lambda each: _safe(reliability_chart(each, f"@{sets.place(list(each.conditions))}")),
        numbering=numbering,
        strong=_STRONG,
    )
    environment.filters.update(
        conditions=lambda labels: f"@{sets.place(list(labels))}",
        packed_heat=lambda heat: packed(heat.estimate),
        score_scale=score_scale, heat_steps=heat_steps, percent=_percent, px=_pixels,
    )  # fmt: skip
    return environment


def cost_charts(part: PagePart) -> list[tuple[CostChart, Any]]:
    """Draw the score against latency and against memory, for rows that have both numbers; a chart for each device."""
    drawn = []
    numbers = numbering(part.leaderboard)
    for device, (column, axis, title) in product(part.devices, _COSTS):
        points = []
        for entry in part.board.entries:
            if entry.row.device != device:
                continue
            score, cost = entry.row.metrics.get(part.board.main), getattr(entry.row.efficiency, column.name)
            if score is not None and cost is not None:
                point = Point(entry.key, score, cost * column.factor)
                points.append(NamedPoint(point, numbers[entry.key], entry.name, f"{column.title} {column.show(cost)}"))
        if len(points) > 1:
            title = title if len(part.devices) == 1 else f"{title}, measured on {device}"
            chart = cost_chart(sorted(points, key=lambda p: -p.number), part.board.main, axis, title)
            drawn.append((chart, _safe(chart.svg)))
    return drawn


def numbering(leaderboard: Table) -> dict[str, int]:
    """Number the rows of a leaderboard from the top, as the page shows them: by id of the row."""
    rows = [row.cells[0].origin.rows[0] for row in leaderboard.rows if row.cells[0].origin]
    return {key: number for number, key in enumerate(rows, start=1)}


def curves(part: RobustnessPart) -> list[Curves]:
    """Draw a chart for each perturbation that has several severities, by family."""
    scale = curve_scale(part.sweep)
    shown: dict[str, list[SweepKind]] = {}
    for kind in part.sweep.kinds:
        if len(kind.severities) > 1 and kind.family not in ("modality", "attack"):
            shown.setdefault(kind.family, []).append(kind)
    return [
        Curves(family, tuple((kind.name, _safe(curve_chart(part.sweep, kind, scale))) for kind in kinds))
        for family, kinds in shown.items()
    ]


def heat_steps(heat_map: HeatMap, part: RobustnessPart) -> list[list[str]]:
    """Choose each cell's colours for the three modes: absolute against the best clean score, shares against 1."""
    clean = [estimate.value for entry in part.sweep.entries if (estimate := part.sweep.clean(entry)) is not None]
    most = max([*clean, 1e-9])
    return [[_classes(heat, most) for heat in heats] for _, heats in heat_map.rows]


def _classes(heat: Heat, most: float) -> str:
    if heat.estimate is None:
        return "none"
    steps = {"a": heat.estimate.value / most, "r": heat.relative, "c": heat.above_chance}
    return " ".join(f"{mode}{_step(share)}" for mode, share in steps.items() if share is not None)


def _step(share: float) -> int:
    return round(min(max(share, 0.0), 1.0) * (STEPS - 1))


def _pixels(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _percent(share: float | None) -> str:
    return "undef." if share is None else f"{share:.0%}".replace("-", MINUS)

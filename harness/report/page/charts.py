"""The charts of the report, drawn by Altair and rendered to SVG while the page is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.record import Estimate
from harness.report.page.calibration_part import Bin, Diagram
from harness.report.page.ladder import Ladder
from harness.report.page.pareto import Front, Point, front
from harness.report.page.svg import Mark, chart_svg, values
from harness.report.page.sweeps import CLEAN_LABEL, Sweep, SweepKind
from harness.report.tables.html import packed
from harness.report.tables.table import GAP, interval_text, signed

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True)
class NamedPoint:
    """A point of a scatter plot: its number in the leaderboard, its name, what it costs as text."""

    point: Point
    number: int
    name: str
    cost: str


@dataclass(frozen=True)
class CostChart:
    """Score against a cost, who is on the front, and who is off it by no more than noise."""

    title: str
    svg: str
    on_front: tuple[NamedPoint, ...]
    near_front: tuple[NamedPoint, ...]


def cost_chart(points: Sequence[NamedPoint], metric: str, cost: str, title: str) -> CostChart:
    """Draw score with interval against cost; `cost` names the axis with its unit.

    Points on the front are filled; those whose distance in score to all that dominate them is within noise are dashed.
    """
    import altair

    best = front([named.point for named in points])
    marks, rows = [], []
    for named in points:
        css, place = _standing(named.point.key, best)
        told = f"{named.number} {named.name}: {metric} {_told(named.point.score)}, {named.cost}"
        link = {"data-r": named.point.key, "data-q": metric, "data-e": packed(named.point.score)}
        told += f", {place}"
        marks += [Mark("points", f"{css} {part}", told, link) for part in ("bar", "dot", "num")]
        score = named.point.score
        first = len(marks) - 3
        rows.append(
            {"x": named.point.cost, "y": score.value, "low": score.drawn[0], "high": score.drawn[1],
             "n": str(named.number),
             "bar": f"m{first}", "dot": f"m{first + 1}", "num": f"m{first + 2}"}
        )  # fmt: skip
    costs = [named.point.cost for named in points]
    wide = max(costs) > 5 * min(costs) > 0
    scale = altair.Scale(type="log", nice=False, padding=16) if wide else altair.Scale(zero=False, padding=16)
    x = altair.X("x:Q", title=cost, scale=scale, axis=_axis(6, ".0f" if min(costs) > 100 else "~g"))
    y = altair.Y("low:Q", title=metric, scale=altair.Scale(zero=False, padding=8), axis=_axis(5, "~g"))
    base = altair.Chart(values(rows))
    layers = altair.layer(
        base.mark_rule().encode(x=x, y=y, y2="high:Q", description="bar:N"),
        base.mark_point(size=240, filled=True, opacity=1).encode(x=x, y=altair.Y("y:Q"), description="dot:N"),
        base.mark_text(fontSize=10).encode(x=x, y=altair.Y("y:Q"), text="n:N", description="num:N"),
    )
    svg = chart_svg(_sized(layers, 400, 240), marks, f"{title}; {len(best.members)} of {len(points)} are on the front")
    members, near = (
        tuple(named for named in points if named.point.key in keys) for keys in (best.members, best.within_noise)
    )
    return CostChart(title, svg, members, near)


def _standing(key: str, best: Front) -> tuple[str, str]:
    """Give a point's class in CSS and what its tooltip says."""
    if key in best.members:
        return "front", "on the front"
    return ("near", "off the front, score within noise") if key in best.within_noise else ("dominated", "dominated")


def curve_chart(sweep: Sweep, kind: SweepKind, scale: tuple[float, float]) -> str:
    """Draw each row's score from clean to the greatest severity; `scale` is shared by all charts of a model set."""
    import altair

    marks: list[Mark] = []
    lines: list[dict[str, Any]] = []
    for entry in sweep.entries:
        line_mark = f"m{len(marks)}"
        marks.append(Mark(entry.key, "ln"))
        for severity, label in ((0, CLEAN_LABEL), *zip(kind.severities, kind.labels, strict=True)):
            answer = sweep.answers[entry.key].get(label)
            if answer is None or answer.estimate is None:
                continue
            marks += [Mark(entry.key), Mark(entry.key, "pt", link={"data-c": label})]
            lines.append(
                {"s": severity, "v": answer.estimate.value, "low": answer.estimate.drawn[0],
                 "high": answer.estimate.drawn[1],
                 "line": line_mark, "bar": f"m{len(marks) - 2}", "dot": f"m{len(marks) - 1}"}
            )  # fmt: skip
    severities = [0, *kind.severities]
    x = altair.X(
        "s:Q", title=None, scale=altair.Scale(domain=[0, max(severities)], nice=False, padding=8),
        axis=altair.Axis(values=severities, format="d", tickSize=4, domain=True, grid=False),
    )  # fmt: skip
    y = altair.Y("v:Q", title=None, scale=altair.Scale(domain=list(scale), nice=False), axis=_axis(4, "~g"))
    base = altair.Chart(values(lines))
    layers = altair.layer(
        base.mark_line().encode(x=x, y=y, detail="line:N", description="line:N"),
        base.mark_rule().encode(x=x, y=altair.Y("low:Q"), y2="high:Q", description="bar:N"),
        base.mark_point(size=28, filled=True).encode(x=x, y=y, description="dot:N"),
    )
    return chart_svg(_sized(layers, 190, 120), marks, f"{sweep.metric} by severity of {kind.name}")


def curve_scale(sweep: Sweep) -> tuple[float, float]:
    """Span all scores of a robustness run, 0 included."""
    found = [a.estimate for of_row in sweep.answers.values() for a in of_row.values() if a.estimate is not None]
    low, high = min([0.0, *(e.drawn[0] for e in found)]), max([0.0, *(e.drawn[1] for e in found)])
    return low, high if high > low else low + 1.0


def ladder_chart(ladder: Ladder) -> str:
    """Draw F - Ci for each control with its interval, and the line of no difference."""
    import altair

    marks: list[Mark] = []
    rows = []
    for rung in ladder.rungs:
        quantity = f"F − {rung.name}"
        told = f"{quantity}: {signed(rung.gap.value)} {interval_text(rung.gap, difference=True)}"
        both = f"{ladder.model.key} {rung.control.key}"
        link = {"data-r": both, "data-q": quantity, "data-e": packed(rung.gap, GAP)}
        marks += [Mark("gaps", part, told, link) for part in ("bar", "dot")]
        rows.append(
            {"c": quantity, "low": rung.gap.drawn[0], "high": rung.gap.drawn[1], "v": rung.gap.value,
             "bar": f"m{len(marks) - 2}", "dot": f"m{len(marks) - 1}"}
        )  # fmt: skip
    marks.append(Mark("zero", "zero"))
    y = altair.Y(
        "c:N",
        title=None,
        sort=[f"F − {rung.name}" for rung in ladder.rungs],
        axis=altair.Axis(ticks=False, domain=False),
    )
    x = altair.X("low:Q", title=f"difference of {ladder.metric}", axis=_axis(6, "~g"), scale=altair.Scale(padding=10))
    base = altair.Chart(values(rows))
    zero = altair.Chart(values([{"z": 0.0, "d": f"m{len(marks) - 1}"}]))
    layers = altair.layer(
        zero.mark_rule().encode(x=altair.X("z:Q"), description="d:N"),
        base.mark_rule().encode(x=x, x2="high:Q", y=y, description="bar:N"),
        base.mark_point(size=60, filled=True).encode(x=altair.X("v:Q"), y=y, description="dot:N"),
    )
    return chart_svg(_sized(layers, 400, 26 * len(rows)), marks, f"Control ladder of {ladder.model.name}")


def reliability_chart(diagram: Diagram, conditions: str) -> str:
    """Draw the share of right answers against their confidence: clean as discs, perturbed as circles.

    `conditions` is the page's name for the list of those that are pooled.
    """
    import altair

    marks = [Mark("diagonal", "zero")]
    rows = []
    for css, bins in (("clean", diagram.clean), ("perturbed", diagram.perturbed)):
        for each in bins:
            link = {"data-r": diagram.entry.key, "data-q": f"reliability, {css}", "data-n": _bin_told(each)}
            if css == "perturbed":
                link["data-c"] = conditions
            marks.append(Mark(css, f"dot {css}", f"{css}: {_bin_told(each)}", link))
            rows.append({"x": each.confidence, "y": each.accuracy, "d": f"m{len(marks) - 1}"})
    unit = altair.Scale(domain=[0, 1], nice=False)
    ticks = altair.Axis(values=[0, 0.5, 1], format="~g", grid=True, domain=False)
    x, y = (
        altair.X("x:Q", title="confidence", scale=unit, axis=ticks),
        altair.Y("y:Q", title="right", scale=unit, axis=ticks),
    )
    diagonal = altair.Chart(values([{"x": 0.0, "y": 0.0, "d": "m0"}, {"x": 1.0, "y": 1.0, "d": "m0"}]))
    layers = altair.layer(
        diagonal.mark_line().encode(x=x, y=y, description="d:N"),
        altair.Chart(values(rows)).mark_point(size=50, filled=True).encode(x=x, y=y, description="d:N"),
    )
    return chart_svg(_sized(layers, 150, 150), marks, f"Reliability diagram of {diagram.entry.name}")


def _bin_told(each: Bin) -> str:
    return f"confidence {each.confidence:.3f}, right {each.accuracy:.3f}, {each.count} answers"


def _told(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} {interval_text(estimate)}, {estimate.count} samples"


def _axis(ticks: int, number: str) -> altair.Axis:
    import altair

    return altair.Axis(tickCount=ticks, format=number, domain=False, tickSize=4, labelOverlap=True)


def _sized(
    chart: altair.LayerChart | altair.FacetChart, width: int, height: int
) -> altair.LayerChart | altair.FacetChart:
    """Set the size and the font of the labels, from which Vega computes how much room they need."""
    config: Mapping[str, Any] = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    sized = chart.properties(width=width, height=height, background="transparent")
    styled: altair.LayerChart | altair.FacetChart = sized.configure_axis(**config).configure_view(stroke=None)
    return styled

"""One picture of how scores fall with severity: the mean over the standard corruptions, clean at severity 0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import DataError, StoreError, UsageError
from harness.judge.robustness.row import RobustnessRow
from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.report.vega import png_of, svg_of
from harness.stats.propagation import Figure, mean_of

_WIDTH, _HEIGHT = 520, 320


def mean_curve(row: RobustnessRow) -> dict[int, Figure]:
    """The mean score over the corruptions that were run, by severity; a severity where one has no score is left out."""
    found = {0: row.clean}
    chosen = [condition for condition in row.conditions if condition.perturbation in STANDARD_CORRUPTIONS]
    for severity in sorted({condition.severity for condition in chosen}):
        mean = mean_of([condition.score for condition in chosen if condition.severity == severity])
        if mean.value is not None:
            found[severity] = mean
    return found


def write_curve(rows: Sequence[RobustnessRow], path: Path) -> None:
    """Draw all rows into an .svg or .png; raises UsageError for another suffix, DataError where nothing was run."""
    import altair

    if path.suffix not in (".svg", ".png"):
        raise UsageError(f"--curve {path}: wanted a name that ends in .svg or .png.")
    points = [
        {"model": row.name, "severity": severity, "score": figure.value, "low": figure.low, "high": figure.high}
        for row in rows
        for severity, figure in mean_curve(row).items()
    ]
    if not any(point["severity"] for point in points):
        raise DataError("No model was run under a standard corruption: there is no curve. Run with --perturb standard.")
    title = f"{rows[0].scope.metric}, mean over corruptions"
    x = altair.X("severity:O", title="severity (0: clean)", axis=altair.Axis(labelAngle=0))
    base = altair.Chart({"values": points}, width=_WIDTH, height=_HEIGHT)
    names = [row.name for row in rows]
    legend = altair.Legend(symbolOpacity=1)
    colour = altair.Color("model:N", title=None, sort=names, legend=legend, scale=altair.Scale(scheme="tableau20"))
    lines = base.mark_line(point=True).encode(x=x, y=altair.Y("score:Q", title=title), color=colour)
    bars = base.mark_rule(opacity=0.25).encode(x=x, y="low:Q", y2="high:Q", color=colour)
    chart = (bars + lines).configure_view(stroke=None).to_dict()
    drawn = png_of(chart, 2.0) if path.suffix == ".png" else svg_of(chart).encode()
    try:
        path.write_bytes(drawn)
    except OSError as error:
        raise StoreError(f"Cannot write --curve {path}: {error.strerror}. Give another file.") from None

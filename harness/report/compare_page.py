"""A comparison as one HTML page that needs nothing else: tables, and the pictures of samples that flipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.judge.compare.comparison import Comparison
from harness.judge.compare.flips import picture
from harness.judge.compare.metric_difference import MetricDifference
from harness.report.comparison_tables import (
    compared_slice_table,
    comparison_notes,
    comparison_title,
    flip_counts,
    metric_table,
    ranked_slices,
    subtitle_of,
    verdict_of,
)
from harness.report.page.palette import palette_css
from harness.report.page.policy import policy_without_scripts
from harness.report.tables.html import gap_scale, templates_in

_HERE = Path(__file__).parent


def render_compare_page(found: Sequence[Comparison]) -> str:
    """Render; all text from outside is escaped, and the page's policy lets nothing run and nothing be fetched."""
    from markupsafe import Markup

    style = palette_css() + "".join(
        path.read_text(encoding="utf-8") for path in (_HERE / "page" / "page.css", _HERE / "compare_page.css")
    )
    environment = templates_in(_HERE)
    environment.globals.update(
        title_of=comparison_title, subtitle_of=subtitle_of, verdict_of=verdict_of, notes_of=comparison_notes,
        flip_counts=flip_counts,
        metric_table=metric_table, slice_table=compared_slice_table, ranked_slices=ranked_slices, picture=picture, 
        gap_scale=gap_scale, widest=widest,
    )  # fmt: skip
    # Our own files, so they stand unescaped.
    page: Any = environment.get_template("compare_page.html.jinja")
    return str(page.render(found=found, style=Markup(style), policy=policy_without_scripts(style)))


def widest(differences: Sequence[MetricDifference]) -> float:
    """The farthest that any interval reaches from 0."""
    return max((abs(end) for d in differences for end in (*(d.found.interval or ()), d.found.value)), default=0.0)

"""The page: what comes from outside is escaped, pictures are real pixels, nothing is fetched or run."""

from __future__ import annotations

import base64
import html
import io
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from harness.judge.compare.comparison import Comparison
from harness.judge.compare.flips import FlippedSample, picture
from harness.judge.compare.metric_difference import Flips, MetricDifference
from harness.judge.compare.slices import SliceDifference
from harness.judge.select_records import Chosen
from harness.record import Estimate, RunRecord
from harness.records.store import Store
from harness.report.compare_page import render_compare_page
from harness.report.comparison_tables import render_comparison, verdict_of
from harness.report.tables.html import gap_scale
from harness.stats.difference import Difference

EVIL = '<script>window.ran=1</script>"><img src=x onerror=run>'


def difference(value: float, reach: float, metric: str = "top-1", *, alike: bool = False) -> MetricDifference:
    """A difference whose 95 % interval reaches so far to both sides."""
    found = Difference(value, ((0.0, 0), (reach / 1.959963984540054, math.inf)), 1, 60, paired=True, alike=alike)
    return MetricDifference(metric, 0.5 + value, 0.5, found, 60)


DIFFERENCE = difference(0.2, 0.1)


@pytest.fixture
def found(record: Callable[..., RunRecord], tmp_path: Path) -> Comparison:
    """A comparison whose names and answers are attacks."""
    Image.new("RGB", (400, 300), (200, 30, 40)).save(tmp_path / "red.png")
    sides = [Chosen(f"{name}{EVIL}", Store(str(tmp_path)), (record(name, 0.5),)) for name in ("one", "two")]
    flips = [
        FlippedSample(f"s{n}{EVIL}", 1.0, 0.0, EVIL, "a|b", EVIL, EVIL, path)
        for n, path in enumerate((tmp_path / "red.png", tmp_path / "gone.png"))
    ]
    main = replace(DIFFERENCE, flips=Flips(9, 1, 0.02))
    rows = (
        SliceDifference("class", EVIL, DIFFERENCE, 0.02),
        SliceDifference("class", "none", difference(0.0, 0.1, alike=True), 1.0),
    )
    return Comparison(
        *sides, "stored predictions", True, ((0, 0),), 60, (main,), {"mAP": EVIL}, rows, tuple(flips), (EVIL,)
    )


def test_everything_from_outside_is_escaped(found: Comparison) -> None:
    page = render_compare_page([found])
    assert "<script" not in page
    assert "<img src=x" not in page
    assert page.count("&lt;script&gt;") >= 8
    assert "default-src 'none'; style-src 'sha256-" in html.unescape(page)


def test_pictures_are_small_and_real_and_a_missing_one_is_named(found: Comparison) -> None:
    page = render_compare_page([found])
    assert page.count("<img ") == 1
    assert "the image is not here" in page
    uri = picture(found.flips[0].image)
    assert uri is not None
    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert image.size == (160, 120)
    assert all(abs(a - b) < 6 for a, b in zip(image.getpixel((80, 60)), (200, 30, 40), strict=True))  # type: ignore[arg-type]


def test_markdown_keeps_its_cells_and_slices_without_a_difference_are_not_shown(found: Comparison) -> None:
    text = render_comparison([found], "md")
    assert "a\\|b" in text
    assert "class: none" not in text
    assert "(1 in which no sample differs are not shown)" in text
    assert "9 samples only one" in text
    assert "Not compared: mAP" in text


def test_the_bars_of_metrics_and_slices_share_one_scale(found: Comparison) -> None:
    wide = difference(0.3, 0.3, "NLL")
    page = render_compare_page([replace(found, metrics=(*found.metrics, wide))])
    bars = re.findall(r'class="iv" d="M([\d.]+) 5H([\d.]+)"', page)
    assert bars == [("58.0", "74.0"), ("50.0", "98.0"), ("58.0", "74.0")]  # 48 of 100 are 0.6, in both tables
    assert "from −0.600 at the left to +0.600" in page
    assert "NLL ↓" in page


def test_bars_stand_around_no_difference() -> None:
    assert gap_scale(0.3).places(Estimate(0.2, 0.1, 0.3, 60)) == (66.0, 82.0, 98.0)
    assert gap_scale(0.3).places(Estimate(-0.15, -0.3, 0.0, 60)) == (2.0, 26.0, 50.0)
    assert gap_scale(0.0).places(Estimate(0.0, None, None, 60)) == (50.0, 50.0, 50.0)


def test_several_comparisons_share_a_page(found: Comparison) -> None:
    page = render_compare_page([found, found])
    assert "2 comparisons" in page
    assert page.count("<h2") == 2


@pytest.mark.parametrize(
    ("metric", "change", "told"),
    [
        ("top-1", 0.2, "By top-1 ↑ one is better than two: +0.200"),
        ("top-1", -0.2, "By top-1 ↑ two is better than one: −0.200"),
        ("ECE", 0.2, "By ECE ↓ two is better than one: +0.200"),
        ("NLL", -0.2, "By NLL ↓ one is better than two: −0.200"),
        ("ECE-null", 0.2, "ECE-null of one is higher than that of two: +0.200"),
        ("somebody's own", -0.2, "somebody's own of two is higher than that of one: −0.200"),
    ],
)
def test_better_and_worse_go_by_the_direction(found: Comparison, metric: str, change: float, told: str) -> None:
    main = difference(change, 0.1, metric)
    sides = [replace(side, name=name) for side, name in ((found.a, "one"), (found.b, "two"))]
    plain = replace(found, a=sides[0], b=sides[1], metrics=(main,), slices=(), flips=(), notes=(), refused={})
    assert told in verdict_of(plain)
    assert told in render_comparison([plain], "text")
    assert ("less is better" in render_comparison([plain], "text")) == (metric in ("ECE", "NLL"))

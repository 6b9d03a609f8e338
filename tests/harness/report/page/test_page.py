"""The page by itself: nothing is fetched, nothing from outside becomes markup, colours can be read."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.record import Estimate
from harness.report.page.charts import NamedPoint, cost_chart, curve_chart, curve_scale
from harness.report.page.contents import build_report
from harness.report.page.entries import build_boards
from harness.report.page.examples import ExampleIndex, build_examples
from harness.report.page.page import cost_charts, embedded_json, render_page
from harness.report.page.palette import DARK, LIGHT, contrast_ratio, heat_colours
from harness.report.page.pareto import Point
from harness.report.page.sources import ReportOptions, Sources, read_sources
from harness.report.page.sweeps import build_robustness

from .made_up import made_record, made_records, made_sweep, write_examples, write_made_up

PAYLOADS = (
    "<script>document.title='run'</script>",
    '"><img src=x onerror="document.title=\'run\'">',
    "</script><script>document.title='run'</script>",
    "'; document.title='run'; //",
    "<!--<script>",
    "]]>&amp;{{ 7*7 }}{% raw %}",
)
OPTIONS = ReportOptions(metrics={"image-classification": ("top-1", "macro-F1", "ECE")})


class Reader(HTMLParser):
    """Collects tags, attributes and the contents of scripts and styles, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._within: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._within = tag
            self.raw.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == self._within:
            self._within = None

    def handle_data(self, data: str) -> None:
        if self._within:
            self.raw[-1] = (self._within, self.raw[-1][1] + data)
        else:
            self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("made-up")
    store = write_made_up(folder, made_records())
    write_examples(store, "image-classification", ["fused-a", "fused-b"])
    return render_page(build_report(read_sources([store]), OPTIONS))


def test_nothing_is_fetched(page: str) -> None:
    for tag, attributes in read(page).tags:
        for name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "style" not in attributes, tag
    assert "@import" not in page
    assert not re.search(r"url\(", page)


def test_the_policy_names_the_script_and_the_styles_by_their_digest(page: str) -> None:
    reader = read(page)
    (policy,) = [a["content"] for tag, a in reader.tags if tag == "meta" and a.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    script, style = reader.raw[-1][1], reader.raw[0][1]
    for directive, content in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy


def test_every_kind_of_contents_is_there(page: str) -> None:
    words = " ".join(read(page).words)
    for title in (
        "Leaderboard, ranked by top-1", "Score against latency", "Score against memory", "top-1 ↑ on slices",
        "Comparison with matched controls",
        "Image corruptions, mean over severities", "Degradation by severity", "Calibration error", "Examples",
        "Failed and skipped", "top-1 ↑ of each class", "supports claims about mechanisms only", "mPC",
    ):  # fmt: skip
        assert title in words, title


def test_photographs_have_no_banner_of_scenes() -> None:
    report = build_report(Sources((made_record("a", 0.5, layout="coco"),)), OPTIONS)
    assert "Scenes" not in " ".join(read(render_page(report)).words)


def test_text_from_outside_stays_text(tmp_path: Path) -> None:
    every = " ".join(PAYLOADS)
    records = [made_record(name, 0.5 - 0.05 * n, data=every, device=every) for n, name in enumerate(PAYLOADS)]
    records.append(made_record(PAYLOADS[0], 0.3, control="C2", data=every))
    records.append(made_record("gone", None, error=every, data=every))
    store = write_made_up(tmp_path, records)
    write_examples(store, "image-classification", PAYLOADS, reference=every)
    reader = read(render_page(build_report(read_sources([store]), OPTIONS)))
    assert [tag for tag, _ in reader.tags].count("script") == 2
    assert not [a for _, a in reader.tags if "onerror" in a]
    words = " ".join(reader.words)
    content = json.loads(reader.raw[-2][1])
    for place, payload in enumerate(PAYLOADS):
        assert words.count(payload) > 10, payload  # leaderboard, curves, heat maps, tooltips, answers
        assert payload in [row["name"] for row in content["rows"].values()], place


def test_json_cannot_end_its_script() -> None:
    content = {"a": "</script><!--<script>&\u2028"}
    text = embedded_json(content)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == content


def test_colours_can_be_read_in_both_themes() -> None:
    assert contrast_ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # WebAIM's well-known example
    for palette in (LIGHT, DARK):
        for ink in ("ink", "muted", "accent"):
            for back in ("page", "panel", "sunken"):
                assert contrast_ratio(palette[ink], palette[back]) >= 4.5, (ink, back)
        assert contrast_ratio(palette["on-accent"], palette["accent"]) >= 4.5
        assert contrast_ratio(palette["warn-ink"], palette["warn-back"]) >= 4.5
        for number in range(1, 7):
            assert contrast_ratio(palette[f"series-{number}"], palette["panel"]) >= 4.5
        assert contrast_ratio(palette["strong"], palette["panel"]) >= 3
    for theme in ("light", "dark"):
        steps = heat_colours(theme)
        assert all(contrast_ratio(back, ink) >= 4.5 for back, ink in steps)
        assert len({back for back, _ in steps}) == len(steps)


def test_a_scatter_plot_has_each_point_once_where_it_belongs() -> None:
    points = [
        NamedPoint(Point(f"r{n}", Estimate(score, score - 0.01, score + 0.01, 9), cost), n, f"<m{n}>", "p50 1 ms")
        for n, (score, cost) in enumerate([(0.2, 1.0), (0.6, 2.0), (0.4, 3.0)], start=1)
    ]
    chart = cost_chart(points, "top-1", "latency, ms", "Score against latency")
    found = re.findall(
        r'<a href="#" data-r="(r\d)".*?<circle class="(\w+) dot" cx="([\d.]+)" cy="([\d.]+)"', chart.svg
    )  # fmt: skip
    places = {key: (css, float(x), float(y)) for key, css, x, y in found}
    assert {key: css for key, (css, _, _) in places.items()} == {"r1": "front", "r2": "front", "r3": "dominated"}
    assert places["r1"][1] < places["r2"][1] < places["r3"][1]
    assert places["r2"][2] < places["r3"][2] < places["r1"][2]  # y grows downwards
    middle = (places["r1"][2] + places["r2"][2]) / 2
    assert places["r3"][2] == pytest.approx(middle, abs=0.2)
    assert "&lt;m1&gt;" in chart.svg
    assert [named.number for named in chart.on_front] == [1, 2]


def test_costs_of_different_hardware_are_never_on_one_front() -> None:
    """The best and fastest of one machine says nothing of the rows of another, and a lone row has no front."""
    hardware = [("a", 0.9, "H100"), ("b", 0.5, "H100"), ("c", 0.4, "T4"), ("d", 0.3, "T4"), ("e", 0.2, "V100")]
    records = [made_record(model, score, device=device) for model, score, device in hardware]
    ((part,),) = [task.parts for task in build_report(Sources(tuple(records)), OPTIONS).tasks]
    charts = [chart for chart, _ in cost_charts(part)]
    assert sorted({chart.title.rpartition(" ")[2] for chart in charts}) == ["H100", "T4"]
    assert len(charts) == 4
    for chart in charts:
        shown = {named.name for named in (*chart.on_front, *chart.near_front)}
        assert shown <= ({"a", "b"} if chart.title.endswith("H100") else {"c", "d"})
        assert chart.on_front[-1].name in ("a", "c") or chart.on_front[0].name in ("a", "c")


def test_a_curve_has_a_point_for_each_score_and_none_for_what_failed() -> None:
    record = made_record("a", 0.5)
    (board,) = build_boards(Sources((record,)), OPTIONS)
    (sweep,) = build_robustness(board, [made_sweep(record)])
    fog = next(kind for kind in sweep.kinds if kind.name == "fog")
    assert curve_chart(sweep, fog, curve_scale(sweep)).count("<circle") == 6
    broken = dict(sweep.answers[board.entries[0].key])
    del broken["fog-2"]
    lacking = type(sweep)(**{**vars(sweep), "answers": {board.entries[0].key: broken}})
    assert curve_chart(lacking, fog, curve_scale(sweep)).count("<circle") == 5


def test_examples_come_from_their_folder_only() -> None:
    def index(file: str) -> dict[str, object]:
        condition = {"perturbation": "clean", "severity": 0, "file": file, "predictions": {}}
        return {"samples": [{"sample_id": "1", "reference": "x", "conditions": [condition]}]}

    for name in ("../secret.jpg", "/etc/passwd", "a/b.jpg", "..", "a\\b.jpg", ""):
        with pytest.raises(StoreError, match="wanted one beside it"):
            build_examples(found(index(name), b"\xff\xd8\xff"), 10)
    with pytest.raises(StoreError, match="neither JPEG nor PNG"):
        build_examples(found(index("a.svg"), b"<svg onload=x>"), 100)
    with pytest.raises(StoreError, match=r"samples\[0\] is not as agreed"):
        build_examples(found({"samples": [{"sample_id": "1"}]}, b""), 100)
    assert len(build_examples(found(index("a.jpg"), b"\xff\xd8\xff"), 3).shown) == 1


def found(content: dict[str, object], image: bytes) -> ExampleIndex:
    return ExampleIndex("t/robustness/examples", content, None, lambda _: image)


def test_examples_stop_at_their_budget() -> None:
    condition = {"perturbation": "fog", "severity": 3, "file": "a.jpg", "predictions": {"m": "x"}}
    sample = {"sample_id": 1, "reference": ["x"], "conditions": [condition, condition]}
    shown = build_examples(found({"samples": [sample] * 5}, b"\xff\xd8\xff" + bytes(97)), 450)
    assert (len(shown.shown), shown.left_out) == (2, 3)
    assert shown.shown[0].pictures[0].condition == "fog 3"

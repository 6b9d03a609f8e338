"""The report in a real browser: it works by mouse and by keyboard, fetches nothing, and nothing planted in it runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.records.store import Store
from harness.report.page.sources import ReportOptions
from harness.report.page.write import write_report
from tests.harness.report.page.made_up import made_record, made_records, made_sweep, write_examples, write_made_up

pytest.importorskip("playwright.sync_api")
PAYLOADS = ("<script>window.ran=1</script>", '"><img src=x onerror="window.ran=1">', "</script><script>window.ran=1")
METRICS = {"image-classification": ("top-1", "macro-F1", "ECE", "ECE-null")}
CONTRAST = """() => {
  const light = (c) => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const shine = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const back = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c.length === 3 || (c.length === 4 && c[3] === 1)) return c;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  for (const node of document.querySelectorAll("body *")) {
    if (node.closest("script,style,dialog,[aria-hidden=true]") || !node.getClientRects().length) continue;
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    if (!own) continue;
    const style = getComputedStyle(node);
    if (node.closest("svg") && node.matches(".num")) continue; // on its disc: checked in test_page.py
    const ink = parse(node.closest("svg") ? style.fill : style.color);
    const [a, b] = [shine(ink), shine(back(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.add(`${node.tagName}.${node.className.baseVal ?? node.className} ${ratio.toFixed(2)}`);
  }
  return [...poor];
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of made-up records, some of whose names are attacks."""
    folder = tmp_path_factory.mktemp("report")
    records = [*made_records(), *(made_record(text, 0.1) for text in PAYLOADS)]
    store: Store = write_made_up(folder / "results", records)
    write_examples(store, "image-classification", ["fused-a", *PAYLOADS], reference=PAYLOADS[0])
    write_report([store], folder / "report.html", ReportOptions(metrics=METRICS))
    shots = os.environ.get("BENCH_SCREENSHOTS")
    if shots:
        shutil.copy(folder / "report.html", Path(shots) / "report.html")
    return folder / "report.html"


@pytest.fixture
def page_file(report: Path) -> Path:
    """The page that `open_page` opens."""
    return report


def column(page: Any, place: int) -> list[str]:
    """Texts of a column of the leaderboard, rows of models only."""
    rows = page.locator(".board tbody tr.model")
    texts: list[str] = rows.evaluate_all(f"rows => rows.map(r => r.cells[{place}].querySelector('.n').innerText)")
    return texts


def test_a_heading_sorts_by_click_and_by_keyboard(open_page: Callable[..., Any]) -> None:
    page = open_page()
    before = column(page, 0)
    latency = page.locator(".board th", has_text="p50 latency")
    place = latency.evaluate("th => th.cellIndex")
    latency.locator("button").click()
    assert latency.get_attribute("aria-sort") == "ascending"
    values = [float(text.split()[0]) for text in column(page, place)]
    assert values == sorted(values)
    assert column(page, 0) != before
    latency.locator("button").focus()
    page.keyboard.press("Enter")
    assert latency.get_attribute("aria-sort") == "descending"
    values = [float(text.split()[0]) for text in column(page, place)]
    assert values == sorted(values, reverse=True)
    top = page.locator(".board th", has_text="top-1")
    top.locator("button").focus()
    page.keyboard.press("Space")
    assert top.get_attribute("aria-sort") == "descending"
    assert latency.get_attribute("aria-sort") == "none"
    assert column(page, 0)[:8] == before[:8]


def test_controls_stay_below_their_model_when_rows_move(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.locator(".board th", has_text="top-1").locator("button").click()
    page.locator(".board th", has_text="top-1").locator("button").click()
    keys = page.locator(".board tbody tr").evaluate_all("rows => rows.map(r => r.dataset.key)")
    start = keys.index("fused-a")
    assert keys[start : start + 8] == ["fused-a", *(f"fused-a [C{number}]" for number in range(7))]
    assert start == len(keys) - 8


def test_the_filter_takes_every_word_and_says_how_many_are_left(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.get_by_role("searchbox").fill("made-up film")
    assert page.locator(".board tbody tr:visible").count() == 1
    assert page.locator(".shown").inner_text().startswith("1 of ")
    page.get_by_role("searchbox").fill("")
    everything = page.locator(".board tbody tr:visible").count()
    page.get_by_label("controls", exact=True).uncheck()
    assert page.locator(".board tbody tr:visible").count() == everything - 7
    assert page.locator(".board th", has_text="p95").is_hidden()
    page.get_by_label("all columns").check()
    assert page.locator(".board th", has_text="p95").is_visible()
    assert page.locator(".board tr.model").first.locator("td.score .ci:visible").count() == 1
    page.get_by_label("all intervals").check()
    assert page.locator(".board tr.model").first.locator("td.score .ci:visible").count() == 4


def test_provenance_opens_and_closes_by_keyboard(open_page: Callable[..., Any]) -> None:
    page = open_page()
    assert page.locator(".board tbody .n[tabindex='0']").count() == 1
    page.locator(".board tbody .n").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    text = dialog.inner_text()
    for wanted in ("0.550", "[0.520, 0.580], 978 samples", "fingerprint", "c0ffee", "d1d1d1", "made-up:v1", "seed 0"):
        assert wanted in text
    dialog.get_by_text("Package versions").click()
    assert "2.15.0" in dialog.inner_text()
    for _ in range(12):  # focus cannot leave: what lies behind is inert
        page.keyboard.press("Tab")
        assert page.evaluate("!document.activeElement.closest('main, header')")
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    assert page.evaluate("document.activeElement.matches('.board td .n')")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('tr').dataset.key") == "fused-a [C0]"


def test_a_cell_of_the_heat_map_shows_each_severity_and_a_skipped_one_its_reason(
    open_page: Callable[..., Any],
) -> None:
    page = open_page()
    page.locator(".heat").first.locator("tbody tr").first.locator("td .n").nth(1).click()
    text = page.get_by_role("dialog").inner_text()
    assert "gaussian-noise-5" in text
    page.get_by_role("dialog").get_by_text("What was done").click()
    assert "gaussian-noise-3" in page.get_by_role("dialog").locator("details").first.inner_text()
    page.get_by_role("button", name="Close").click()
    page.locator(".heat td.none .n").first.click()
    assert "the model reads no text" in page.get_by_role("dialog").inner_text()


def test_the_heat_map_shows_absolute_and_relative_values(open_page: Callable[..., Any]) -> None:
    page = open_page()
    cell = page.locator(".heat").first.locator("tbody tr").first.locator("td").nth(0)
    assert cell.inner_text() == "0.550"
    page.get_by_label("share of clean", exact=True).check()
    assert cell.inner_text() == "100%"
    page.get_by_label("share of clean above chance").check()
    assert cell.inner_text() == "100%"


def test_points_of_charts_show_where_they_come_from(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.locator(".pair .chart a").last.focus()
    page.keyboard.press("Enter")
    assert "fused-a" in page.get_by_role("dialog").inner_text()
    page.keyboard.press("Escape")
    point = page.locator(".curves .series.k1 .pt").first
    point.hover()
    assert point.locator("title").text_content() == "fused-a, clean: 0.550 [0.510, 0.590]"
    point.click()
    assert "top-1 under clean" in page.get_by_role("dialog").inner_text()


def test_chips_choose_which_curves_are_strong(open_page: Callable[..., Any]) -> None:
    page = open_page()
    chips = page.locator(".chip")
    assert page.locator(".chip[aria-pressed=true]").count() == 5
    chips.nth(5).click()
    chips.nth(6).click()
    assert page.locator(".chip[aria-pressed=true]").count() == 6
    assert chips.nth(0).get_attribute("aria-pressed") == "false"
    key = chips.nth(6).get_attribute("data-s")
    assert page.locator(f".curves .series.k1[data-s='{key}']").count() == page.locator(".curves .grid .chart").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(scheme: str, open_page: Callable[..., Any]) -> None:
    page = open_page(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
    assert page.evaluate(CONTRAST) == []


def test_the_theme_follows_the_system_until_it_is_switched(open_page: Callable[..., Any]) -> None:
    page = open_page(color_scheme="dark")
    shade = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(shade)
    page.get_by_role("button", name="Light theme").click()
    light = page.evaluate(shade)
    assert (dark, light) == ("rgb(16, 19, 22)", "rgb(246, 247, 249)")
    page.emulate_media(media="print")
    assert page.evaluate(shade) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_is_never_wider_than_its_window(width: int, open_page: Callable[..., Any]) -> None:
    page = open_page(width)
    page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
    page.get_by_label("all columns").check()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.locator(".board td .n").first.click()
    assert page.get_by_role("dialog").evaluate("d => d.scrollWidth <= d.clientWidth")
    page.keyboard.press("Escape")
    shots = os.environ.get("BENCH_SCREENSHOTS")
    if shots:
        page.screenshot(path=Path(shots) / f"report-{width}.png", full_page=True)


def test_it_prints_without_what_only_a_screen_needs(open_page: Callable[..., Any], tmp_path: Path) -> None:
    page = open_page(1031)
    page.emulate_media(media="print")
    for hidden in (".top", ".tools", ".modes", ".arrow"):
        assert page.locator(hidden).first.is_hidden(), hidden
    assert page.evaluate("document.documentElement.scrollWidth") <= 1031
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    assert (tmp_path / "report.pdf").stat().st_size > 50_000


def test_it_can_be_used_by_keyboard_from_the_top(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the tables"
    assert page.locator(".skip").evaluate("e => e.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline not in ("none", "")
    unnamed = "b => b.filter(x => !x.innerText.trim() && !x.ariaLabel).length"
    assert page.locator("main button:visible").evaluate_all(unnamed) == 0


def test_without_scripts_all_tables_and_charts_are_there(open_page: Callable[..., Any]) -> None:
    page = open_page(java_script_enabled=False)
    assert page.locator(".board tbody tr.model").count() == 11
    assert page.locator(".curves .chart").first.is_visible()
    assert page.locator(".tools").first.is_hidden()


def test_five_tasks_stay_below_five_megabytes(tmp_path: Path) -> None:
    """A row's share of the page, measured on one task, times what results/ may hold: 5 tasks of 14 models each."""
    sizes = []
    for count in (2, 6):
        records = [made_record(f"model-{n}", 0.5) for n in range(count)]
        store = Store(str(tmp_path / str(count)))
        for record in records:
            store.write_record(record)
            store.write_robustness(made_sweep(record))
        write_report([store], tmp_path / f"{count}.html", ReportOptions(metrics=METRICS))
        sizes.append((tmp_path / f"{count}.html").stat().st_size)
    each = (sizes[1] - sizes[0]) / 4
    fixed = sizes[0] - 2 * each
    assert 5 * (fixed + 14 * each) < 4_000_000

"""How the report reads: the score first on a telephone, contents by task, and what is drawn over example images."""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.answers import encode_label_map
from harness.records.store import Store
from harness.records.table_names import examples_folder
from harness.report.page.sources import ReportOptions
from harness.report.page.write import write_report
from tests.harness.report.page.made_up import made_record, made_records, made_sweep, write_made_up

pytest.importorskip("playwright.sync_api")
EVIL = '<script>window.ran=1</script>"><img src=x onerror="window.ran=1">'
METRICS = {
    "image-classification": ("top-1", "macro-F1", "ECE", "ECE-null", "mAP"),
    "coco-detection": ("AP",), "coco-segmentation": ("mIoU",),
}  # fmt: skip
TRUTH, ANSWER = (0.125, 0.25, 0.5, 0.375), (0.25, 0.5, 0.25, 0.25)
SIZE = (160, 96)


def write_drawn(store: Store, task: str, digest: str, drawn: dict[str, Any], **head: Any) -> None:
    """Write one sample under one condition, with what is drawn over it."""
    stream = io.BytesIO()
    Image.new("RGB", SIZE, (40, 90, 160)).save(stream, "JPEG")
    folder = examples_folder(task, digest, "test")
    store.write_bytes(f"{folder}/0-clean.jpg", stream.getvalue())
    condition = {
        "perturbation": "clean", "severity": 0, "file": "0-clean.jpg", "size": list(SIZE),
        "predictions": {"detector": "said"}, "drawn": drawn,
    }  # fmt: skip
    sample = {"sample_id": EVIL, "reference": EVIL, "conditions": [condition]}
    content = {"data": "made-up", "data_digest": digest, "split": "test", "samples": [sample], **head}
    store.write_bytes(f"{folder}/index.json", json.dumps(content).encode())


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of three tasks; detection stands on two data sets, of which the second has drawn examples."""
    folder = tmp_path_factory.mktemp("layout")
    store = write_made_up(folder / "results", made_records())
    other = made_record("detector", 0.4, task="coco-detection", metric="AP", data="elsewhere", data_digest="ee" * 32)
    boxes = [other, replace(made_record("detector", 0.5, task="coco-detection", metric="AP", seed=1), seed=0)]
    maps = [made_record("detector", 0.5, task="coco-segmentation", metric="mIoU")]
    for record in (*boxes, *maps):
        store.write_record(record)
        store.write_robustness(made_sweep(record, metric=next(iter(record.metrics))))
    notes = [{"text": f"4 images are broken {EVIL}", "split": "test", "count": 4, "total": 9}]
    cell = {**boxes[1].cell, "training": {**boxes[1].cell["training"], "data": {"layout": "coco", "notes": notes}}}
    provenance = {**boxes[1].provenance, "samples": {"evaluated": 500, "of": 5000}}
    store.replace_record(replace(boxes[1], cell=cell, provenance=provenance))
    drawn = {
        "reference": {"boxes": [["cat", None, *TRUTH]], "left_out": 0},
        "answers": {"detector": {"boxes": [[EVIL, 0.75, *ANSWER]], "left_out": 2}},
    }
    write_drawn(store, "coco-detection", "d1" * 32, drawn, answers="boxes")
    labels = np.zeros((12, 20), dtype=np.uint16)
    labels[:, 10:] = 1
    packed = encode_label_map(labels)
    write_drawn(
        store, "coco-segmentation", "d1" * 32, {"reference": packed, "answers": {"detector": packed}},
        answers="maps", classes=["sky", EVIL],
    )  # fmt: skip
    write_report([store], folder / "report.html", ReportOptions(metrics=METRICS))
    return folder / "report.html"


def test_on_a_telephone_the_score_stands_beside_the_model(open_page: Callable[..., Any]) -> None:
    page = open_page(400)
    board = page.locator(".board").first
    headings = board.locator("thead th").evaluate_all("cells => cells.map(c => c.innerText.trim().split(/\\s/)[0])")
    assert headings[:2] == ["model", "AP"]
    edge = board.locator("xpath=..").evaluate("e => e.getBoundingClientRect().right")
    right = board.locator("tbody tr").first.locator("td .n").first.evaluate("e => e.getBoundingClientRect().right")
    assert right <= edge  # with its interval, without moving the table
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_columns_without_content_are_left_out_and_named(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.get_by_label("all columns").first.check()
    heads = page.locator(".board thead th").all_inner_texts()
    assert not any("mAP" in text or "fusion helps" in text for text in heads)
    assert any(text.startswith("ECE ↓") for text in heads)
    assert any(text.startswith("peak memory ↓") for text in heads)
    assert not any(text.startswith(("top-1 ↓", "throughput ↓", "ECE-null ↓")) for text in heads)


def test_contents_lead_to_sections_numbers_run_on_and_empty_ones_take_a_line(open_page: Callable[..., Any]) -> None:
    page = open_page()
    assert page.locator(".toc").count() == page.locator("main h2[id]").count() == 3
    links = page.locator(".toc a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert len(links) > 12
    assert page.evaluate("links => links.filter(l => document.querySelectorAll(l).length !== 1)", links) == []
    numbers = page.locator("section.block > h4 .no").all_inner_texts()
    assert numbers[:2] == ["1.1.1", "1.1.2"]
    assert len(set(numbers)) == len(numbers)
    for kind in ("Table", "Figure"):
        shown = page.locator(".cap b, figcaption b, h6 b").evaluate_all("all => all.map(e => e.textContent)")
        every = [int(text.split()[1].rstrip(".")) for text in shown if text.startswith(kind)]
        assert every == list(range(1, len(every) + 1))
        assert len(every) > 5
    assert "Left out, having no content" in page.locator("article").first.inner_text()
    levels = page.locator("h1,h2,h3,h4,h5,h6").evaluate_all("all => all.map(h => Number(h.tagName[1]))")
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_examples_and_notes_stand_with_their_own_data(open_page: Callable[..., Any]) -> None:
    page = open_page()
    task = page.locator("section.task", has=page.locator("h2", has_text="coco-detection"))
    with_examples = task.locator("article", has=page.locator(".examples"))
    assert with_examples.count() == 1
    title = with_examples.locator("h3").first.inner_text()
    assert "made-up" in title
    assert "500 of 5,000 samples" in title
    assert "4 images are broken <script>" in with_examples.locator(".told").inner_text()
    assert task.locator("article", has_text="elsewhere").locator(".told").count() == 0


def test_boxes_are_drawn_where_target_and_answer_say(open_page: Callable[..., Any]) -> None:
    page = open_page()
    drawn = page.locator("section.task", has=page.locator("h2", has_text="coco-detection")).locator("svg.over")
    assert drawn.count() == 2  # the reference's row and the model's
    assert drawn.nth(1).get_attribute("viewBox") == f"0 0 {SIZE[0]} {SIZE[1]}"
    read = "e => ['x', 'y', 'width', 'height'].map(name => e[name].baseVal.value)"
    for css, box in ((".truth .box", TRUTH), (".answer .box", ANSWER)):
        wanted = [share * side for share, side in zip(box, (*SIZE, *SIZE), strict=True)]
        assert drawn.nth(1).locator(css).evaluate(read) == pytest.approx(wanted, abs=0.06)
    picture, box = drawn.nth(1).bounding_box(), drawn.nth(1).locator(".answer .box").bounding_box()
    assert (box["x"] - picture["x"]) / picture["width"] == pytest.approx(ANSWER[0], abs=0.02)
    assert (box["y"] - picture["y"]) / picture["height"] == pytest.approx(ANSWER[1], abs=0.02)
    dashes = [drawn.nth(1).locator(css).evaluate("e => getComputedStyle(e).strokeDasharray") for css in
              (".truth .box", ".answer .box")]  # fmt: skip
    assert dashes[0] != "none" == dashes[1]  # told apart without colour
    assert drawn.nth(1).locator("text").all_text_contents() == ["a", "1"]
    row = drawn.nth(1).locator("xpath=..")
    assert f"1 {EVIL} (0.75)" in row.inner_text()
    assert "2 more" in row.inner_text()
    shot = Image.open(io.BytesIO(drawn.nth(1).screenshot())).convert("RGB")
    blue = shot.getpixel((shot.width - 6, 6))
    assert isinstance(blue, tuple)
    assert max(blue) == blue[2] > 100  # the picture stands below the boxes also where it is only referred to


def test_maps_are_laid_over_the_picture_with_a_number_in_each_region(open_page: Callable[..., Any]) -> None:
    page = open_page()
    drawn = page.locator("section.task", has=page.locator("h2", has_text="coco-segmentation")).locator("svg.over")
    uri = drawn.nth(1).locator("image.regions").get_attribute("href")
    overlay = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGBA"))
    assert overlay.shape[:2] == (24, 40)
    assert (overlay[0, 0, :3] != overlay[0, 39, :3]).any()
    assert (overlay[:, 20, 3] == 230).all()  # the line between the two
    assert 0 < overlay[0, 0, 3] < 200
    signs = drawn.nth(1).locator("text").evaluate_all("all => all.map(t => [t.textContent, t.x.baseVal[0].value])")
    (one, left), (two, right) = signs
    assert (one, two) == ("1", "2")
    assert left < SIZE[0] / 2 < right
    assert [" ".join(t.split()) for t in drawn.nth(1).locator("xpath=..").locator("li").all_inner_texts()] == [
        "1 sky, 50 %", f"2 {EVIL}, 50 %"
    ]  # fmt: skip


@pytest.mark.parametrize("width", [400, 900])
def test_the_body_never_scrolls_sideways(width: int, open_page: Callable[..., Any]) -> None:
    page = open_page(width)
    page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_pictures_and_charts_have_names_and_headings_of_columns_a_scope(open_page: Callable[..., Any]) -> None:
    page = open_page()
    nameless = "all => all.filter(e => !(e.getAttribute('alt') || e.getAttribute('aria-label'))).length"
    assert page.locator("main img, main svg.over, main svg.chart").evaluate_all(nameless) == 0
    assert page.locator("main th:not([scope])").count() == 0
    unnamed = "all => all.filter(e => e.getAttribute('aria-labelledby') && !document.getElementById("
    assert page.locator("[aria-labelledby]").evaluate_all(f"{unnamed}e.getAttribute('aria-labelledby'))).length") == 0

"""The table of supported pairs comes from the plugins, and docs/models.md shows the present one."""

from __future__ import annotations

from pathlib import Path

from harness.plan.pairs import Pair, supported_pairs
from harness.report.installed_tables import pair_table
from harness.report.tables.document import document_text

PAIRS = [
    Pair("film", "a", True, ("C0", "C1", "C2")),
    Pair("film", "b", True, ("C1", "C2")),
    Pair("probe", "b", False, ()),
]


def test_models_are_rows_and_tasks_columns() -> None:
    assert document_text([pair_table(PAIRS)], "md").splitlines() == [
        "| model |  | a | b |",
        "|---|---|---|---|",
        "| film | fused | C0–C2 | C1, C2 |",
        "| probe | un-fused |  | yes |",
    ]
    assert document_text([pair_table(PAIRS)], "text").splitlines()[2].split() == ["film", "fused", "C0–C2", "C1,", "C2"]


LEAST_FUSED = {"compositional-foils": 2}
"""Of captioners only those with one decoder choose by likelihood so far, and one dual encoder."""


def test_every_task_has_two_unfused_models_and_four_fused_ones_that_need_no_download() -> None:
    pairs, broken = supported_pairs()
    assert not broken
    for task in {pair.task for pair in pairs}:
        own = [
            pair
            for pair in pairs
            if pair.task == task and not pair.model.startswith(("hf-", "clip-", "open-", "timm-"))
        ]
        assert sum(not pair.fused for pair in own) >= 2, task
        assert sum(pair.fused for pair in own) >= LEAST_FUSED.get(task, 4), task


def test_the_page_shows_the_present_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text()
    shown = page.partition("<!-- pairs -->\n")[2].partition("\n<!-- /pairs -->")[0]
    present = document_text([pair_table(supported_pairs()[0])], "md")
    assert shown == present, "run `bench list pairs --format md` and put it there"

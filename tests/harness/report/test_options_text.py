"""docs/options.md is what the declarations make of it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from harness.option_fields import declared
from harness.plan.config import SECTIONS
from harness.plan.run_request import RunRequest
from harness.report.options_text import field_docs, render_options

PAGE = Path(__file__).parents[3] / "docs" / "options.md"


def test_the_committed_page_is_the_one_that_is_made() -> None:
    made = render_options() + "\n"
    assert PAGE.read_text(encoding="utf-8") == made, "make it anew: bench list options --format md > docs/options.md"
    assert len(made.splitlines()) <= 200


@pytest.mark.parametrize("section", SECTIONS)
def test_each_key_of_a_section_is_told_in_a_sentence(section: str) -> None:
    docs = field_docs(SECTIONS[section])
    assert list(docs) == [field.name for field in fields(SECTIONS[section])]
    assert all(text.endswith(".") for text in docs.values())


def test_the_page_names_every_option_its_values_and_its_default() -> None:
    page = render_options()
    for item in declared(RunRequest):
        assert (f"| `{item.flag}` |" in page) == (item.name != "track")
    assert "| `--seeds` | a whole number from 1 to 1,000 | 1 | Training seeds per model. |" in page
    assert "| `precision` | `auto`, `fp32`, `bf16`, `fp16` | auto |" in page
    assert "| `dropout` | a number, 0 or more and less than 1 | 0.1 |" in page
    assert "| `limit` | a whole number from 1 |  | Training samples at most. |" in page

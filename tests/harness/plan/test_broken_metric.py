"""A metric plugin that does not work is named by `bench list`, and on each run; the others stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.plan.installed import catalogue

Install = Callable[[str, dict[str, dict[str, str]], str], Path]


def test_a_broken_metric_is_named_and_hides_no_other(install: Install) -> None:
    install("broken_metric", {"bench.metrics": {"odd": "broken_metric:NOTHING"}}, "")
    entries, (error,) = catalogue("metrics")
    assert "'odd'" in str(error) and "broken_metric" in str(error)
    kinds = {entry.name: entry.kind for entry in entries}
    assert kinds["ECE"].startswith("↓") and kinds["top-1"].startswith("↑")

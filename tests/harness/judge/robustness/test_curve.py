"""The curve: means by severity, clean at 0, nothing where a part is missing; and a reference by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import DataError, UsageError
from harness.judge.robustness.cells import STANDARD_CELLS
from harness.judge.robustness.reference_table import find_reference, read_reference_table, write_reference_table
from harness.judge.robustness.summary import summaries
from harness.record import RobustnessRecord
from harness.report.robustness_curve import mean_curve, write_curve


def test_the_curve_is_the_mean_over_corruptions_by_severity(record: Callable[..., RobustnessRecord]) -> None:
    cells = {("fog", 1): 0.6, ("jpeg", 1): 0.4, ("fog", 2): 0.2, ("jpeg", 2): "failed: no", ("typo-keyboard", 3): 0.1}
    (row,) = summaries([record("a", 0.8, cells)], [])
    assert {s: figure.value for s, figure in mean_curve(row).items()} == pytest.approx({0: 0.8, 1: 0.5})


def test_it_is_drawn_to_a_file(record: Callable[..., RobustnessRecord], tmp_path: Path) -> None:
    rows = summaries([record("a<b>", 0.8, {("fog", 1): 0.6}), record("c", 0.7, {("fog", 1): 0.5})], [])
    write_curve(rows, tmp_path / "curve.svg")
    content = (tmp_path / "curve.svg").read_text()
    assert content.startswith("<svg") and "a&lt;b&gt;" in content and "severity (0: clean)" in content
    write_curve(rows, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match=r"ends in .svg or .png"):
        write_curve(rows, tmp_path / "curve.gif")
    with pytest.raises(DataError, match="no curve"):
        write_curve(summaries([record("a")], []), tmp_path / "none.svg")


def test_a_reference_is_found_by_model_file_or_name(record: Callable[..., RobustnessRecord], tmp_path: Path) -> None:
    records = [record("a", 0.8, dict.fromkeys(STANDARD_CELLS, 0.5)), record("b", 0.7, control="C0")]
    found = find_reference("a", records)
    assert found.name == "a" and found.clean_error == pytest.approx(0.2)
    write_reference_table(tmp_path / "a.json", found)
    assert find_reference(str(tmp_path / "a.json"), []) == read_reference_table(tmp_path / "a.json")
    assert find_reference("alexnet", []).name.lower().startswith("alexnet")
    with pytest.raises(UsageError, match=r"no such model here.*'a'"):
        find_reference("aa", records)

"""Groups of stored and of given answers: what is scored, what is left out, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.answers import CAPTIONS, LABELS
from harness.errors import UsageError
from harness.judge.groups import GroupLine, group_lines
from harness.records.group_columns import read_group_columns
from harness.records.sample_scores import Scored
from harness.report.group_tables import groups_document, render_groups
from harness.sample import Outcome, Sample
from harness.stats.proportions import proportion


def scored(labels: list[int], said: list[int]) -> Scored:
    samples = [Sample(str(n), Path(), SimpleNamespace(label=label, labels=())) for n, label in enumerate(labels)]
    outcomes = [Outcome(sample.sample_id, answer) for sample, answer in zip(samples, said, strict=True)]
    right = np.array(labels) == np.array(said)
    return Scored(samples, outcomes, {"top-1": proportion(right), "ECE": None, "top-1[a]": proportion(right)})


def lines_of(tmp_path: Path, header: str, rows: list[str], answers: str = LABELS, **asked: Any) -> list[GroupLine]:
    path = tmp_path / "g.csv"
    path.write_text("\n".join([f"sample_id,{header}", *(f"{n},{row}" for n, row in enumerate(rows))]), encoding="utf-8")
    task: Any = SimpleNamespace(metrics=("top-1",), answers=answers)
    found = scored([1, 1, 1, 0, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0])
    return group_lines("film", task, found, read_group_columns(str(path)), **asked)


def test_one_column_in_both_directions(tmp_path: Path) -> None:
    rows = ["a,a", "a,a", "a,a", "a,b", "b,b", "b,b", "b,b", "b,b"]
    (line,) = lines_of(tmp_path, "light,light predicted", rows)
    assert (line.metric, line.samples, line.of, line.notes) == ("top-1", 8, 8, ())
    assert line.gap is not None and line.gap.gap is not None and line.gap.gap.value == pytest.approx(0.25)
    assert (line.gap.worst, line.gap.best) == ("a", "b")
    assert line.to_labels is not None and line.to_labels.value == pytest.approx(1 / 8)
    assert line.to_groups is not None and line.to_groups.value == pytest.approx(1 / 8)
    text = render_groups([line], "text")
    assert "groups by light: top-1 ↑" in text and "+0.125" in text and "the smallest group has 4 samples" in text
    assert json.loads(render_groups([line], "json"))[0]["gap"]["groups"]["a"]["value"] == 0.75


def test_what_is_not_known_is_left_out_and_said(tmp_path: Path) -> None:
    first, second = lines_of(tmp_path, "light,place", ["a,x", "a,x", "a,x", ",x", "b,x", "b,x", "b,x", "b,x"])
    assert first.samples == 7 and first.to_groups is None
    assert first.notes == (
        "1 of 8 samples have no light",
        "no column 'light predicted': amplification from labels to light is not known",
    )
    assert second.gap is None and second.notes == ("place: fewer than two groups of two samples or more",)
    assert "–" in "".join(map(str, groups_document([first, second])))
    (caption,) = lines_of(tmp_path, "light", [*"aaaabbbb"], CAPTIONS)
    assert caption.gap is not None and caption.to_labels is None and caption.notes == ()


def test_amplification_is_a_mean_over_all_classes_also_those_never_answered(tmp_path: Path) -> None:
    rows = ["a", "a", "a", "a", "b", "b", "b", "b"]
    (two,) = lines_of(tmp_path, "light", rows)
    (four,) = lines_of(tmp_path, "light", rows, classes=4)
    assert two.to_labels is not None and four.to_labels is not None
    assert four.to_labels.value == pytest.approx(two.to_labels.value / 2)


def test_of_an_error_the_worst_group_is_the_highest(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text("\n".join(["sample_id,light", *(f"{n},{'aaaabbbb'[n]}" for n in range(8))]), encoding="utf-8")
    found, task = scored([1] * 8, [0, 0, 0, 1, 1, 1, 1, 1]), SimpleNamespace(metrics=("top-1",), answers=LABELS)
    found = replace(found, statistics={"ECE": proportion(np.arange(8) < 3), "ECE-null": proportion(np.arange(8) < 3)})
    (line,) = group_lines("film", task, found, read_group_columns(str(path)), "ECE")  # type: ignore[arg-type]
    assert line.gap is not None and (line.gap.worst, line.gap.best) == ("a", "b")
    assert line.gap.gap is not None and line.gap.gap.value == pytest.approx(0.75)
    (line,) = group_lines("film", task, found, read_group_columns(str(path)), "ECE-null")  # type: ignore[arg-type]
    assert (
        line.gap is not None and line.gap.best == "a" and line.notes[0].startswith("neither end of ECE-null is better")
    )


def test_another_metric_is_named_or_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--metric ECE: these answers have none"):
        lines_of(tmp_path, "light", [*"aaaabbbb"], metric="ECE")

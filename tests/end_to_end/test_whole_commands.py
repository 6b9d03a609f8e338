"""`bench score` beside a plain script on the same files, in CPU seconds of whole processes.

Small sizes, at which starting up is much of ours, and wide limits: they are there to see a command that has become
several times as slow. `tests/benchmarks/bench_whole_commands.py` measures real sizes. What made a command slow is
counted instead of timed, which no other process can disturb.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

import tasks.classification.data
import tasks.formats.label_maps
import tasks.segmentation.data
from harness.cli.main import app
from harness.metrics.boxes.drawn_precision import DrawnPrecision
from harness.metrics.boxes.left_out import LeftOut
from harness.stats import intervals
from tasks.formats.label_outcomes import LabelOutcomes
from tests.benchmarks.bench_whole_commands import commands, run
from tests.benchmarks.whole_commands import WHOLE_COMMANDS


@pytest.mark.parametrize(
    ("name", "size", "most", "most_without"), [("detection", 400, 0.9, 0.5), ("maps", 100, 3.5, 2.5)]
)
def test_a_command_takes_few_times_the_seconds_of_a_script(
    name: str, size: int, most: float, most_without: float, tmp_path: Path
) -> None:
    script, ours, without = (
        run(command, tmp_path / "cache").seconds
        for what, command in commands(WHOLE_COMMANDS[name](tmp_path, size)).items()
        if "empty" not in what
    )
    assert ours < most * script, f"{ours:.1f} s of CPU, the script {script:.1f} s"
    assert without < most_without * script, f"{without:.1f} s of CPU without intervals, the script {script:.1f} s"


def counted(monkeypatch: pytest.MonkeyPatch, calls: Counter[str], *places: tuple[ModuleType | type, str]) -> None:
    """Count the calls of some functions from now on."""

    def counting(name: str, real: Any) -> Any:
        def call(*given: Any, **more: Any) -> Any:
            calls[name] += 1
            return real(*given, **more)

        return call

    for place, name in places:
        monkeypatch.setattr(place, name, counting(name, getattr(place, name)))


def scored(name: str, size: int, folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> dict[str, Any]:
    """Score in this process; gives what is printed."""
    monkeypatch.setenv("BENCH_CACHE", str(folder / "cache"))
    arguments = ["score", *WHOLE_COMMANDS[name](folder, size).score, "--format", "json", *more]
    found = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    printed: dict[str, Any] = json.loads(found.stdout)
    return printed


@pytest.mark.parametrize(("name", "size"), [("detection", 20), ("captions", 4), ("maps", 3), ("labels", 20)])
def test_of_0_resamples_a_command_works_out_no_interval(
    name: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    costs = ("draw_resamples", "jackknife_together", "percentile_interval", "wilson", "t_quantile")
    counted(monkeypatch, calls, *((intervals, cost) for cost in costs))
    counted(monkeypatch, calls, (DrawnPrecision, "precision"), (LeftOut, "precision"))
    printed = scored(name, size, tmp_path, monkeypatch, "--resamples", "0")
    assert not calls, calls
    ends = {(one["low"], one["high"]) for one in printed["metrics"].values() if one is not None}
    assert ends == {(None, None)}


def test_probabilities_stay_columns_and_their_folder_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    counted(monkeypatch, calls, (LabelOutcomes, "__iter__"), (LabelOutcomes, "__getitem__"))
    counted(monkeypatch, calls, (tasks.classification.data, "read_labels_of"))
    scored("labels", 60, tmp_path, monkeypatch)
    assert calls["__iter__"] == calls["__getitem__"] == 0, "answers were made lists"
    assert calls["read_labels_of"] == 1


def test_label_images_are_compared_as_they_are_stored_and_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    counted(monkeypatch, calls, (tasks.formats.label_maps, "to_class_map"))
    counted(monkeypatch, calls, (tasks.segmentation.data, "read_label_folders"))
    scored("maps", 4, tmp_path, monkeypatch)
    assert calls == {"read_label_folders": 1}

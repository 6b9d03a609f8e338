"""What a run's end says of cells that have no number of their own, and which of them make the command fail."""

from __future__ import annotations

import pytest

from harness.cli.run import unmeasured
from harness.run.runner import RunSummary


def test_a_cell_that_differs_from_another_runs_makes_the_command_fail(capsys: pytest.CaptureFixture[str]) -> None:
    assert unmeasured(RunSummary(ok=2, failed=0, skipped=0, found=2), "a-task") == 0
    assert capsys.readouterr().err == ""
    assert unmeasured(RunSummary(ok=2, failed=1, skipped=0, found=2, conflicts=1), "a-task") == 2
    assert capsys.readouterr().err == "bench: a-task: 1 cell in conflict with another run.\n"

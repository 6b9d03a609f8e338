"""`bench score` beside a plain script on the same files, in CPU seconds of whole processes.

Small sizes, at which starting up is much of ours, and wide limits: they are there to see a command that has become
several times as slow. `tests/benchmarks/bench_whole_commands.py` measures real sizes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.bench_whole_commands import commands, run
from tests.benchmarks.whole_commands import WHOLE_COMMANDS


@pytest.mark.parametrize(("name", "size", "most", "most_without"), [("detection", 400, 1.5, 1.2), ("maps", 100, 6, 6)])
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

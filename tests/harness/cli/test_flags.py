"""`bench run` has a flag for each declared option, and commands with many options show them in panels."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from harness.cli.flags import given
from harness.cli.main import app
from harness.errors import BenchError
from harness.option_fields import declared
from harness.plan.run_request import PANELS, RunRequest


def help_of(command: str) -> str:
    done = CliRunner().invoke(app, [command, "--help"], terminal_width=200)
    assert done.exit_code == 0, done.output
    return done.output


def panels_of(command: str) -> dict[str, list[str]]:
    """The flags under each heading of a command's help."""
    found: dict[str, list[str]] = {}
    for line in help_of(command).splitlines():
        if re.fullmatch(r"[A-Z][\w ]+:", line):
            found[line[:-1]] = []
        elif flag := re.match(r"  (?:-h, )?(--[\w-]+)", line):
            list(found.values())[-1].append(flag[1])
    return found


def test_run_has_a_flag_for_each_option_in_its_panel_and_no_other() -> None:
    panels = panels_of("run")
    assert tuple(panels) == (*PANELS, "Other options")
    shown = {flag: name for name, flags in panels.items() for flag in flags}
    wanted = {item.flag: item.option.panel for item in declared(RunRequest) if item.option and not item.option.hidden}
    assert {flag: shown[flag] for flag in wanted} == wanted
    assert set(shown) - set(wanted) == {"--vision-args", "--set", "--config", "--debug", "--wide", "--help"}


def test_help_gives_the_words_and_the_default_of_the_declaration() -> None:
    text = " ".join(help_of("run").split())
    assert "--seeds <int> Training seeds per model. [default: 1]" in text
    assert "--job-timeout <time> End a job that makes no report for so long, as one that hangs; 0: never." in text
    assert "as one that hangs; 0: never. [default: 1h]" in text
    assert "--jobs <int> Models trained in parallel. [default: one per core or GPU]" in text
    assert "--limit <int> Evaluate on the first N samples only. --" in text


DRAWN = ("run", "score", "leaderboard", "robustness", "compare", "verdict", "check", "list", "rescore", "doctor")


@pytest.mark.parametrize("command", DRAWN)
def test_where_columns_may_be_left_out_all_can_be_asked_for(command: str) -> None:
    """A table that leaves columns out says that --wide shows them: it must be there."""
    assert "--wide" in help_of(command)


@pytest.mark.parametrize("command", ["run", "score"])
def test_the_older_name_is_not_shown(command: str) -> None:
    assert "--track" not in help_of(command)


def commands_with_many_options() -> list[str]:
    group: Any = typer.main.get_command(app)
    return sorted(name for name, command in group.commands.items() if len(command.params) > 6)


def test_there_are_commands_with_many_options() -> None:
    found = "check compare doctor groups load monitor rescore robustness run score serve study verdict"
    assert commands_with_many_options() == found.split()


@pytest.mark.parametrize("command", commands_with_many_options())
def test_commands_with_many_options_show_them_in_panels(command: str) -> None:
    panels = panels_of(command)
    assert "Options" not in panels
    assert set(panels) <= {"Arguments", *PANELS, "Other options"}
    assert set(panels.pop("Other options")) <= {"--help", "--debug"}
    assert len(panels) >= 2


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--controls"], "all"),
        (["--controls", "--seeds", "2"], "all"),
        (["--controls", "C1,C2", "--seeds", "2"], "C1,C2"),
        (["--seeds", "2", "--controls=C4"], "C4"),
        ([], None),
    ],
)
def test_a_flag_may_stand_alone_where_that_is_declared(words: list[str], wanted: str | None) -> None:
    command: Any = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    assert command.make_context("run", list(words)).params["controls"] == wanted


def test_what_is_given_twice_is_joined_and_what_is_not_given_is_left_out() -> None:
    flags = {"log": ["wandb", "mlflow"], "seeds": 2, "data": None, "track": [], "controls": False}
    assert given(flags) == {"log": "wandb,mlflow", "seeds": 2, "controls": False}


def test_the_command_line_starts_with_its_declarations_alone() -> None:
    """What reads plans, records or plugins waits inside the commands, so that --help is quick."""
    check = "import sys, harness.cli.main; print(*sorted(m for m in sys.modules if m.startswith('harness.')))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    others = {name for name in done.stdout.split() if not name.startswith(("harness.cli", "harness.text"))}
    assert others == {
        "harness.errors", "harness.option_fields", "harness.plan", "harness.plan.environment", "harness.plan.names",
        "harness.plan.run_request", "harness.storage", "harness.storage.cache_in_use",
    }  # fmt: skip


def test_tasks_are_chosen_by_name_where_records_are_mended_and_reported(tmp_path: Path) -> None:
    for arguments in (["mend", "--task", "all"], ["report", "--task", ",", "--out", str(tmp_path / "r.html")]):
        done = CliRunner().invoke(app, [*arguments, "--results", str(tmp_path / "none")])
        assert isinstance(done.exception, BenchError), done.exception

"""A call builds the flags of its own command alone, and whatever it names is understood as by the whole application."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from harness.cli.main import app
from harness.cli.one_command import with_command_of


@pytest.mark.parametrize(
    "words",
    [["list"], ["list", "modls"], ["run", "--nope"], ["data", "lst"], ["data", "--help"], ["verdict", "-h"], ["lst"],
     ["--help"], []],
)  # fmt: skip
def test_help_and_errors_are_those_of_the_whole_application(words: list[str]) -> None:
    alone, whole = (CliRunner().invoke(each, words, prog_name="bench") for each in (with_command_of(app, words), app))
    assert (alone.exit_code, alone.output, alone.stderr) == (whole.exit_code, whole.output, whole.stderr)


@pytest.mark.parametrize("name", sorted(getattr(typer.main.get_command(app), "commands", {})))
def test_every_command_is_found_and_made_alone(name: str) -> None:
    made = typer.main.get_command(with_command_of(app, [name]))
    assert list(getattr(made, "commands", {})) == [name]

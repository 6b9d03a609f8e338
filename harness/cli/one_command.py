"""The part of a command line that one call needs: to make the flags of thirty commands takes longer than most lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy

import typer
from typer.main import get_command_name
from typer.models import CommandInfo, TyperInfo


def with_command_of(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """Leave an application only the command or group that the `words` of a call begin with; all where it has no such.

    What is left understands the words, and shows its help and its errors, as the whole application does.
    """
    wanted = words[0] if words else ""
    commands = [each for each in _commands(app) if _name(each) == wanted]
    groups = [each for each in app.registered_groups if each.name == wanted]
    if not commands and not groups:
        return app
    alone = copy(app)
    within = typer.Typer()
    within.registered_commands = commands
    alone.registered_commands = []
    alone.registered_groups = groups or [TyperInfo(within)]  # an application of one command would drop its name
    return alone


def _commands(app: typer.Typer) -> Iterator[CommandInfo]:
    """The commands of an application and of the groups without a name that it was put together from."""
    yield from app.registered_commands
    for group in app.registered_groups:
        if not isinstance(group.name, str) and group.typer_instance:
            yield from _commands(group.typer_instance)


def _name(command: CommandInfo) -> str | None:
    return command.name or (get_command_name(command.callback.__name__) if command.callback else None)

"""Flags of `bench` made from declared options, and help that shows them in panels."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from harness.option_fields import Declared, declared
from harness.plan.run_request import PANELS, RunRequest

in_what, in_data, in_models, in_training, in_measuring, in_output = (
    partial(typer.Option, rich_help_panel=panel) for panel in PANELS
)
"""Declare an option of a command in one of the panels."""
_ARGUMENTS, _OTHERS = "Arguments", "Other options"


def takes_options_of(kind: type, only: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a flag for each field of `kind`, or some, in the place of its `**flags`; None where not given."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        written = inspect.signature(command, eval_str=True).parameters.values()
        own = [parameter for parameter in written if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
        parameters = [*(_parameter(item) for item in declared(kind) if not only or item.name in only), *own]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """Join what was given more than once with commas, and leave out what was not given."""
    return {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in flags.items()
        if value is not None and value != []
    }


class InPanels(TyperCommand):
    """A command whose help shows its options in panels, and whose flags may stand alone where they are declared so."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a flag that stands alone the value that it stands for: `--controls` is `--controls=all`."""
        own = {flag for parameter in self.get_params(ctx) for flag in parameter.opts}
        meant = {item.flag: item.option.alone for item in declared(RunRequest) if item.option and item.flag in own}
        return super().parse_args(ctx, list(completed(args, meant)))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write each panel's options under its name, those of none last."""
        panels: dict[str, list[tuple[str, str]]] = {name: [] for name in (_ARGUMENTS, *PANELS, _OTHERS)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            panel = _ARGUMENTS if parameter.param_type_name == "argument" else getattr(parameter, "rich_help_panel", "")
            panels[panel or _OTHERS].append(record)
        for name, records in panels.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


def completed(args: Sequence[str], meant: Mapping[str, str]) -> Iterator[str]:
    """Put behind each flag that stands alone, with no value after it, what is `meant` by that; nothing of no meaning.

    >>> list(completed(["--controls", "--seeds", "2", "--controls", "C1"], {"--controls": "all", "--seeds": ""}))
    ['--controls=all', '--seeds', '2', '--controls', 'C1']
    """
    for word, after in zip_longest(args, args[1:], fillvalue="-"):
        value = meant.get(word) if after.startswith("-") else None
        yield f"{word}={value}" if value else word


def _parameter(item: Declared) -> inspect.Parameter:
    option = item.option
    assert option is not None, f"{item.name}: declare it with an Option"
    default = item.shown_default
    shown = f"{option.help} [default: {default}]" if default else option.help
    kind = list[str] if option.many else str if item.is_time else item.kind
    metavar = "<time>" if item.is_time else "[<text>]" if option.alone else None
    flag = typer.Option(item.flag, help=shown, rich_help_panel=option.panel, hidden=option.hidden, metavar=metavar)
    return inspect.Parameter(
        item.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, flag]
    )

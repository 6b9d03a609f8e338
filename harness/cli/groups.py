"""`bench groups`: stored predictions scored by groups that the user gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.flags import InPanels, in_data, in_measuring, in_output
from harness.cli.options import Results, StoredTask, environment_of_command, require_choice, stored_tasks, tell
from harness.cli.shown import Wide, show_document

if TYPE_CHECKING:
    from harness.judge.groups import GroupLine

app = typer.Typer()


@app.command(cls=InPanels)
def groups(
    file: Annotated[str, typer.Argument(help="FILE.csv of sample_id and columns of groups, or FILE.csv:column.")],
    task: StoredTask = None,
    results: Results = "results/local",
    data: Annotated[str | None, in_data(help="Data of the records. [default: where the run found it]")] = None,
    metric: Annotated[str | None, in_measuring(help="Score groups by this one. [default: the first]")] = None,
    style: Annotated[str, in_output("--format", help="text, md or json.")] = "text",
    wide: Wide = False,
) -> None:
    """Score stored predictions by your groups: worst group, gaps with intervals, directional bias amplification."""
    from harness.judge.groups import stored_group_lines
    from harness.records.group_columns import read_group_columns
    from harness.records.rescore import DataPlace
    from harness.records.store import Store

    require_choice("--format", style, ("text", "md", "json"))
    columns = read_group_columns(file)
    place = DataPlace(environment_of_command(), data)
    lines = [
        line
        for name in stored_tasks(task, [results])
        for line in stored_group_lines(name, Store(results), columns, place, metric)
    ]
    show_groups(lines, style, wide=wide)


def show_groups(lines: list[GroupLine], style: str, *, wide: bool) -> None:
    """Print what was found by groups."""
    from harness.report.group_tables import groups_document, render_groups

    if style == "json":
        tell(render_groups(lines, style))
    else:
        show_document(groups_document(lines), style, wide=wide)

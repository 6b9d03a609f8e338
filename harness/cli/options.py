"""What the commands of `bench` share: options, where the machine's places are, how text leaves."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from harness.cli.flags import in_measuring, in_output, in_what
from harness.errors import StoreError, UsageError, nearest
from harness.plan.names import chosen_tasks
from harness.text.outside_text import visible

if TYPE_CHECKING:
    from harness.plan.run_plan import Environment
    from harness.protocols import DataContext
    from harness.storage.content import Progress

_OF_A_FIRST_RUN = "results/local"
"""The folder that a run makes which is told of no other: it may not be there yet."""
StoredTask = Annotated[str | None, in_what("--task", help="Tasks to show, a,b. [default: all with records]")]
Results = Annotated[str, in_what(help="Where records are: a folder or an fsspec URL.")]
Format = Annotated[str, in_output("--format", help="text, md, csv or json.")]
Margin = Annotated[float, in_measuring(help="Smallest difference of interest, in the metric's unit.")]
StandIn = Annotated[str | None, in_measuring(help="Un-fused model that serves as C0 of models that offer none.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the tracebacks of plugins that fail.")]
Out = Annotated[Path | None, in_output(help="Write to this file instead of standard output.")]
Predictions = Annotated[
    Path | None,
    in_what(
        help="Predictions in the task's standard format. Labels: CSV or Parquet of sample_id and label (all names, all "
        "class folders such as WordNet ids, or all indices from 0; --set task.labels=name or index where both fit) or "
        "label_index, or a column of probabilities for each class."
    ),
]


def environment_of_command() -> Environment:
    """Read where the cache and the data are; records tell the command line as it was typed."""
    from harness.plan.environment import environment as read

    return read(shlex.join(["bench", *sys.argv[1:]]))


def data_context(
    here: Environment, data: str | None, split: str | None, settings: Mapping[str, Any], progress: Progress
) -> DataContext:
    """Say where a task is to look for data, which may be a folder or the name of a data set; raises DataError."""
    from harness.acquire.sources import folder_of
    from harness.protocols import DataContext

    place = folder_of(data, here.cache, progress)
    return DataContext(place, split, here.bench_data, here.working_directory, here.cache, progress, settings)


def tell(text: str, stream: TextIO | None = None) -> None:
    """Print a text whose names may come from outside, at once also into a pipe; by default to standard output."""
    print(visible(text), file=stream, flush=True)


def write(text: str, out: Path | None) -> None:
    """Print a text, or write it to the file of `--out`, in UTF-8."""
    if out is None:
        tell(text)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(visible(text) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"Cannot write --out {out}: {error.strerror}. Give another file.") from None


def stored_tasks(wish: str | None, results: Sequence[str]) -> list[str]:
    """Name the tasks to show: those that were asked for, else all that have records in one of the folders.

    A task with records whose plugin is not installed is named on standard error. Raises StoreError for a local folder
    that is not there, but for the one that a first run will make.
    """
    from harness.judge.stored_rows import tasks_with_records
    from harness.records.folder import Folder

    for folder in results:
        if folder != _OF_A_FIRST_RUN:
            Folder(folder).require_there()
    if wish not in (None, "all"):
        return chosen_tasks(str(wish))
    known, unknown = tasks_with_records(results)
    for name in unknown:
        tell(f"{name}: left out, as no plugin of this task is installed.", sys.stderr)
    return known


def require_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not among the choices, naming the nearest."""
    if value not in choices:
        raise UsageError(f"{option}: unknown value '{value}'. {nearest(value, choices)}")


def task_settings(task: Any, given: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Gather a task's settings from flags and `--set task.KEY=VALUE`; raises UsageError for one it does not take."""
    from harness.plan.config import parse_setting

    found = {name: value for name, value in given.items() if value is not None}
    for setting in settings:
        section, name, value = parse_setting(setting)
        if section != "task":
            raise UsageError(f"--set {setting}: bench score takes settings of the task only, as task.KEY=VALUE.")
        found[name] = value
    for name in found:
        if name not in task.settings:
            raise UsageError(f"{task.name} takes no setting '{name}'. {nearest(name, task.settings)}")
    return found

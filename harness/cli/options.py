"""What the commands of `bench` share: options, where the machine's places are, how text leaves."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from harness.cli.flags import in_output, in_what
from harness.errors import StoreError, UsageError, nearest
from harness.text.outside_text import visible

if TYPE_CHECKING:
    from harness.plan.run_plan import Environment

StoredTask = Annotated[str | None, in_what("--task", help="Tasks to show, a,b. [default: all with records]")]
Results = Annotated[str, in_what(help="Where records are: a folder or an fsspec URL.")]
Format = Annotated[str, in_output("--format", help="text, md, csv or json.")]
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


def environment() -> Environment:
    """Read where the cache and the data are; nothing else looks at environment variables.

    Raises StoreError where there can be no cache. One that is there may be read-only: what it holds is used.
    """
    from harness.plan.run_plan import Environment

    wish = cache_wish()
    if wish is None:
        raise StoreError(
            "There is no place for the cache: HOME is not set, and this user has no entry in passwd. Set BENCH_CACHE "
            "to a folder that can be written, or HOME."
        )
    cache = Path(wish)
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The cache {cache} cannot be made: {error.strerror}. Set BENCH_CACHE to a folder that can be written."
        ) from None
    command = shlex.join(["bench", *sys.argv[1:]])
    return Environment(Path.cwd(), cache, os.environ.get("BENCH_DATA") or None, command)


def cache_wish() -> str | None:
    """Say where the cache is to be: $BENCH_CACHE, else below $XDG_CACHE_HOME or home; None where there is no home."""
    wish = os.environ.get("BENCH_CACHE")
    try:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache") if not wish else ""
        return str(Path(wish or f"{base}/fusemark").expanduser())
    except RuntimeError:  # neither HOME nor an entry in passwd: `docker --user 54321`
        return None


def tell(text: str, stream: TextIO | None = None) -> None:
    """Print a text whose names may come from outside; by default to standard output."""
    print(visible(text), file=stream)


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


def words(text: str | None) -> list[str]:
    """Split a,b into words; none of nothing."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def task_names(wish: str) -> list[str]:
    """Split a,b or all into names of tasks."""
    from harness.plan.plugins import task_names as installed

    names = installed() if wish == "all" else words(wish)
    if not names:
        raise UsageError("--task is empty. Name tasks with commas between, or take 'all'.")
    return names


def stored_tasks(wish: str | None, results: Sequence[str]) -> list[str]:
    """Name the tasks to show: those that were asked for, else all that have records in one of the folders.

    A task with records whose plugin is not installed is named on standard error, since nobody can say what ranks it.
    """
    from harness.plan.plugins import INTERNAL_TASKS
    from harness.plan.plugins import task_names as installed
    from harness.records.store import Store

    if wish not in (None, "all"):
        return task_names(wish)
    stored = {name for url in results for name in Store(url).tasks()}
    known = installed()
    for name in sorted(stored - set(known) - INTERNAL_TASKS):
        tell(f"{name}: left out, as no plugin of this task is installed.", sys.stderr)
    return [name for name in known if name in stored]


def require_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not among the choices, naming the nearest."""
    if value not in choices:
        raise UsageError(f"{option}: unknown value '{value}'. {nearest(value, choices)}")

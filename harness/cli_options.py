"""What the commands of `bench` share: options, where the machine's places are, how text leaves."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from harness.errors import StoreError, UsageError, nearest
from harness.outside_text import visible

if TYPE_CHECKING:
    from harness.plan import Environment

Results = Annotated[str, typer.Option(help="Where records are: a folder or an fsspec URL.")]
Format = Annotated[str, typer.Option("--format", help="text, md, csv or json.")]
Out = Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")]


def environment() -> Environment:
    """Read where the cache and the data are; nothing else looks at environment variables."""
    from harness.plan import Environment

    cache = os.environ.get("BENCH_CACHE") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fusemark"
    )
    command = shlex.join(["bench", *sys.argv[1:]])
    return Environment(Path.cwd(), Path(cache).expanduser(), os.environ.get("BENCH_DATA") or None, command)


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
    from harness.plugins import task_names as installed

    names = installed() if wish == "all" else words(wish)
    if not names:
        raise UsageError("--task is empty. Name tasks with commas between, or take 'all'.")
    return names


def require_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not among the choices, naming the nearest."""
    if value not in choices:
        raise UsageError(f"{option}: unknown value '{value}'. {nearest(value, choices)}")

"""`bench data`: data sets by name, and the built-in one written to disk."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.flags import in_output
from harness.cli.options import Debug, data_context, environment_of_command, require_choice, task_settings, tell, write
from harness.cli.run import reporter_for
from harness.cli.shown import Wide, show_document
from harness.errors import cause_of
from harness.plan.names import words

if TYPE_CHECKING:
    from harness.acquire.installed_sets import SetShelf

app = typer.Typer(
    help="Get data sets by name, verify them, write built-in data.", no_args_is_help=True, rich_markup_mode=None
)
_Name = Annotated[str, typer.Argument(help="A name of 'bench data list'.")]
_Style = Annotated[str, in_output("--format", help="text or json.")]
_MOST_TOLD = 20


@app.command(name="list")
def list_(style: Annotated[str, in_output("--format", help="text, md or json.")] = "text", debug: Debug = False,
          wide: Wide = False) -> None:  # fmt: skip
    """List the data sets that have a name: size, licence, tasks, and what of them is on this machine."""
    import sys

    from harness.acquire.known_sets import known_sets
    from harness.report.data_set_tables import data_set_rows, data_set_table
    from harness.report.tables.values import json_text

    require_choice("--format", style, ("text", "md", "json"))
    known, broken = known_sets()
    shelf = _shelf()
    rows = data_set_rows(known, [found for name in shelf.names() if (found := shelf.find(name)) is not None])
    if style == "json":
        tell(json_text([asdict(row) for row in rows]))
    else:
        show_document([data_set_table(rows)], style, wide=wide)
    for error in broken:
        tell(f"broken: {error}", sys.stderr)
        if debug:
            tell(cause_of(error), sys.stderr)
    if broken:
        raise typer.Exit(2)


@app.command()
def get(
    name: _Name,
    parts: Annotated[str | None, typer.Option(help="Parts, a,b. [default: all that most need]")] = None,
    brought: Annotated[
        Path | None, typer.Option("--from", help="Folder with the archives as they are served, or one archive.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Folder to put it into. [default: in the cache]")] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Only N images of each part, one by one.")] = None,
    seed: Annotated[int, typer.Option(help="Of --images: which ones.")] = 0,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Keep what was fetched, packed.")] = False,
) -> None:
    """Fetch, check and unpack a data set; run again after an interruption, it goes on where it was."""
    from harness.acquire.get import GetRequest, get, set_name
    from harness.acquire.known_sets import known_set

    known, shelf = known_set(name), _shelf()
    wish = GetRequest(tuple(words(parts)) if parts else (), brought, to, images, seed, keep_archives)
    reporter = reporter_for("")
    try:
        found = get(known, wish, shelf, reporter.progress)
    finally:
        reporter.close()
    for file in found.files:
        if not file.known:
            tell(f"{file.name}: no digest of it was known; what came has sha256 {file.sha256} and is on record.")
    tell(f"{found.name} ({', '.join(found.parts)}) is in {found.data_folder}")
    if found.of and known.tasks:
        tell(f"bench run --task {known.tasks[0]} --data {set_name(known, wish)} --model all")


@app.command()
def verify(name: _Name, style: _Style = "text") -> None:
    """Digest every file of a data set and compare with what was got; exits with 1 where something differs."""
    from harness.acquire.installed_sets import require_installed
    from harness.acquire.installed_sets import verify as compare

    require_choice("--format", style, ("text", "json"))
    shelf, reporter = _shelf(), reporter_for("")
    found = require_installed(shelf, name)
    damage = compare(shelf, found, reporter.progress)
    reporter.close()
    if style == "json":
        tell(json.dumps({"name": name, "folder": found.folder, "whole": not damage} | asdict(damage)))
    else:
        for kind, paths in asdict(damage).items():
            for path in paths[:_MOST_TOLD]:
                tell(f"{kind}: {path}")
            if len(paths) > _MOST_TOLD:
                tell(f"{kind}: {len(paths) - _MOST_TOLD:,} more")
        count = f"{len(shelf.digests(name)):,} files"
        tell(f"{name}: {count} are as they were got." if not damage else f"{name} is not as it was got. Delete "
             f"{found.folder} and run 'bench data get {found.of or name}' again, or mend what is named.")  # fmt: skip
    if damage:
        raise typer.Exit(1)


@app.command()
def where(name: _Name) -> None:
    """Print the folder of a data set, as scripts need it."""
    from harness.acquire.installed_sets import require_installed

    tell(str(require_installed(_shelf(), name).data_folder))


@app.command()
def audit(
    data: Annotated[str, typer.Argument(help="What --data takes: a name, a folder, hf:…, or scenes.")],
    task: Annotated[str, typer.Option(help="Task that reads it.")],
    out: Annotated[Path | None, in_output(help="Also write a page: a file .html.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Settings of the task: task.KEY=VALUE.")] = None,
    style: Annotated[str, in_output("--format", help="text, md or json.")] = "text",
    wide: Wide = False,
) -> None:
    """Look for what of the data bears on scores: broken, odd, shared, guessable and unbalanced; trains nothing."""
    from harness.audit.audit import audit_data
    from harness.audit.kept_audits import audit_content, keep_audit
    from harness.plan.plugins import load_task
    from harness.protocols import open_data
    from harness.report.audit_tables import audit_document, render_audit_page

    require_choice("--format", style, ("text", "md", "json"))
    here, plugin, reporter = environment_of_command(), load_task(task), reporter_for("")
    settings = task_settings(plugin, {}, set_ or ())
    try:
        context = data_context(here, data, None, settings, reporter.progress)
        found = audit_data(plugin, open_data(plugin, context), reporter.progress, here.cache)
        keep_audit(found, here.cache)
    finally:
        reporter.close()
    if out is not None:
        write(render_audit_page(found), out)
    if style == "json":
        tell(json.dumps(audit_content(found), indent=1, allow_nan=False))
    else:
        show_document(audit_document(found), style, wide=wide)
        if out is not None:
            tell(f"The page is {out}")


@app.command()
def scenes(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    splits: Annotated[str | None, typer.Option(help="Splits, a,b. [default: all]")] = None,
) -> None:
    """Write the built-in Scenes world as true COCO files."""
    from harness.plan.plugins import load_writer

    reporter = reporter_for("")
    names = None if splits is None else words(splits)
    load_writer("scenes")(out, names, progress=reporter.progress)
    reporter.close()
    tell(f"Wrote Scenes to {out}")


def _shelf() -> SetShelf:
    from harness.acquire.installed_sets import shelf_of

    return shelf_of(environment_of_command().cache)

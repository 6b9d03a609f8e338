"""Commands of `bench` on stored records: compare two, score again, pack, show where numbers come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.flags import InPanels, in_data, in_measuring, in_output, in_what
from harness.cli.options import Results, environment_of_command, require_choice, tell
from harness.cli.shown import Wide, show_document
from harness.errors import DataError, StoreError, UsageError
from harness.plan.names import chosen_tasks

if TYPE_CHECKING:
    from harness.records.rescore import DataPlace

app = typer.Typer()


@app.command(cls=InPanels)
def compare(
    a: Annotated[str, typer.Argument(help="Model (NAME, NAME[C2], NAME@SEED), fingerprint, record file or folder.")],
    b: Annotated[str, typer.Argument(help="The same, to compare with; FOLDER:MODEL names a model of another run.")],
    task: Annotated[str | None, in_what(help="Task, or all. [default: the only one that they have]")] = None,
    results: Results = "results/local",
    data: Annotated[str | None, in_data(help="Data of the records. [default: where the run found it]")] = None,
    metric: Annotated[
        str | None, in_measuring(help="Compare by this one alone. [default: all, the first ranks]")
    ] = None,
    flips: Annotated[int, in_output(min=0, help="Samples to show that changed most.")] = 12,
    other_data: Annotated[
        bool, in_data("--other-data", help="Compare scores of other data, splits or limits, as if independent.")
    ] = False,
    set_: Annotated[list[str] | None, in_data("--set", help="Settings of the data: task.KEY=VALUE.")] = None,
    style: Annotated[str, in_output("--format", help="text, md or json.")] = "text",
    out: Annotated[Path | None, in_output(help="Write to a file: .html (with pictures), .md, .json, .txt.")] = None,
    wide: Wide = False,
) -> None:
    """Compare two models on the same samples: paired differences, p, slices, and the samples that flipped."""
    from harness.cli.compare_request import CompareRequest, run_comparison
    from harness.judge.compare.comparison import Wanted

    require_choice("--format", style, ("text", "md", "json"))
    wanted = Wanted(metric, flips, other_data)
    request = CompareRequest(a, b, results, task, style, out, wanted)
    found = run_comparison(request, _data_place(data, set_ or ()), wide=wide)
    if not any(comparison.metrics for comparison in found):
        raise typer.Exit(3)


@app.command(cls=InPanels)
def rescore(
    fingerprints: Annotated[list[str] | None, typer.Argument(help="Records, by the beginning of their names.")] = None,
    task: Annotated[str | None, in_what(help="Tasks whose records are scored, a,b. [default: all]")] = None,
    results: Results = "results/local",
    model: Annotated[str | None, in_what(help="Model whose records are scored: NAME, NAME[C2], NAME@SEED.")] = None,
    data: Annotated[str | None, in_data(help="Data of the records. [default: where the run found it]")] = None,
    write: Annotated[bool, in_output("--write", help="Replace the metrics of the records that changed.")] = False,
    set_: Annotated[list[str] | None, in_data("--set", help="Settings of the data: task.KEY=VALUE.")] = None,
    style: Annotated[str, in_output("--format", help="text or json.")] = "text",
    wide: Wide = False,
) -> None:
    """Recompute metrics from stored predictions, without a model, and say what changed."""
    from harness.judge.select_records import find_records
    from harness.records.rescore import rescore as rescore_records
    from harness.records.store import Store
    from harness.report.scored_tables import rescored_document
    from harness.report.tables.values import json_text

    require_choice("--format", style, ("text", "json"))
    store = Store(results)
    records = find_records(store, task, model, fingerprints or ())
    found, lost = rescore_records(records, store, _data_place(data, set_ or ()), write=write)
    if lost and not found:
        raise DataError(" ".join(each.reason for each in lost))
    if style == "json":
        tell(json_text([*(each.to_json() for each in found), *(each.to_json() for each in lost)]))
    else:
        show_document(rescored_document(found, lost, written=write), wide=wide)
    if lost:
        raise typer.Exit(3)


@app.command()
def mend(
    results: Results = "results/local",
    task: Annotated[str | None, typer.Option(help="Tasks whose records are mended, a,b. [default: all]")] = None,
    write: Annotated[bool, typer.Option("--write", help="Replace the records; without it, only say which.")] = False,
) -> None:
    """Bring records of earlier versions up to date: digests of what samples scored, no absolute paths, no secrets."""
    from harness.records.mending import mend as mend_records
    from harness.records.mending import render_mended
    from harness.records.store import Store

    store = Store(results)
    if not store.tasks():
        raise StoreError(f"No records in {results}. Give another folder with --results.")
    names = [None] if task in (None, "all") else chosen_tasks(str(task))
    found = [each for name in names for each in mend_records(store, name, write=write)]
    tell(render_mended(found, written=write))


@app.command()
def pack(folder: Annotated[str, typer.Argument(help="Results folder, as `bench run --results` made it.")]) -> None:
    """Put a folder's many small files into a few, which all commands read as they are; good to commit or to send."""
    from harness.records.packing import pack as pack_folder

    tell(pack_folder(folder).told())


@app.command()
def unpack(folder: Annotated[str, typer.Argument(help="Results folder that was packed.")]) -> None:
    """Put every file of a packed folder back where it lay, byte for byte."""
    from harness.records.packing import unpack as unpack_folder

    tell(unpack_folder(folder).told())


@app.command()
def show(
    fingerprint: Annotated[str, typer.Argument(help="A record: its fingerprint, or 6 digits of it or more.")],
    task: Annotated[str | None, typer.Option(help="Tasks to look in, a,b. [default: all]")] = None,
    results: Results = "results/local",
    style: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Show where a record's numbers come from: commit, versions, hardware, data, weights, command, settings."""
    from harness.records.store import Store
    from harness.report.provenance_text import show as show_record

    require_choice("--format", style, ("text", "json"))
    tell(show_record(fingerprint, Store(results), task, style))


def _data_place(data: str | None, settings: Sequence[str]) -> DataPlace:
    """Say where the data of stored records may be; `--set` takes settings of the task only."""
    from harness.plan.config import parse_setting
    from harness.records.rescore import DataPlace

    found = {}
    for setting in settings:
        section, name, value = parse_setting(setting)
        if section != "task":
            raise UsageError(f"--set {setting}: only settings of the task fit here, as task.KEY=VALUE.")
        found[name] = value
    return DataPlace(environment_of_command(), data, found)

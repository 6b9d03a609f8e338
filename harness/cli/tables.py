"""Commands of `bench` that show stored records: leaderboards, robustness, the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.flags import InPanels, in_output, in_what
from harness.cli.options import (
    Format,
    Out,
    Results,
    StoredTask,
    require_choice,
    stored_tasks,
    tell,
    write,
)
from harness.cli.shown import Wide, show_document
from harness.errors import UsageError
from harness.plan.names import chosen_tasks, words

if TYPE_CHECKING:
    from harness.judge.leaderboard import Row
    from harness.judge.stored_rows import TaskRecords
    from harness.plan.run_plan import Plan

app = typer.Typer()
STYLES = ("text", "md", "csv", "json")


@app.command()
def leaderboard(
    task: StoredTask = None,
    results: Results = "results/local",
    every_code: Annotated[bool, typer.Option("--all", help="Show records of older code versions too.")] = False,
    style: Format = "text",
    out: Out = None,
    wide: Wide = False,
) -> None:
    """Print the tables of stored records, with intervals and ranks."""
    require_choice("--format", style, STYLES)
    print_leaderboards(stored_tasks(task, [results]), results, style, out, every_code=every_code, wide=wide)


@app.command(cls=InPanels)
def robustness(
    task: StoredTask = None,
    results: Results = "results/local",
    reference: Annotated[str | None, in_what(help="Model for mCE@ref, a table of one (file), or alexnet.")] = None,
    cells: Annotated[bool, in_output("--cells", help="Show every perturbation and severity.")] = False,
    curve: Annotated[Path | None, in_output(help="Also draw scores by severity: a .svg or .png file.")] = None,
    save_reference: Annotated[Path | None, in_output(help="Also save the errors of --reference: a .json file.")] = None,
    style: Format = "text",
    out: Out = None,
    wide: Wide = False,
) -> None:
    """Print the robustness of models under perturbation: mPC, rPC, mCE, MMI, and which modality they use."""
    from harness.judge.robustness.reference_table import find_reference, write_reference_table
    from harness.judge.stored_rows import robustness_rows
    from harness.records.store import Store
    from harness.report.robustness_curve import write_curve

    require_choice("--format", style, STYLES)
    if save_reference is not None and reference is None:
        raise UsageError("--save-reference: which model? Name it with --reference.")
    tasks = stored_tasks(task, [results])
    if len(tasks) > 1 and (reference or curve):
        raise UsageError(f"--reference and --curve are about one task. Choose one with --task: {', '.join(tasks)}.")
    if save_reference is not None and reference is not None:
        records = [record for name in tasks for record in Store(results).read_robustness(name)]
        write_reference_table(save_reference, find_reference(reference, records))
    if curve is not None:
        write_curve([row for name in tasks for row in robustness_rows(name, Store(results), reference)], curve)
    print_robustness(tasks, results, reference, cells=cells, style=style, out=out, wide=wide)


@app.command()
def explanations(
    task: StoredTask = None,
    results: Results = "results/local",
    style: Annotated[str, in_output("--format", help="text, md or json.")] = "text",
    out: Out = None,
    wide: Wide = False,
) -> None:
    """Print how good explanations are: pointing, mass, insertion, deletion; beside baselines and shuffled weights."""
    from harness.report.explanation_tables import EXPLANATION_STYLES

    require_choice("--format", style, EXPLANATION_STYLES)
    print_explanations(stored_tasks(task, [results]), results, style=style, out=out, wide=wide)


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="File to write: .html, or the tables alone as .md or .csv.")],
    results: Annotated[str, typer.Option(help="Where records are: folders or URLs, a,b.")] = "results/local",
    task: Annotated[str | None, typer.Option(help="Tasks to report, a,b. [default: all]")] = None,
    reference: Annotated[str | None, typer.Option(help="Model of the records whose errors mCE divides by.")] = None,
) -> None:
    """Write everything that results folders hold into one self-contained page, or its tables alone."""
    from harness.judge.stored_rows import unfused_models
    from harness.judge.verdict.judge import installed_fusion
    from harness.records.store import Store
    from harness.report.page.sources import ReportOptions
    from harness.report.page.write import write_report

    stores = [Store(url) for url in words(results)]
    tasks = tuple(chosen_tasks(task)) if task not in (None, "all") else None
    options = ReportOptions(tasks=tasks, unfused=unfused_models(), reference=reference, fusion=installed_fusion)
    write_report(stores, out, options)
    size = f" ({out.stat().st_size / 1e6:.1f} MB)" if out.is_file() else ""
    tell(f"Wrote {out}{size}")


@app.command()
def overview(
    root: Annotated[Path, typer.Argument(help="Folder that holds results folders.")] = Path("results"),
    out: Out = None,
) -> None:
    """Write a page of Markdown about several results folders: a table a task, with its command and commit."""
    from harness.report.overview import overview as write_overview

    command = " ".join(["bench overview", str(root), *(["--out", str(out)] if out else [])])
    write(write_overview(root, command, leaderboard_markdown), out)


def leaderboard_markdown(stored: TaskRecords) -> str:
    """Draw the leaderboard of a task in a results folder as Markdown."""
    from harness.judge.stored_rows import rows_of
    from harness.plan.plugins import load_task
    from harness.report.leaderboard_tables import render_leaderboard

    return render_leaderboard(rows_of(stored), load_task(stored.task).metrics, "md")


def print_leaderboards(
    tasks: Sequence[str],
    results: str,
    style: str,
    out: Path | None,
    plan: Plan | None = None,
    *,
    every_code: bool = False,
    wide: bool = False,
) -> None:
    """Print the tables of tasks, of a plan's records alone where there is one; `every_code` shows older code's too."""
    from harness.report.leaderboard_tables import leaderboard_document, render_leaderboard

    boards = [_tables(task, results, plan, every_code) for task in tasks]
    if style in ("csv", "json"):  # one document
        metrics = list(dict.fromkeys(name for _, names in boards for name in names))
        write(render_leaderboard([rows for tables, _ in boards for rows in tables], metrics, style), out)
        return
    shown = [block for tables, names in boards if tables for block in leaderboard_document(tables, names)]
    show_document(shown or leaderboard_document([], ()), style, out, wide=wide)


def _tables(task: str, results: str, plan: Plan | None, every_code: bool) -> tuple[list[list[Row]], Sequence[str]]:
    from harness.judge.stored_rows import leaderboard_rows
    from harness.plan.plugins import load_task
    from harness.records.store import Store

    shows = None if plan is None else plan.shows
    return leaderboard_rows(task, Store(results), shows, every_code=every_code), load_task(task).metrics


def print_robustness(
    tasks: Sequence[str],
    results: str,
    reference: str | None = None,
    *,
    cells: bool = False,
    style: str = "text",
    out: Path | None = None,
    wide: bool = False,
) -> None:
    """Print the robustness of the tasks' models, or say that none was run under perturbation."""
    from harness.judge.stored_rows import robustness_rows
    from harness.records.store import Store
    from harness.report.robustness_tables import render_conditions, render_summary, robustness_document
    from harness.report.tables.document import Notes

    rows = [row for task in tasks for row in robustness_rows(task, Store(results), reference)]
    if style in ("csv", "json"):
        write(render_conditions(rows, style) if cells else render_summary(rows, style), out)
        return
    if not rows:
        one = f" --task {tasks[0]}" if len(tasks) == 1 else ""
        show_document([f"No robustness records in {results} yet: bench run{one} --perturb standard"], style, out)
        return
    shown = {fingerprint for row in rows for fingerprint in row.fingerprints}
    stored = {record.fingerprint for task in tasks for record in Store(results).read_robustness(task)}
    older = len(stored - shown)
    told = f"{older} older robustness record{'' if older == 1 else 's'} of other code versions: not shown"
    blocks = robustness_document(rows, cells=cells)
    show_document([*blocks, Notes((told,) if older else ())], style, out, wide=wide)


def print_explanations(
    tasks: Sequence[str], results: str, *, style: str = "text", out: Path | None = None, wide: bool = False
) -> None:
    """Print how good the explanations of the tasks' models are, or say that none were made."""
    from harness.judge.explained import explanation_rows
    from harness.records.store import Store
    from harness.report.explanation_tables import explanation_document, render_explanations

    rows = [row for task in tasks for row in explanation_rows(task, Store(results))]
    if style == "json":
        write(render_explanations(rows, style), out)
    else:
        show_document(explanation_document(rows), style, out, wide=wide)

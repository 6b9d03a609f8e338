"""Commands of `bench` that show stored records: leaderboards, robustness, the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli_options import Format, Out, Results, require_choice, task_names, tell, words, write
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.plan import Plan
    from harness.robustness.row import RobustnessRow

app = typer.Typer()


@app.command()
def leaderboard(
    task: Annotated[str, typer.Option(help="Task whose records are shown.")] = "coco-caption",
    results: Results = "results/local",
    style: Format = "text",
    out: Out = None,
) -> None:
    """Print the table of a task's records, with intervals."""
    print_leaderboard(task, results, style, out)


@app.command()
def robustness(
    task: Annotated[str, typer.Option(help="Task whose records are shown.")] = "image-classification",
    results: Results = "results/local",
    reference: Annotated[str | None, typer.Option(help="Model for mCE@ref, a table of one (file), or alexnet.")] = None,
    cells: Annotated[bool, typer.Option("--cells", help="Show every perturbation instead of the summary.")] = False,
    curve: Annotated[Path | None, typer.Option(help="Also draw scores by severity: a .svg or .png file.")] = None,
    save_reference: Annotated[
        Path | None, typer.Option(help="Also save the errors of --reference: a .json file.")
    ] = None,
    style: Format = "text",
    out: Out = None,
) -> None:
    """Print the robustness of models under perturbation: mPC, rPC, mCE, MMI, and which modality they use."""
    from harness.robustness.curve import write_curve
    from harness.robustness.reference_table import find_reference, write_reference_table
    from harness.store import Store

    if save_reference is not None:
        if reference is None:
            raise UsageError("--save-reference: which model? Name it with --reference.")
        write_reference_table(save_reference, find_reference(reference, Store(results).read_robustness(task)))
    if curve is not None:
        write_curve(_robustness_rows(task, results, reference), curve)
    write(robustness_text(task, results, reference, cells, style), out)


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="File to write: .html, or the tables alone as .md or .csv.")],
    results: Annotated[str, typer.Option(help="Where records are: folders or URLs, a,b.")] = "results/local",
    task: Annotated[str | None, typer.Option(help="Tasks to report, a,b. [default: all]")] = None,
    reference: Annotated[str | None, typer.Option(help="Model of the records whose errors mCE divides by.")] = None,
) -> None:
    """Write everything that results folders hold into one self-contained page, or its tables alone."""
    from harness.report.sources import ReportOptions
    from harness.report.write import write_report
    from harness.store import Store
    from harness.verdict.judge import installed_fusion

    stores = [Store(url) for url in words(results)]
    tasks = tuple(task_names(task)) if task else None
    options = ReportOptions(tasks=tasks, unfused=unfused_models(), reference=reference, fusion=installed_fusion)
    write_report(stores, out, options)
    size = f" ({out.stat().st_size / 1e6:.1f} MB)" if out.is_file() else ""
    tell(f"Wrote {out}{size}")


def print_leaderboard(task: str, results: str, style: str, out: Path | None, plan: Plan | None = None) -> None:
    """Print a task's tables, of a plan's records alone where there is one."""
    from harness.leaderboard_text import render
    from harness.plugins import load_task
    from harness.store import Store
    from harness.verdict.board import judged_tables
    from harness.verdict.judge import installed_fusion, score_reader

    require_choice("--format", style, ("text", "md", "csv", "json"))
    metrics, store = load_task(task).metrics, Store(results)
    records = [record for record in store.read_records(task) if plan is None or plan.shows(record)]
    read, sweeps = score_reader([store]), store.read_robustness(task)
    tables = judged_tables(records, metrics, installed_fusion(task), read, sweeps)
    text = render(tables, metrics, style)
    write(text, out)


def _robustness_rows(task: str, results: str, reference: str | None) -> list[RobustnessRow]:
    from harness.plugins import load_task
    from harness.robustness.reference_table import find_reference
    from harness.robustness.summary import summaries
    from harness.store import Store

    load_task(task)
    store = Store(results)
    records, runs = store.read_robustness(task), store.read_records(task)
    table = None if reference is None else find_reference(reference, records)
    return summaries(records, runs, table, unfused_models())


def robustness_text(task: str, results: str, reference: str | None, cells: bool, style: str) -> str:
    """Draw the robustness of a task's models, or say that none was run under perturbation."""
    from harness.robustness.tables import render_heat_map, render_summary

    require_choice("--format", style, ("text", "md", "csv", "json"))
    rows = _robustness_rows(task, results, reference)
    if not rows:
        return f"No robustness records of {task} in {results} yet: bench run --task {task} --perturb standard"
    return render_heat_map(rows, style) if cells else render_summary(rows, style)


def unfused_models() -> tuple[str, ...]:
    """Name the installed models that fuse nothing."""
    from harness.plugins import load_all

    return tuple(model.name for model in load_all("models")[0] if not model.fused)

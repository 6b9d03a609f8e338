"""Commands of `bench` that judge stored records: no model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.flags import InPanels, in_measuring, in_output, in_what
from harness.cli.options import (
    Margin,
    Out,
    Results,
    StandIn,
    StoredTask,
    require_choice,
    stored_tasks,
    tell,
    write,
)
from harness.cli.shown import Wide, show_document
from harness.plan.names import chosen_tasks, words

app = typer.Typer()


@app.command(cls=InPanels)
def check(
    baseline: Annotated[Path, typer.Argument(help="Folder of the committed baseline.")],
    results: Results = "results/local",
    task: Annotated[str | None, in_what(help="Only these tasks, a,b. [default: all of the baseline]")] = None,
    update: Annotated[bool, in_output("--update", help="Write the baseline from the records instead.")] = False,
    false_discovery: Annotated[float, in_measuring(help="False discovery rate among rows called changed.")] = 0.01,
    drop: Annotated[float, in_measuring(help="Score loss that the interval must exclude for 'unchanged'.")] = 0.05,
    slower: Annotated[float, in_measuring(help="The same for latency, as a share.")] = 0.30,
    larger: Annotated[float, in_measuring(help="The same for memory, as a share.")] = 0.20,
    style: Annotated[str, in_output("--format", help="text, md, json or junit.")] = "text",
    out: Annotated[list[Path] | None, in_output(help="Also write to files: .md, .json, .xml (JUnit).")] = None,
    wide: Wide = False,
) -> None:
    """Compare records with a committed baseline: exit 0 fine, 1 regressed, 2 usage, 3 not measured or missing."""
    from harness.judge.check.change import Limits
    from harness.judge.check.run_gate import check_results, update_baseline
    from harness.report.gate_tables import GATE_STYLES, gate_document, render_gate, style_of

    require_choice("--format", style, GATE_STYLES)
    styles = {path: style_of(path) for path in out or ()}
    tasks = None if task in (None, "all") else chosen_tasks(task)
    if update:
        tell(update_baseline(baseline, results, tasks))
        return
    limits = Limits(false_discovery, most_points=drop, most_slower=slower, most_larger=larger)
    gate = check_results(baseline, results, tasks, limits)
    for path, of_file in styles.items():
        write(render_gate(gate, of_file), path)
    if style == "text":
        show_document(gate_document(gate), wide=wide)
    else:
        tell(render_gate(gate, style))
    raise typer.Exit(gate.exit_code)


@app.command(cls=InPanels)
def verdict(
    task: StoredTask = None,
    results: Annotated[str, in_what(help="Where records are: folders or URLs, a,b.")] = "results/local",
    model: Annotated[str | None, in_what(help="Fused models to judge, a,b. [default: all]")] = None,
    claim: Annotated[str | None, in_what(help="Claims, such as fusion-gain,cost (or a,g). [default: all]")] = None,
    margin: Margin = 0.01,
    stand_in: StandIn = None,
    groups: Annotated[str | None, in_measuring(help="FILE.csv of groups, for claim group-bias (bench groups).")] = None,
    style: Annotated[str, in_output("--format", help="text, md or json.")] = "text",
    out: Out = None,
    wide: Wide = False,
) -> None:
    """Say for each claim and fused model: supported, not supported or inconclusive, and what is missing."""
    from harness.judge.verdict.evidence import Options
    from harness.judge.verdict.judge import judge_tasks
    from harness.records.group_columns import read_group_columns
    from harness.records.store import Store
    from harness.report.verdict_tables import VERDICT_STYLES, render_verdict, verdict_document

    require_choice("--format", style, VERDICT_STYLES)
    folders, models, claims = (words(text) for text in (results, model, claim))
    columns = None if groups is None else read_group_columns(groups)
    options = Options(margin=margin, stand_in=stand_in, results=folders[0] if folders else None, groups=columns)
    tasks, stores = stored_tasks(task, folders), [Store(folder) for folder in folders]
    judged = judge_tasks(tasks, stores, models, claims, options)
    if style == "json":
        write(render_verdict(judged, style), out)
    else:
        records = (
            [] if judged else [record for store in stores for name in tasks for record in store.read_records(name)]
        )
        recorded = {record.model for record in records}
        show_document(verdict_document(judged, recorded), style, out, wide=wide)

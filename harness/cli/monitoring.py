"""`bench monitor`: drift of what a served model is asked, for cron and CI by its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.flags import InPanels, in_data, in_measuring, in_output, in_training, in_what
from harness.cli.options import Results, environment_of_command, require_choice, tell
from harness.cli.shown import Wide, show_document
from harness.errors import UsageError

app = typer.Typer()


@app.command(cls=InPanels)
def monitor(
    folder: Annotated[Path, typer.Argument(help="A folder that `bench export` made.")],
    data: Annotated[str | None, in_data(help="What is new: a folder of images, or data as of bench run.")] = None,
    split: Annotated[str | None, in_data(help="Its split. [default: the data's]")] = None,
    reference: Annotated[str | None, in_what(help="Record of what is usual. [default: the export's own]")] = None,
    results: Results = "results/local",
    reference_data: Annotated[str | None, in_data(help="Data of the record. [default: where its run found it]")] = None,
    limit: Annotated[int, in_measuring(min=20, max=5000, help="Samples of each, drawn at random, at most.")] = 500,
    alpha: Annotated[float, in_measuring(min=0.001, max=0.5, help="Rate of false alarms of all tests.")] = 0.05,
    least_accuracy: Annotated[float | None, in_measuring(min=0.0, max=1.0, help="Accuracy that must be kept.")] = None,
    seed: Annotated[int, in_measuring(min=0, help="Of samples and permutations that are drawn.")] = 0,
    threads: Annotated[int, in_training(min=1, help="CPU threads of the model.")] = 1,
    device: Annotated[str, in_training(help="auto, cpu, cuda or one GPU: cuda:i.")] = "auto",
    style: Annotated[str, in_output("--format", help="text, md or json.")] = "text",
    wide: Wide = False,
) -> None:
    """Test new samples for a shift, and estimate accuracy without labels; exit code 1 for a shift or too low."""
    from harness.cli.run import reporter_for
    from harness.records.rescore import DataPlace
    from harness.report.drift_tables import drift_document
    from harness.report.tables.values import json_text
    from harness.serve.monitor import MonitorRequest, find_drift
    from harness.serve.server import require_device

    require_choice("--format", style, ("text", "md", "json"))
    if data is None and split is None:
        raise UsageError("Nothing to look at. Give --data, --split of the reference's data, or both.")
    reporter = reporter_for("")
    try:
        request = MonitorRequest(
            folder, data, split, reference, results, reference_data, limit, alpha, least_accuracy, seed, threads,
            require_device(device),
        )  # fmt: skip
        report = find_drift(request, DataPlace(environment_of_command(), progress=reporter.progress))
    finally:
        reporter.close()
    if style == "json":
        tell(json_text(report.to_json()))
    else:
        show_document(drift_document(report), style, wide=wide)
    if report.shifted or report.too_low:
        raise typer.Exit(1)

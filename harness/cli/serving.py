"""`bench export`, `bench serve` and `bench load`: a trained model outside the benchmark."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.flags import InPanels, in_data, in_measuring, in_models, in_output, in_training, in_what
from harness.cli.options import Results, environment_of_command, require_choice, tell
from harness.cli.shown import Wide, show_document
from harness.errors import UsageError

app = typer.Typer()

Exported = Annotated[Path, typer.Argument(help="A folder that `bench export` made.")]
Device = Annotated[str, in_training(help="auto, cpu, cuda or one GPU: cuda:i.")]
Threads = Annotated[int, in_training(min=1, help="CPU threads of the model.")]


@app.command(cls=InPanels)
def export(
    model: Annotated[str, typer.Argument(help="Model with a finished cell: film, film[C0].")],
    out: Annotated[Path, in_output(help="Folder to make.")],
    task: Annotated[str | None, in_what(help="Its task. [default: the one that it has cells of]")] = None,
    seed: Annotated[int | None, in_models(min=0, help="Its training seed. [default: the newest cell's]")] = None,
    results: Results = "results/local",
    data: Annotated[str | None, in_data(help="Data of the cell. [default: where the run found it]")] = None,
) -> None:
    """Write a trained model with its preprocessing, golden answers and card into a folder for bench serve."""
    from harness.cli.run import reporter_for
    from harness.records.rescore import DataPlace
    from harness.serve.export import ExportRequest, export_cell, find_cell

    reporter = reporter_for("")
    try:
        record = find_cell(ExportRequest(model, task, seed, results))
        place = DataPlace(environment_of_command(), data, progress=reporter.progress)
        bundle = export_cell(record, results, out, place, reporter.progress)
    finally:
        reporter.close()
    tell(f"{bundle.name} of {bundle.task}, seed {bundle.seed}, is in {out}. Serve it: bench serve {out}")


@app.command(cls=InPanels)
def serve(
    folder: Exported,
    host: Annotated[str, in_what(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, in_what(min=0, max=65535, help="Port; 0: any that is free.")] = 8000,
    device: Device = "auto",
    threads: Threads = 1,
    batch: Annotated[int, in_training(min=1, max=4096, help="Requests answered at once, at most.")] = 8,
    window_ms: Annotated[
        float, in_training(min=0.0, max=10_000.0, help="A request waits so long for others to join it.")
    ] = 0.0,
    waiting: Annotated[int, in_training(min=1, help="Requests that may wait; more are told to come later.")] = 256,
    most_mb: Annotated[float, in_data(min=0.001, help="Megabytes of a request, at most.")] = 10.0,
    most_megapixels: Annotated[float, in_data(min=0.001, help="Megapixels of an image, at most.")] = 50.0,
) -> None:
    """Answer over HTTP with an exported model; a key in $BENCH_SERVE_KEY is asked of every request."""
    from harness.serve.batching import BatchLimits
    from harness.serve.server import ServeRequest, require_device, serve_export

    request = ServeRequest(
        folder, host, port, require_device(device), threads, BatchLimits(batch, window_ms / 1000, waiting),
        int(most_mb * 1e6), int(most_megapixels * 1e6),
    )  # fmt: skip
    serve_export(request, environment_of_command().cache, _say, _tell_now)


@app.command(cls=InPanels)
def load(
    url: Annotated[str | None, in_what(help="A server to load: http://HOST:PORT.")] = None,
    model: Annotated[Path | None, in_what(help="Or a folder of bench export, called in this process.")] = None,
    inputs: Annotated[Path | None, in_data(help="What is asked: an export or images. [default: --model's]")] = None,
    scenario: Annotated[str, in_what(help="single, offline or server.")] = "single",
    rate: Annotated[str | None, in_what(help="Of server: queries a second, several for a knee: 10,20,40.")] = None,
    seconds: Annotated[float, in_measuring(min=0.1, help="How long, at each rate.")] = 10.0,
    queries: Annotated[int, in_measuring(min=0, help="At least so many, however long that takes.")] = 0,
    at_once: Annotated[int, in_training(min=1, help="Of offline: queries at once, or a batch in this process.")] = 8,
    limit_ms: Annotated[float, in_measuring(min=0.01, help="Latency that a query may have.")] = 100.0,
    share: Annotated[float, in_measuring(min=0.01, max=1.0, help="Share of queries that must keep to it.")] = 0.99,
    late_ms: Annotated[float, in_measuring(min=0.01, help="A run is void whose queries leave later, at p99.")] = 1.0,
    timeout: Annotated[float, in_measuring(min=0.1, help="Seconds after which a query counts as lost.")] = 30.0,
    seed: Annotated[int, in_measuring(min=0, help="Of the times at which queries are due.")] = 0,
    device: Device = "auto",
    threads: Threads = 1,
    style: Annotated[str, in_output("--format", help="text, md or json.")] = "text",
    wide: Wide = False,
) -> None:
    """Put a server or an exported model under load, by MLPerf's scenarios; exit code 1 where a run does not stand."""
    from harness.report.load_tables import load_document
    from harness.report.tables.values import json_text
    from harness.serve.load import SCENARIOS, LoadRequest, run_load
    from harness.serve.server import require_device
    from harness.stats.load_summary import LoadLimits

    require_choice("--format", style, ("text", "md", "json"))
    require_choice("--scenario", scenario, SCENARIOS)
    limits = LoadLimits(limit_ms / 1000, share, late_ms / 1000)
    request = LoadRequest(
        scenario, url, model, inputs, _rates(rate), seconds, queries, at_once, seed, threads,
        require_device(device) if model is not None else "cpu", timeout, limits,
    )  # fmt: skip
    report = run_load(request, environment_of_command().cache, _say)
    if style == "json":
        tell(json_text(report.to_json()))
    else:
        show_document(load_document(report), style, wide=wide)
    if not report.stands:
        raise typer.Exit(1)


def _rates(text: str | None) -> tuple[float, ...]:
    """Read `10,20,40`; raises UsageError for what is no number above 0."""
    try:
        rates = tuple(float(word) for word in text.split(",")) if text else ()
    except ValueError:
        rates = (-1.0,)
    if any(not 0 < rate <= 1e6 for rate in rates):
        raise UsageError(f"--rate {text}: wanted queries a second, such as 10 or 10,20,40.")
    return rates


def _say(text: str) -> None:
    tell(f"bench: {text}", sys.stderr)


def _tell_now(text: str) -> None:
    tell(text)
    sys.stdout.flush()

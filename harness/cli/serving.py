"""`bench export`, `bench serve` and `bench load`: a trained model outside the benchmark."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.flags import InPanels, in_data, in_models, in_output, in_training, in_what
from harness.cli.options import Results, environment_of_command, tell

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


def _say(text: str) -> None:
    tell(f"bench: {text}", sys.stderr)


def _tell_now(text: str) -> None:
    tell(text)
    sys.stdout.flush()

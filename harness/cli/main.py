"""The command `bench`. Heavy imports wait inside the commands."""

from __future__ import annotations

import gc
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.data import app as data_app
from harness.cli.errors_told import ending_of
from harness.cli.flags import (
    InPanels,
    given,
    in_data,
    in_measuring,
    in_models,
    in_output,
    in_training,
    in_what,
    takes_options_of,
)
from harness.cli.groups import app as groups_app
from harness.cli.judging import app as judging_app
from harness.cli.monitoring import app as monitoring_app
from harness.cli.one_command import with_command_of
from harness.cli.options import (
    Debug,
    Predictions,
    data_context,
    environment_of_command,
    require_choice,
    task_settings,
    tell,
)
from harness.cli.records import app as records_app
from harness.cli.run import Shown, open_trackers_of, reporter_for, run_task
from harness.cli.serving import app as serving_app
from harness.cli.shown import Wide, show_document
from harness.cli.study import app as study_app
from harness.cli.tables import app as tables_app
from harness.errors import DataError, MissingPath, PluginError, UsageError, cause_of, nearest
from harness.plan.environment import cache_wish
from harness.plan.names import chosen_tasks
from harness.plan.run_request import RunRequest
from harness.storage.cache_in_use import digests_remembered

app = typer.Typer(
    name="bench",
    help="Measure what fusing language models with vision models gains and costs, against matched controls.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.add_typer(study_app)
app.add_typer(tables_app)
app.add_typer(judging_app)
app.add_typer(records_app)
app.add_typer(groups_app)
app.add_typer(serving_app)
app.add_typer(monitoring_app)
app.add_typer(data_app, name="data")

_INTERRUPTED = 130
"""The exit code that typer makes of Ctrl-C."""


@app.command(cls=InPanels)
@takes_options_of(RunRequest)
def run(
    *,
    vision_args: Annotated[
        str | None, in_models(help="Keywords of --vision: timm's, mean, std, crop: k=v,k=v.")
    ] = None,
    set_: Annotated[list[str] | None, in_training("--set", help="Any other setting: train.steps=50 …")] = None,
    config: Annotated[Path | None, in_what(help="TOML file with any of these options.")] = None,
    debug: Debug = False,
    wide: Wide = False,
    **flags: Any,
) -> None:
    """Train and evaluate models: writes a record for each model, control and seed, and prints the leaderboard."""
    from harness.plan.config import build_config
    from harness.run.fork_server import ForkServer

    options = given(flags)
    general = build_config(options, set_ or (), vision_args, config)
    for notice in general.notices:
        tell(f"bench: {notice}", sys.stderr)
    names, trackers = chosen_tasks(general.request.task), open_trackers_of(general)
    failed = 0
    with ForkServer() as server:
        for name in names:
            built = build_config(options, set_ or (), vision_args, config, name)
            try:
                failed += run_task(built, name, trackers, server, Shown(debug, wide))
            except MissingPath:
                raise  # a misspelt path is misspelt for every task
            except (UsageError, DataError, PluginError) as error:
                if len(names) == 1:
                    raise
                tell(f"bench: {name}: {error}", sys.stderr)  # the data may lack what only this task needs
                if debug and (cause := cause_of(error)):
                    tell(cause, sys.stderr)
                failed += 1
    if failed:
        raise typer.Exit(1)


@app.command(cls=InPanels)
@takes_options_of(RunRequest, only=("data", "split", "scenes_track", "classes", "metric_engine", "track"))
def score(
    *,
    predictions: Predictions = None,
    robustness: Annotated[
        Path | None,
        in_what(help="Or a table: model, perturbation, severity, value."),
    ] = None,
    reference_model: Annotated[str | None, in_what(help="Of --robustness: a model in it, or alexnet.")] = None,
    task: Annotated[str, in_what(help="Task of the predictions.")] = "coco-caption",
    references: Annotated[Path | None, in_data(help="Or a file of references alone (COCO JSON).")] = None,
    iou: Annotated[str | None, in_measuring(help="Detection: bbox or segm. [default: bbox]")] = None,
    set_: Annotated[list[str] | None, in_measuring("--set", help="Any other setting: task.KEY=VALUE.")] = None,
    resamples: Annotated[int, in_measuring(min=0, help="Bootstrap resamples behind the intervals; 0: none.")] = 1000,
    groups: Annotated[str | None, in_measuring(help="FILE.csv of sample_id and columns of groups: their gaps.")] = None,
    out: Annotated[
        Path | None,
        in_output(help="Also keep per-sample scores: a .parquet file or a folder."),
    ] = None,
    style: Annotated[str, in_output("--format", help="text or json.")] = "text",
    wide: Wide = False,
    **flags: Any,
) -> None:
    """Score predictions made elsewhere, with the same metrics and intervals."""
    import json
    from dataclasses import replace

    from harness.plan.config import configured_settings
    from harness.plan.plugins import load_task
    from harness.processors import usable_processors
    from harness.protocols import open_data, with_scoring_settings
    from harness.records.group_columns import read_group_columns
    from harness.records.score_file import predictions_read, score_file, table_path, write_sample_table

    require_choice("--format", style, ("text", "json"))
    if robustness is not None:
        if out is not None:
            raise UsageError("--out keeps per-sample scores, which a table of --robustness has none of. Leave it out.")
        if groups is not None:
            raise UsageError("--groups wants predictions of samples, which --robustness has none of. Leave one out.")
        _score_cells(robustness, reference_model, style, wide=wide)
        return
    if predictions is None:
        raise UsageError("Nothing to score. Give --predictions FILE, or --robustness FILE with a table of cells.")
    kept = None if out is None else table_path(out, predictions)
    columns = None if groups is None else read_group_columns(groups)
    if columns is not None and resamples == 0:
        raise UsageError("--groups compares gaps with those of random groups. Leave --resamples 0 out.")
    plugin = load_task(task)
    request = _of_one_task(RunRequest(**given(flags)))
    settings = task_settings(plugin, {"iou": iou, **configured_settings("task", request)}, set_ or ())
    here = environment_of_command()
    context = data_context(here, request.data, request.split, settings, reporter_for("").progress)
    with predictions_read(plugin, predictions) as answers:
        if references is not None:
            dataset, samples = plugin.read_references(references)
            dataset = replace(dataset, options={**dataset.options, **settings})
            dataset = with_scoring_settings(plugin, dataset, context)
        else:
            dataset = open_data(plugin, context)
            chosen = request.split or dataset.default_split
            if chosen not in dataset.splits:
                raise UsageError(f"{dataset.name} has no split '{chosen}'. {nearest(chosen, dataset.splits)}")
            samples = plugin.samples(dataset, chosen)
        outcomes = answers(dataset)
    scores = score_file(plugin, outcomes, (dataset, samples), resamples, here.cache, usable_processors())
    if kept is not None and scores.scored is not None:
        write_sample_table(kept, scores.scored, plugin.metrics)
        tell(f"Per-sample scores in {kept}", sys.stderr)
    lines = None
    if columns is not None and scores.scored is not None:
        from harness.judge.groups import class_count, group_lines

        classes = class_count(plugin, dataset)
        lines = group_lines(predictions.stem, plugin, scores.scored, columns, classes=classes)
    if style == "json":
        by_group = {} if lines is None else {"groups": [line.to_json() for line in lines]}
        tell(json.dumps(scores.to_json() | by_group, allow_nan=False))
    else:
        from harness.report.group_tables import groups_document
        from harness.report.scored_tables import score_document

        show_document([*score_document(scores), *(groups_document(lines) if lines else ())], wide=wide)


@app.command(name="list")
def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="tasks, models, data, metrics, perturbations, prompts, fusion, heads, tuning, options, or pairs."
        ),
    ],
    debug: Debug = False,
    style: Annotated[str, typer.Option("--format", help="text, md or json; options md; prompts toml.")] = "text",
    wide: Wide = False,
) -> None:
    """List what is installed: tasks, models, data, metrics, perturbations, prompts, parts of models, options, pairs."""
    from dataclasses import asdict

    from harness.plan.installed import catalogue, families_told
    from harness.plan.pairs import supported_pairs
    from harness.plan.parts import GROUPS
    from harness.report.installed_tables import catalogue_table, pair_table
    from harness.report.tables.values import json_text

    require_choice(
        "bench list",
        what,
        ("tasks", "models", "modifiers", "data", "metrics", "perturbations", "prompts", *GROUPS, "options", "pairs"),
    )
    if what == "options":
        from harness.report.options_text import render_options

        require_choice("--format", style, ("text", "md"))
        tell(render_options())
        return

    if (what, style) == ("prompts", "toml"):
        from harness.plan.installed_prompts import prompt_files

        tell(prompt_files()["builtin"].read_text(encoding="utf-8"))
        return

    require_choice("--format", style, ("text", "md", "json"))
    pairs, broken = supported_pairs() if what == "pairs" else ([], [])
    entries, broken = ([], broken) if what == "pairs" else catalogue(what)
    if style == "json":
        tell(json_text([asdict(each) for each in (pairs or entries)]))
    else:
        show_document(
            [pair_table(pairs) if what == "pairs" else catalogue_table(entries, families_told(what))], style, wide=wide
        )
    for error in broken:
        tell(f"broken: {error}", sys.stderr)
        if debug:
            tell(cause_of(error), sys.stderr)
    if broken:
        raise typer.Exit(2)


@app.command(cls=InPanels)
def doctor(
    results: Annotated[
        str | None,
        in_what(help="Where records are to be. [default: results/local; with --instrument results/local-instrument]"),
    ] = None,
    instrument: Annotated[
        bool, in_what("--instrument", help="Test the verdicts instead, on what is known to be there: minutes.")
    ] = False,
    profile: Annotated[
        str | None, in_training(help="Of --instrument: its settings, smoke for CI. [default: instrument]")
    ] = None,
    seeds: Annotated[
        int | None, in_training(min=1, help="Of --instrument: training seeds. [default: 5; 1 with smoke]")
    ] = None,
    jobs: Annotated[
        int | None, in_training(min=0, help="Of --instrument: models trained in parallel. [default: one per core]")
    ] = None,
    style: Annotated[str, in_output("--format", help="text or json.")] = "text",
    debug: Debug = False,
    wide: Wide = False,
) -> None:
    """Check Java, GPU, data, weights and golden vectors, or by --instrument the verdicts: what works here."""
    from harness.cli.doctor import examine, finding_json, finding_table

    require_choice("--format", style, ("text", "json"))
    wishes = {"profile": profile, "seeds": seeds, "jobs": jobs}
    if instrument:
        from harness.cli.instrument import check_instrument

        raise typer.Exit(check_instrument(results, wishes, style, wide=wide))
    if given_words := [f"--{name}" for name, value in wishes.items() if value is not None]:
        raise UsageError(f"{', '.join(given_words)}: for --instrument, which is not given.")
    findings = examine(environment_of_command(), results or "results/local")
    if style == "json":
        tell(finding_json(findings))
        raise typer.Exit(int(any(finding.state == "broken" for finding in findings)))
    show_document([finding_table(findings)], wide=wide)
    for finding in findings:
        if debug and finding.trace:
            tell(finding.trace, sys.stderr)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    """Run `bench`; what the user or the system can mend is one message and an exit code, never a traceback."""
    # Threads that spin while they wait made two-thread training 13 times slower beside one busy neighbour.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # No Python that is started from here may import from the working directory: a torch.py beside the data would run.
    os.environ["PYTHONSAFEPATH"] = "1"
    # Records and samples live as long as the command: to look through them for cycles took a tenth of its time.
    gc.set_threshold(50_000, 50, 100)
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter gets its escape, not a traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with digests_remembered(cache_wish()):
            code = with_command_of(app, sys.argv[1:])(standalone_mode=False)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        ending = ending_of(error, cache_wish())
        if ending is None:
            raise
        tell(ending.message if ending.message.startswith("Usage:") else f"bench: {ending.message}", sys.stderr)
        if "--debug" in sys.argv and (cause := cause_of(error)):
            tell(cause, sys.stderr)
        sys.exit(ending.exit_code)
    if code == _INTERRUPTED:
        tell("\nbench: interrupted. Finished cells are kept; the same command goes on from here.", sys.stderr)
    sys.exit(code)


def _score_cells(path: Path, reference: str | None, style: str, *, wide: bool) -> None:
    import json

    from harness.judge.robustness.external_scores import score_cells
    from harness.report.scored_tables import external_document

    scores = score_cells(path, reference)
    if style == "json":
        tell(json.dumps(scores.to_json(), allow_nan=False))
    else:
        show_document(external_document(scores), wide=wide)


def _of_one_task(request: RunRequest) -> RunRequest:
    """Put the older `--track` where it is now said, with a notice; raises UsageError for a tracker."""
    from harness.plan.track_names import renamed

    changed, notices = renamed(request)
    for notice in notices:
        tell(f"bench: {notice}", sys.stderr)
    if changed.log:
        raise UsageError(f"--track {changed.log}: bench score logs to no tracker. Leave it out.")
    return changed

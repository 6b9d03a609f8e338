"""`bench study`: what a task's claims need is planned, told, run in the order that decides them, and judged."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.flags import (
    InPanels,
    given,
    in_models,
    in_output,
    in_training,
    in_what,
    takes_options_of,
)
from harness.cli.options import Debug, Margin, StandIn, require_choice, tell, write
from harness.cli.shown import Wide, show_document
from harness.plan.run_request import RunRequest

if TYPE_CHECKING:
    from harness.plan.config import RunConfig

app = typer.Typer()
_OWN = ("controls", "perturb", "tune", "shift", "prompts", "exclude", "log", "track", "no_measure")
"""What a study decides by itself, from what the claims need, or does not do."""
_TAKEN = tuple(name for name in RunRequest.__dataclass_fields__ if name not in _OWN)
_PROFILE = "standard"


@app.command(cls=InPanels)
@takes_options_of(RunRequest, only=_TAKEN)
def study(
    *,
    claims: Annotated[str | None, in_what(help="Claims, such as fusion-gain,cost (or a,g). [default: all]")] = None,
    budget: Annotated[
        str | None, in_what(help="Drop what this time does not decide: 2h. [default: study.budget]", metavar="<time>")
    ] = None,
    dry_run: Annotated[bool, in_what("--dry-run", help="Say what would run and what it costs, no more.")] = False,
    config: Annotated[Path | None, in_what(help="TOML file with any of these options.")] = None,
    vision_args: Annotated[str | None, in_models(help="Keywords of --vision: k=v,k=v.")] = None,
    set_: Annotated[list[str] | None, in_training("--set", help="Any other setting: study.severities=3 …")] = None,
    margin: Margin = 0.01,
    stand_in: StandIn = None,
    style: Annotated[str, in_output("--format", help="Of the plan: text, md or json.")] = "text",
    debug: Debug = False,
    wide: Wide = False,
    **flags: Any,
) -> None:
    """Decide a task's claims: plan the runs that they need, say what they cost, run them, print verdicts."""
    from harness.cli.study_run import plan_study, run_study
    from harness.judge.study.order import Budget
    from harness.judge.verdict.evidence import Options
    from harness.records.store import Store
    from harness.report.study_tables import STUDY_STYLES, study_document
    from harness.report.tables.document import Notes
    from harness.report.tables.values import json_text
    from harness.report.verdict_tables import verdict_document
    from harness.run.fork_server import ForkServer

    started = time.monotonic()
    require_choice("--format", style, STUDY_STYLES)
    built = _config(given(flags), set_ or [], vision_args, config)
    options = Options(margin=margin, stand_in=stand_in, results=built.request.results)
    limit = Budget(_budget(budget) or built.study.budget or None, started)
    if not dry_run:
        Store(built.request.results).require_writable()
    with ForkServer() as server:
        planned = plan_study(built, claims, limit, options, server)
        if style != "json":
            show_document(study_document(planned.told), style, wide=wide)
        elif dry_run:
            write(json_text(planned.told.to_json()), None)
        if dry_run:
            return
        ended = run_study(planned, server, limit, say=_to_stderr if style == "json" else tell, debug=debug)
    if style == "json":
        verdicts = [verdict for table in ended.judged for verdict in table.to_json()]
        write(json_text({**planned.told.to_json(), "verdicts": verdicts}), None)
    else:
        show_document([*verdict_document(ended.judged), Notes(tuple(ended.undecided))], style, wide=wide)
    if ended.failed:
        raise typer.Exit(1)


def _to_stderr(text: str) -> None:
    tell(text, sys.stderr)


def _config(flags: dict[str, Any], settings: list[str], vision_args: str | None, file: Path | None) -> RunConfig:
    """Lay the profile of a study, the file and the flags over each other; five seeds where nobody says how many."""
    from harness.errors import UsageError
    from harness.judge.verdict.needs import LEAST_SEEDS
    from harness.plan.config import build_config, has_profile, read_toml

    top = {} if file is None else read_toml(file)
    profile = str(flags.get("profile") or top.get("profile") or _PROFILE)
    flags |= {"profile": f"study-{profile}" if has_profile(f"study-{profile}") else profile}
    if "seeds" not in flags and "seeds" not in top:
        flags["seeds"] = LEAST_SEEDS
    general = build_config(flags, settings, vision_args, file)
    for notice in general.notices:
        tell(f"bench: {notice}", sys.stderr)
    if not general.names_one_task:
        raise UsageError(f"--task {general.request.task}: bench study takes one task at a time. Name one.")
    return build_config(flags, settings, vision_args, file, general.request.task)


def _budget(text: str | None) -> float | None:
    """Read `--budget`; raises UsageError for what is no time, or none that is above 0."""
    from harness.errors import UsageError
    from harness.option_fields import seconds_of

    if text is None:
        return None
    try:
        seconds = float(seconds_of(text))
    except ValueError as error:
        raise UsageError(f"--budget '{text}': {error}.") from None
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--budget {text}: wanted a time above 0, as 90s, 30m, 2h, 1d.")
    return seconds

"""The benchmark from a notebook: runs and their tables as pandas frames. Stable: names and columns here stay.

>>> from harness import api
>>> frame = api.run(model="film,concat,vision-only", profile="smoke", progress=print)  # doctest: +SKIP
>>> api.leaderboard()  # doctest: +SKIP

Keywords are the flags of `bench` (docs/options.md), a list stands for commas. Nothing is printed: what a run would say
goes to the logger "harness", and progress to a function of yours. Errors are `harness.errors.BenchError`. A frame's
`attrs["columns"]` holds title, unit and direction (-1: less is better) of each column; see docs/notebook.md.
"""

from __future__ import annotations

import inspect
import json
import logging
import multiprocessing
import shlex
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.errors import UsageError
from harness.option_fields import declared
from harness.plan.environment import environment
from harness.plan.names import chosen_tasks, words
from harness.plan.run_request import RunRequest

if TYPE_CHECKING:
    import pandas as pd

    from harness.plan.config import RunConfig
    from harness.record import RunRecord
    from harness.report.tables.table import Table

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how far it is, and how much there is (0: unknown)."""
SettingValues: TypeAlias = Mapping[str, Any]
"""Settings as `--set` takes them: `{"train.steps": 50}`."""
Names: TypeAlias = str | Sequence[str] | None
"""Names as `"a,b"` or `["a", "b"]`; None for all that there are."""

_LOGGER = logging.getLogger("harness")


def run(
    *,
    settings: SettingValues | None = None,
    vision_args: str | None = None,
    config: Path | str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Train, evaluate and perturb as `bench run` does, and return a row for each planned cell, as `records` makes them.

    `options` are the flags of `bench run`, `settings` those of `--set`, `config` a TOML file. What is found done is not
    done again. A model that failed or could not run is a row with its `error`: nothing is raised for it. Raises
    UsageError for options that do not fit, DataError for data that cannot be read.
    """
    import pandas as pd

    from harness.plan.config import build_config
    from harness.run.fork_server import ForkServer

    _require_main_process()
    flags = {name: _joined(value) for name, value in options.items() if value is not None}
    given = [f"{name}={_as_toml(value)}" for name, value in (settings or {}).items()]
    file = None if config is None else Path(config)
    general = build_config(flags, given, vision_args, file)
    for notice in general.notices:
        warnings.warn(notice, DeprecationWarning, stacklevel=2)
    command = _command(flags, given, vision_args, file)
    frames = []
    with ForkServer() as server:
        for name in chosen_tasks(general.request.task):
            built = build_config(flags, given, vision_args, file, name)
            frames.append(_run_task(built, name, command, _Reporter(progress), server))
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def records(task: Names = None, *, results: str = "results/local") -> pd.DataFrame:
    """Give every stored record as a row: what was run, its status, and each metric with its interval, and each cost.

    Metrics are in their own unit (mostly 0..1), `METRIC low` and `METRIC high` are the ends of the 95 % interval; costs
    in seconds, bytes and counts. A cell that failed or was skipped has an `error` and no metrics.
    """
    from harness.records.store import Store

    store = Store(results)
    tasks = store.tasks() if task is None else _words(task)
    return _frame_of([record for name in tasks for record in store.read_records(name)])


def leaderboard(task: Names = None, *, results: str = "results/local", every_code: bool = False) -> pd.DataFrame:
    """Give the leaderboards of the tasks as one frame: a row a model or control, with intervals and ranks.

    Rows of one `task`, `data` and `signature` can be compared. `every_code` shows records of older code versions too.
    """
    from harness.judge.stored_rows import leaderboard_rows
    from harness.plan.plugins import load_task
    from harness.records.store import Store
    from harness.report.leaderboard_tables import leaderboard_table

    tasks = _stored_tasks(task, [results])
    boards = [rows for name in tasks for rows in leaderboard_rows(name, Store(results), every_code=every_code)]
    metrics = list(dict.fromkeys(metric for name in tasks for metric in load_task(name).metrics))
    return _stacked([leaderboard_table(rows, metrics).frame() for rows in boards if rows])


def robustness(
    task: Names = None, *, results: str = "results/local", reference: str | None = None, cells: bool = False
) -> pd.DataFrame:
    """Give how models do under perturbation: mPC, rPC, mCE, impact by modality; a row a model.

    With `cells` each row is a model under one condition, clean first. `reference` is a model for mCE, a file of one, or
    "alexnet".
    """
    from harness.judge.stored_rows import robustness_rows
    from harness.records.store import Store
    from harness.report.robustness_tables import conditions_list, robustness_table

    tasks = _stored_tasks(task, [results])
    rows = [row for name in tasks for row in robustness_rows(name, Store(results), reference)]
    return (conditions_list(rows) if cells else robustness_table(rows)).frame()


def compare(
    a: str,
    b: str,
    *,
    task: str | None = None,
    results: str = "results/local",
    data: str | None = None,
    metric: str | None = None,
    other_data: bool = False,
    settings: SettingValues | None = None,
) -> pd.DataFrame:
    """Compare two models on the same samples, as `bench compare A B`: a row a metric, with paired difference and p.

    Raises BenchError where they cannot be found, or not be compared.
    """
    from harness.judge.compare.comparison import Wanted
    from harness.judge.compare.comparison import compare as compare_two
    from harness.judge.select_records import select_pairs
    from harness.records.rescore import DataPlace
    from harness.records.store import Store
    from harness.report.comparison_tables import metric_table

    place = DataPlace(environment(f"harness.api.compare({a!r}, {b!r})"), data, _task_settings(settings))
    wanted = Wanted(metric=metric, other_data=other_data)
    pairs = select_pairs(a, b, Store(results), task)
    found = [(one.first.task, compare_two(one, other, place, wanted)) for one, other in pairs]
    return _stacked([_of_task(name, metric_table(comparison)) for name, comparison in found])


def verdict(
    task: Names = None,
    *,
    results: Names = "results/local",
    model: Names = None,
    claim: Names = None,
    margin: float = 0.01,
    stand_in: str | None = None,
    numbers: bool = False,
) -> pd.DataFrame:
    """Say for each claim and fused model: supported, not supported or inconclusive, and by what it is decided.

    With `numbers` each row is a number behind a verdict, with its interval. `margin` is the smallest difference of
    interest, in the metric's unit; `stand_in` an un-fused model that serves as C0 of models that offer none.
    """
    from harness.judge.verdict.evidence import Options
    from harness.judge.verdict.judge import judge_tasks
    from harness.records.store import Store
    from harness.report.verdict_tables import verdict_number_table, verdict_table

    folders = _words(results)
    options = Options(margin=margin, stand_in=stand_in, results=folders[0] if folders else None)
    stores = [Store(folder) for folder in folders]
    judged = judge_tasks(_stored_tasks(task, folders), stores, _words(model), _words(claim), options)
    if numbers:
        return _stacked([_of_task(found.scope.task, verdict_number_table(found.verdicts)) for found in judged])
    return _stacked([_of_task(found.scope.task, verdict_table([each])) for found in judged for each in found.verdicts])


class _Reporter:
    """Passes progress on, one call at a time; what a run says goes to the log."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._lock, self._done, self.cells = progress, Lock(), 0, 0

    def progress(self, what: str, done: int, total: int) -> None:
        """Called from several threads."""
        from harness.protocols import NOTICE

        if total == NOTICE:
            self.say(what)
        elif self._progress is not None:
            with self._lock:
                self._progress(what, done, total)

    def say(self, message: str) -> None:
        """Log what a user of the command line would read."""
        _LOGGER.info(message)

    def finish(self, record: RunRecord) -> None:
        """Count the cells that have left their record."""
        self._done += 1
        self.progress(f"{record.task}: {record.model} {record.status}", self._done, self.cells)


def _require_main_process() -> None:
    """Refuse a run that begins while a process of its own run imports the script, which would begin another, and so on.

    Python marks a process so while it imports the main script of the one that has started it.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError("A run starts processes that import this script: start it below if __name__ == '__main__':.")


def _run_task(config: RunConfig, name: str, command: str, reporter: _Reporter, server: Any) -> pd.DataFrame:
    from harness.plan.conditions import plan_robustness
    from harness.plan.run_plan import plan_run
    from harness.records.store import Store
    from harness.run.cells_elsewhere import run_cells
    from harness.run.choose_executor import workers_of
    from harness.run.conditions_elsewhere import run_conditions

    here, store = environment(command), Store(config.request.results)
    workers = workers_of(config.request, server)
    plan = plan_run(config, name, here, reporter.progress)
    conditions = plan_robustness(config, plan, here, reporter.progress)
    for note in (*plan.broken, *plan.data.notes):
        reporter.say(str(note))
    reporter.cells = len(plan.cells) + len(plan.absent)
    run_cells(config, plan, store, here, reporter, workers)
    if conditions:
        run_conditions(config, plan, conditions, store, here, reporter, workers)
    planned = [cell.fingerprint for cell in plan.cells] + [absent.fingerprint for absent in plan.absent]
    made = [store.find_record(name, fingerprint) for fingerprint in planned]
    return _frame_of([record for record in made if record is not None])


def _frame_of(found: Sequence[RunRecord]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for record in found:
        row = {name: getattr(record, name) for name in _ABOUT}
        for name, estimate in record.metrics.items():
            ends = (None, None) if estimate is None else (estimate.low, estimate.high)
            row |= {name: None if estimate is None else estimate.value, f"{name} low": ends[0], f"{name} high": ends[1]}
        row |= {name: getattr(record.efficiency, name) for name in _COSTS}
        rows.append(row | {name: getattr(record, name) for name in _ORIGIN})
    return pd.DataFrame(rows, columns=None if rows else [*_ABOUT, *_COSTS, *_ORIGIN])


_ABOUT = ("task", "data", "split", "model", "control", "seed", "status", "error")
_COSTS = (
    "parameters_total", "parameters_trainable", "flops", "latency_p50_seconds", "latency_p95_seconds",
    "throughput_per_second", "peak_memory_bytes", "memory_added_bytes", "energy_joules", "train_seconds",
)  # fmt: skip
_ORIGIN = ("device", "signature", "fingerprint", "created")


def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put frames of one kind below each other; `attrs` is that of the first, with the columns and notes of all."""
    import pandas as pd

    if not frames:
        return pd.DataFrame()
    columns = {name: told for frame in frames for name, told in frame.attrs["columns"].items()}
    attrs = {
        **frames[0].attrs,
        "columns": columns,
        "notes": [note for frame in frames for note in frame.attrs["notes"]],
    }
    for frame in frames:
        frame.attrs = {}  # pandas compares them
    made = pd.concat(frames, ignore_index=True)
    made.attrs = attrs
    return made


def _of_task(task: str, table: Table) -> pd.DataFrame:
    frame = table.frame()
    frame.insert(0, "task", task)
    return frame


def _joined(value: Any) -> Any:
    """Write a list with commas, and a path as text."""
    if isinstance(value, Path):
        return str(value)
    return value if isinstance(value, str) or not isinstance(value, Sequence) else ",".join(map(str, value))


def _as_toml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _words(names: Names) -> list[str]:
    return words(_joined(names))


def _stored_tasks(task: Names, results: Sequence[str]) -> list[str]:
    """Name the tasks that are asked for, else all that have records; what is not installed is left out and logged."""
    from harness.judge.stored_rows import tasks_with_records

    if task not in (None, "all"):
        return chosen_tasks(_joined(task))
    known, unknown = tasks_with_records(results)
    for name in unknown:
        _LOGGER.info("%s: left out, as no plugin of this task is installed.", name)
    return known


def _task_settings(settings: SettingValues | None) -> dict[str, Any]:
    """Take settings of the task, as `task.KEY`; raises UsageError for others."""
    for name in settings or {}:
        if not name.startswith("task."):
            raise UsageError(f"settings: {name}: only settings of the task fit here, as task.KEY.")
    return {name.removeprefix("task."): value for name, value in (settings or {}).items()}


def _command(flags: Mapping[str, Any], given: Sequence[str], vision_args: str | None, file: Path | None) -> str:
    """Write the command line that does the same: records tell it."""
    parts = ["bench", "run"]
    for item in declared(RunRequest):
        value = flags.get(item.name)
        if value is not None and value is not False:
            parts += [item.flag] if value is True else [item.flag, str(value)]
    parts += [] if vision_args is None else ["--vision-args", vision_args]
    parts += [part for setting in given for part in ("--set", setting)]
    return shlex.join([*parts, *([] if file is None else ["--config", str(file)])])


def _show_options(function: Callable[..., Any]) -> None:
    """Let a notebook's help show every option by name, with its default."""
    signature = inspect.signature(function)
    own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=item.kind)
        for item in declared(RunRequest)
        if item.option and not item.option.hidden
    ]
    function.__signature__ = signature.replace(parameters=[*options, *own])  # type: ignore[attr-defined]


_show_options(run)

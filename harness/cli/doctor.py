"""Says what works on this machine, and what to do about the rest."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cell import ModelOptions
from harness.entry_points import as_plugin_error
from harness.errors import BenchError, PluginError, cause_of
from harness.plan.installed import catalogue
from harness.plan.parts import GROUPS
from harness.plan.plugins import load_model, load_task, task_names
from harness.plan.run_plan import Environment
from harness.plan.run_request import RunRequest
from harness.protocols import DataContext, Model, Task, serves
from harness.report.tables.table import ALWAYS, Table, TableCell, TableRow, text_column
from harness.report.tables.values import json_text
from harness.sample import Dataset
from harness.text.error_text import named_error


@dataclass(frozen=True)
class Finding:
    """One thing looked at: ok, warning or broken, and what to do."""

    subject: str
    state: str
    detail: str
    trace: str = ""
    """The traceback of a plugin's exception, where that is what is broken."""


def finding_table(findings: Sequence[Finding]) -> Table:
    """A row for each finding."""
    columns = (
        text_column("state", importance=ALWAYS), text_column("of", importance=ALWAYS),
        text_column("found", importance=ALWAYS, least=40),
    )  # fmt: skip
    rows = (TableRow(tuple(map(TableCell, (f.state, f.subject, f.detail)))) for f in findings)
    return Table("doctor", "What works here", columns, tuple(rows))


def finding_json(findings: Sequence[Finding]) -> str:
    """The same for machines, one object a finding."""
    return json_text([{"of": f.subject, "state": f.state, "found": f.detail} for f in findings])


def examine(environment: Environment, results: str) -> list[Finding]:
    """Look at everything that a run needs; a broken part is a finding, never an exception."""
    checks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("java", _java),
        ("device", _device),
        ("plugins", _plugins),
        ("data", lambda: _data(environment)),
        ("weights", _weights),
        *(("golden vectors", check) for check in _passports(environment.cache)),
        ("cache", lambda: [_writable("cache", environment.cache)]),
        ("results", lambda: [_writable("results", Path(results))] if "://" not in results else []),
    ]
    findings: list[Finding] = []
    for subject, check in checks:
        try:
            findings += check()
        except (BenchError, OSError) as error:
            findings.append(Finding(subject, "broken", str(error), cause_of(error)))
        except Exception as error:  # of a plugin's code, which must not hide what else there is to find
            told = f"{type(error).__name__}: {error}"
            findings.append(Finding(subject, "broken", told, "".join(traceback.format_exception(error))))
    return findings


def _java() -> list[Finding]:
    from harness.metrics.captions.java import find_java

    return [Finding("java", "ok", f"{find_java()} (for the PTB tokenizer and METEOR)")]


def _device() -> list[Finding]:
    from harness.measure.choose_devices import DeviceWish, choose_devices
    from harness.measure.machine import describe_machine

    unusable: list[str] = []
    devices = choose_devices(DeviceWish(), unusable.append)
    try:
        precision = devices.precision("auto")
        detail = (
            f"{describe_machine(devices.kind).label}; mixed precision {'off' if precision == 'fp32' else precision}"
        )
    except (RuntimeError, AssertionError) as error:  # torch's, for a device that it cannot start
        return [Finding("device", "broken", f"{devices} cannot be asked what it is: {named_error(error)}")]
    if len(devices.gpus) > 1:
        detail += f"; {devices} take jobs"
    if devices.kind == "cpu":
        detail += "; no CUDA device" * (not unusable) + "; everything runs on the CPU"
    return [Finding("device", "ok", detail), *(Finding("device", "warning", why) for why in unusable)]


def _plugins() -> list[Finding]:
    """As many as `bench list` shows."""
    findings = []
    for kind in ("tasks", "models", "data", "metrics", "perturbations", *GROUPS):
        shown, broken = catalogue(kind)
        findings.append(Finding(kind, "ok", f"{len(shown)} installed"))
        findings += [Finding(kind, "broken", str(error), cause_of(error)) for error in broken]
    return findings


def _data(environment: Environment) -> list[Finding]:
    findings = []
    if environment.bench_data:
        there = Path(environment.bench_data).is_dir()
        findings.append(
            Finding("data", "ok" if there else "broken", f"BENCH_DATA={environment.bench_data}"
                    + ("" if there else ": no such folder; mend or unset it"))
        )  # fmt: skip
    coco = environment.working_directory / "data" / "coco"
    detail = f"{coco} is there" if coco.is_dir() else f"no {coco}: give real data with --data, else Scenes is taken"
    findings.append(Finding("data", "ok", detail))
    context = DataContext("scenes", None, None, environment.working_directory, environment.cache, _silent)
    scenes = load_task(RunRequest().task).open_data(context)
    findings.append(Finding("data", "ok", f"Scenes {scenes.digest[:12]} generated in {scenes.root}"))
    return findings


def _weights() -> list[Finding]:
    """Ask every model that `bench list` shows for its recipe on each task that it serves."""
    names = [entry.name for entry in catalogue("models")[0]]
    tasks = [load_task(name) for name in task_names()]
    findings = [_weights_of(load_model(name), tasks) for name in names]
    absent = [finding for finding in findings if finding.state != "ok"]
    ready = len(findings) - len(absent)
    return [Finding("weights", "ok", f"{ready} of {len(findings)} models can run here"), *absent]


def _weights_of(model: Model, tasks: Sequence[Task]) -> Finding:
    try:
        with as_plugin_error(f"The model plugin '{model.name}' failed while it was planned"):
            for task in tasks:
                if serves(model, task):
                    model.recipe(ModelOptions(task=task.name, answers=task.answers))
    except PluginError as error:
        return Finding("weights", "broken", str(error), cause_of(error))
    except BenchError as error:
        return Finding("weights", "warning", f"{model.name}: {error}")
    return Finding("weights", "ok", model.name)


def _passports(cache: Path) -> list[Callable[[], list[Finding]]]:
    """What must give its known values before anything is scored, each by itself: images first, then the metrics."""

    def found(check: Callable[[], str]) -> Callable[[], list[Finding]]:
        return lambda: [Finding("golden vectors", "ok", check())]

    return [found(check) for check in (_preprocessing, lambda: _captions(cache), _labels, _boxes, _maps, _clip_score)]


def _preprocessing() -> str:
    from harness.inputs.golden_preprocessing import check_resizing

    return check_resizing()


def _captions(cache: Path) -> str:
    nothing = Dataset("none", Path(), "", "none", (), "", "", "")
    with load_task(RunRequest().task).scorer(nothing, cache) as scorer:
        return scorer.prepare(())


def _labels() -> str:
    from harness.metrics.labels.golden import check_label_metrics

    return check_label_metrics()


def _boxes() -> str:
    """Both engines, boxes and masks."""
    from harness.metrics.boxes.golden import check_detection_metrics

    pairs = [(engine, iou) for iou in ("bbox", "segm") for engine in ("hotcoco", "pycocotools")]
    return " ".join(dict.fromkeys(check_detection_metrics(engine, iou) for engine, iou in pairs))


def _maps() -> str:
    from harness.metrics.maps.golden import check_segmentation_metrics

    return check_segmentation_metrics(panoptic=True)


def _clip_score() -> str:
    from harness.metrics.captions.clip_golden import check_clip_score

    return check_clip_score()


def _writable(subject: str, folder: Path) -> Finding:
    probe = folder
    while not probe.exists():
        probe = probe.parent
    free = shutil.disk_usage(probe).free
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").write_bytes(b"")
        (folder / ".writable").unlink()
    except OSError as error:
        return Finding(subject, "broken", f"{folder} cannot be written: {error.strerror}. Give another folder.")
    state = "ok" if free > 2**30 else "warning"
    return Finding(subject, state, f"{folder} is writable, {free / 2**30:.0f} GiB free")


def _silent(what: str, done: int, total: int) -> None:
    return None

"""Seconds, peak memory and disk of a run on data of COCO's size: reading, decoding, caching, one step, 5,000 answers.

    uv run python -m tests.benchmarks.bench_coco_size FOLDER [--images 118000] [--evaluated 5000]
        [--kinds captions,boxes,maps]

Data is made in FOLDER (about 4 GB, most of it files of the cache); each part runs in a process of its own, forked from
one that has torch. Limits on two cores: a caption run takes 6 GB at most, and reading again takes 1 s.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import harness.jobs.jobs  # noqa: F401  forked processes need not import it again
from harness.cell import Cell, DecodeOptions, ModelOptions, Places, TrainOptions
from harness.jobs import named_jobs
from harness.jobs.checkpoints import write_checkpoint
from harness.jobs.train import trained_state
from harness.plan.config import build_config
from harness.plan.plugins import load_model, load_task
from harness.plan.run_plan import Environment, plan_run
from harness.protocols import BuildContext
from harness.sample import TaskSpec
from tasks.scenes import cache_root
from tasks.scenes.generate import write_splits
from tests.benchmarks.coco_size_data import make_coco

KINDS = {
    "captions": ("coco-caption", "cnn-lstm"),
    "boxes": ("coco-detection", "vision-only"),
    "maps": ("coco-segmentation", "vision-only"),
}
SETTINGS = (
    "train.limit=1000000",
    "train.steps=1",
    "train.validations=1",
    "train.validation_limit=64",
    "train.gate_steps=0",
)


@dataclass
class Part:
    """What one part of a run took; `disk_mib` is what the cache has grown by, `phases` seconds by what was told."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    disk_mib: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)


@dataclass
class Clock:
    """Takes a job's progress, and how long each thing that it tells goes on."""

    phases: dict[str, float] = field(default_factory=dict)
    last: tuple[str, float] = ("starting", 0.0)

    def __call__(self, text: str, done: int, total: int) -> None:
        """Add the time since the last call to what was told then."""
        before, since = self.last
        now = time.perf_counter()
        if since:
            self.phases[before] = round(self.phases.get(before, 0.0) + now - since, 2)
        self.last = (text[:60], now)


def main() -> None:
    """Print the parts of each kind as JSON, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--evaluated", type=int, default=5_000)
    parser.add_argument("--kinds", default=",".join(KINDS))
    wish = parser.parse_args()
    data = wish.folder / "coco"
    data.mkdir(parents=True, exist_ok=True)
    make_coco(data, wish.images, wish.evaluated)
    for kind in wish.kinds.split(","):
        found = parts_of(kind, data, wish.folder / f"cache-{kind}", wish.evaluated)
        print(json.dumps({kind: found}, indent=1), flush=True)


def parts_of(kind: str, data: Path, cache: Path, evaluated: int) -> dict[str, Any]:
    """Measure a kind of annotation, beginning with an empty cache."""
    shutil.rmtree(cache, ignore_errors=True)
    write_splits(cache_root(cache), ["train", "val", "test", "novel"], processes=1, limit=20)
    places = Places(cache, cache / "training", backbone(cache / "backbone"))
    found: dict[str, Any] = {}
    cell, found["open and plan"] = apart(cache, lambda clock: planned(kind, data, cache, evaluated, clock))
    _, found["open and plan again"] = apart(cache, lambda clock: planned(kind, data, cache, evaluated, clock))
    task, split = load_task(cell.training.task), cell.training.data.training_split
    count, found["read the training split"] = apart(cache, lambda clock: len(task.samples(cell.training.data, split)))
    _, found["train one step"] = apart(cache, lambda clock: named_jobs.train(cell.training, places, clock) and None)
    answers, found["answer"] = apart(cache, lambda clock: len(named_jobs.predict(cell, places, clock).outcomes))
    parts = {name: asdict(part) if isinstance(part, Part) else part for name, part in found.items()}
    peak = max(part["peak_mib"] for part in parts.values())
    return {"training images": count, "answers": answers, "peak_mib": peak, **parts}


def planned(kind: str, data: Path, cache: Path, evaluated: int, clock: Clock) -> Cell:
    """Open the data and plan a cell, as `bench run` does."""
    task, model = KINDS[kind]
    flags = {"profile": "smoke", "task": task, "model": model, "data": str(data), "device": "cpu"}
    config = build_config(flags, [*SETTINGS, f"evaluate.limit={evaluated}"], task=task)
    (cell,) = plan_run(config, task, Environment(cache, cache), clock).cells
    return cell


def backbone(folder: Path) -> Path:
    """The default backbone with random weights, where its prerequisite would have left it."""
    folder.mkdir(parents=True, exist_ok=True)
    context = BuildContext(ModelOptions(), TrainOptions(), DecodeOptions(), 0, folder)
    learner: Any = load_model("attribute-classifier").build(TaskSpec("scene-attributes", ([0, 1, 1],)), context)
    digest = write_checkpoint(trained_state(learner), folder / "checkpoint.safetensors")
    (folder / "training.json").write_text(json.dumps({"checkpoint_sha256": digest, "skipped": [], "seconds": 0}))
    return folder


def apart(cache: Path, work: Callable[[Clock], Any]) -> tuple[Any, Part]:
    """Run in a forked process; returns what it returned and what it took."""
    before = size_of(cache)
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(work, send))
    process.start()
    send.close()
    try:
        result, part = receive.recv()
    except EOFError:
        raise SystemExit("A part ended without an answer; its error is above.") from None
    process.join()
    part.disk_mib = round((size_of(cache) - before) / 2**20, 1)
    return result, part


def _measured(work: Callable[[Clock], Any], send: Any) -> None:
    clock = Clock()
    clock("starting", 0, 0)
    started, cpu = time.perf_counter(), time.process_time()
    result = work(clock)
    clock("done", 0, 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, cpu = round(time.perf_counter() - started, 2), round(time.process_time() - cpu, 2)
    send.send((result, Part(seconds, cpu, round(peak, 1), phases={k: v for k, v in clock.phases.items() if v >= 0.1})))


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()

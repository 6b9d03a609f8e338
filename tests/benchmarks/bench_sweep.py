"""What five models cost under the 75 corrupted cells, against their forward passes and one pass of perturbing.

    uv run --no-sync python tests/benchmarks/bench_sweep.py

Trains five models of Scenes on the smoke profile first. Wanted: at most 1.3 times; exits with 1 above that.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from harness.canvas import Canvases, open_canvases
from harness.cell import PerturbOptions, Places
from harness.config import build_config
from harness.perturb.grids import STANDARD_CORRUPTIONS, parse_grid
from harness.perturbed_inputs import ImageSource
from harness.plan import Environment, plan_run
from harness.plugins import load_perturbations, load_task
from harness.run import run_plan
from harness.sample import Batch
from harness.store import Store
from harness.sweep import load_students, sweep_job
from harness.sweep_block import Subject, SweepBlock
from harness.trainings import prerequisite_folder, training_folder

TASK, MODELS, SAMPLES, CHUNK = "image-classification", "probe,vision-only,class-embedding,film,gated", 64, 64
WANTED = 1.3


def main() -> None:
    """Time the shared sweep and its parts, three times interleaved; print the medians."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        block = trained_block(Path(folder))
        samples = load_task(TASK).samples(block.data, block.split)[:SAMPLES]
        canvases = open_canvases(samples, 224, block.subjects[0].places.cache, "fail", quiet)
        _, students = load_students(block)
        rounds = []
        for _ in range(3):
            shared = seconds(lambda: sweep_job(block, quiet))
            perturbing = seconds(lambda: perturb_all(block, canvases))
            forward = [seconds(lambda s=s: forward_all(block, s, canvases)) for s in students]
            loading = seconds(lambda: load_students(block))
            rounds.append((shared - loading, perturbing, sum(forward)))
    shared, perturbing, forward = (sorted(values)[1] for values in zip(*rounds, strict=True))
    ratio = shared / (perturbing + forward)
    print(f"{len(block.conditions)} conditions, {SAMPLES} images, {len(students)} models, one thread, medians of 3:")
    print(f"  shared sweep                  {shared:8.2f} s")
    print(f"  one pass of perturbing        {perturbing:8.2f} s")
    print(f"  forward passes of the models  {forward:8.2f} s")
    print(f"  ratio {ratio:.2f}, wanted at most {WANTED}")
    sys.exit(ratio > WANTED)


def trained_block(folder: Path) -> SweepBlock:
    """Train the models and describe the sweep."""
    config = build_config({"task": TASK, "model": MODELS, "profile": "smoke", "results": str(folder / "results")})
    environment = Environment(folder, Path.home() / ".cache" / "fusemark")
    plan = plan_run(config, TASK, environment, quiet)
    store = Store(config.request.results)
    run_plan(plan, store, environment, Quiet())
    subjects = tuple(
        Subject(cell, Places(environment.cache, training_folder(cell.training, store, environment.cache)[0],
                             prerequisite_folder(cell.training, environment.cache)))
        for cell in plan.cells
    )  # fmt: skip
    conditions = parse_grid(",".join(STANDARD_CORRUPTIONS), load_perturbations(), ())
    return SweepBlock(
        subjects, conditions, plan.data, plan.split, PerturbOptions(limit=SAMPLES), folder / "spool", CHUNK
    )


def sources(block: SweepBlock, canvases: Canvases) -> Any:
    known = load_perturbations()
    for condition in block.conditions:
        part = condition.parts[0] if condition.parts else None
        yield ImageSource(canvases, part, known[part.name] if part else None, 0)


def perturb_all(block: SweepBlock, canvases: Canvases) -> None:
    for source in sources(block, canvases):
        for row in source.rows():
            source.read(row)


def forward_all(block: SweepBlock, student: Any, canvases: Canvases) -> None:
    """One model alone on pixels that are there already: fitting, tower, head."""
    from harness.sweep import fit_canvas

    learner = student.learner
    samples = canvases.samples
    for _ in block.conditions:
        pixels = torch.stack(
            [torch.from_numpy(fit_canvas(canvases.read(row), learner.vision.preprocessing)) for row in canvases.rows]
        )
        with torch.inference_mode():
            learner.predict(
                Batch(tuple(s.sample_id for s in samples), learner.vision(pixels), tuple(s.text for s in samples))
            )


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def quiet(*_: Any) -> None:
    """Say nothing."""


class Quiet:
    """A reporter that says nothing."""

    progress = say = finish = staticmethod(quiet)


if __name__ == "__main__":
    main()

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

from harness.cell import PerturbOptions, Places
from harness.inputs.decoded_images import DecodedImages, open_decoded_images
from harness.inputs.perturbed_inputs import ImageSource
from harness.jobs.robustness_block import RobustnessBlock, Subject
from harness.jobs.robustness_job import load_models, robustness_job
from harness.perturb.grids import STANDARD_CORRUPTIONS, parse_grid
from harness.plan.config import build_config
from harness.plan.plugins import load_perturbations, load_task
from harness.plan.run_plan import Environment, plan_run
from harness.records.store import Store
from harness.records.trainings import prerequisite_folder, training_folder
from harness.run.runner import run_plan
from harness.sample import Batch

TASK, MODELS, SAMPLES, CHUNK = "image-classification", "probe,vision-only,class-embedding,film,gated", 64, 64
WANTED = 1.3


def main() -> None:
    """Time the shared sweep and its parts, three times interleaved; print the medians."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        block = trained_block(Path(folder))
        samples = load_task(TASK).samples(block.data, block.split)[:SAMPLES]
        decoded_images = open_decoded_images(samples, 224, block.subjects[0].places.cache, "fail", quiet)
        _, loaded_models = load_models(block, quiet)
        rounds = []
        for _ in range(3):
            shared = seconds(lambda: robustness_job(block, quiet))
            perturbing = seconds(lambda: perturb_all(block, decoded_images))
            forward = [seconds(lambda s=s: forward_all(block, s, decoded_images)) for s in loaded_models]
            loading = seconds(lambda: load_models(block, quiet))
            rounds.append((shared - loading, perturbing, sum(forward)))
    shared, perturbing, forward = (sorted(values)[1] for values in zip(*rounds, strict=True))
    ratio = shared / (perturbing + forward)
    count = len(loaded_models)
    print(f"{len(block.conditions)} conditions, {SAMPLES} images, {count} models, one thread, medians of 3:")
    print(f"  shared sweep                  {shared:8.2f} s")
    print(f"  one pass of perturbing        {perturbing:8.2f} s")
    print(f"  forward passes of the models  {forward:8.2f} s")
    print(f"  ratio {ratio:.2f}, wanted at most {WANTED}")
    sys.exit(ratio > WANTED)


def trained_block(folder: Path) -> RobustnessBlock:
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
    return RobustnessBlock(
        subjects, conditions, plan.data, plan.split, PerturbOptions(limit=SAMPLES), folder / "spool", CHUNK
    )


def sources(block: RobustnessBlock, decoded_images: DecodedImages) -> Any:
    known = load_perturbations()
    for condition in block.conditions:
        part = condition.parts[0] if condition.parts else None
        yield ImageSource(decoded_images, part, known[part.name] if part else None, 0)


def perturb_all(block: RobustnessBlock, decoded_images: DecodedImages) -> None:
    for source in sources(block, decoded_images):
        for row in source.rows():
            source.read(row)


def forward_all(block: RobustnessBlock, loaded: Any, decoded_images: DecodedImages) -> None:
    """One model alone on pixels that are there already: fitting, tower, head."""
    from harness.jobs.robustness_job import fit_decoded_image

    learner = loaded.learner
    samples = decoded_images.samples
    for _ in block.conditions:
        pixels = torch.stack(
            [
                torch.from_numpy(fit_decoded_image(decoded_images.read(row), learner.vision.preprocessing))
                for row in decoded_images.rows
            ]
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

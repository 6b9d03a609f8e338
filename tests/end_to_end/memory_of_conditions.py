"""A program: the peak memory of one process after it has perturbed two models by one grid, and by a larger one.

Called with a backbone and grids, in a folder with Scenes in `cache` and both models' trainings in `trained`.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from harness.cell import PerturbOptions, Places
from harness.jobs.robustness_block import RobustnessBlock, Subject
from harness.jobs.robustness_job import robustness_job
from harness.perturb.grids import parse_grid
from harness.plan.config import build_config
from harness.plan.plugins import load_perturbations
from harness.plan.run_plan import Environment, plan_run
from harness.records.store import Store
from harness.records.trainings import training_folder

TASK = "image-classification"
SETTINGS = ("measure.runs=2", "measure.warmups=1", "evaluate.resamples=40")


def quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def peaks(backbone: str, grids: list[str]) -> list[tuple[int, int]]:
    """Return how many conditions each grid has, and the peak memory so far after it, in KiB."""
    flags = {"task": TASK, "model": "probe,class-embedding", "profile": "smoke", "device": "cpu", "data": "scenes"}
    flags |= {"vision": backbone, "vision_weights": "backbone.safetensors"}
    cache = Path("cache").resolve()
    plan = plan_run(build_config(flags, SETTINGS, "size=32"), TASK, Environment(Path.cwd(), cache), quiet)
    folders = [training_folder(cell.training, Store("trained"), cache)[0] for cell in plan.cells]
    subjects = tuple(Subject(c, Places(cache, folder, None)) for c, folder in zip(plan.cells, folders, strict=True))
    found = []
    for number, grid in enumerate(grids):
        conditions = parse_grid(grid, load_perturbations(), ())
        block = RobustnessBlock(
            subjects, conditions, plan.data, plan.split, PerturbOptions(limit=24), Path(f"peaks-{number}")
        )
        robustness_job(block, quiet)
        found.append((len(conditions), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
    return found


if __name__ == "__main__":
    print(json.dumps(peaks(sys.argv[1], sys.argv[2:])))

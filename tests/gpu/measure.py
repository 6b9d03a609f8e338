"""What only a GPU can show, in at most 8 minutes: `uv run python -m tests.gpu.measure > results/gpu.json`.

Trains a captioner on a small Scenes, and prints JSON with the device's name: throughput beside a bare loop of PyTorch,
latency by CUDA's events beside the harness's own, memory, corruptions on the device against those of NumPy, and whether
a deterministic training gives the same weights twice. Where there is no GPU it says so and ends with 0. With
`--device cpu` it runs where there is none, so that its own code is tried (`test_measure.py`): seconds are then those of
the CPU, and what it prints says that it is no measurement to keep.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.cell import Cell, Places
from harness.inputs.visual_tokens import VisualTokens, open_visual_tokens
from harness.jobs import named_jobs
from harness.jobs.built_learner import build_learner
from harness.jobs.evaluated_images import evaluation_images
from harness.jobs.optimizer import build_optimizer
from harness.jobs.train import TrainingData, train_learner
from harness.measure.device import autocast, device_description, peak_memory, reset_peak_memory, synchronize
from harness.perturb.image.on_device import ON_DEVICE, corrupt_on_device
from harness.plan.config import build_config
from harness.plan.plugins import load_perturbations, load_task
from harness.plan.run_plan import Environment, plan_run
from tasks.scenes import cache_root
from tasks.scenes.generate import write_splits
from tests.pretend_device.backbone import write_random_backbone

_IMAGES = 512
_THROUGHPUT = 0.97
"""At least so much of a bare loop's speed."""
_LEVELS = 1
"""How many grey levels a corruption on the device may differ from NumPy's."""


@dataclass(frozen=True)
class Setting:
    """Where a captioner is trained, and for how long."""

    folder: Path
    device: str
    steps: int
    batch: int
    images: int = _IMAGES
    rounds: int = 3
    """Both loops take turns so often; the best of each counts."""

    def cell(self, **settings: object) -> Cell:
        """Plan the captioner as the command does."""
        given = {
            "train.steps": self.steps, "train.batch_size": self.batch, "train.limit": self.images,
            "train.validations": 0, "train.gate_steps": 0, "evaluate.batch_size": self.batch, "evaluate.limit": 64,
            **settings,
        }  # fmt: skip
        flags = {"task": "coco-caption", "model": "cross-attention", "profile": "smoke", "device": self.device}
        config = build_config(flags, [f"{name}={value}" for name, value in given.items()], task="coco-caption")
        plan = plan_run(config, "coco-caption", Environment(self.folder, self.folder), quiet)
        (cell,) = plan.cells
        return replace(cell, training=replace(cell.training, device=self.device))

    def places(self, name: str) -> Places:
        """Give a training a folder of its own."""
        return Places(self.folder, self.folder / name, self.folder / "backbone")


def quiet(phase: str, done: int, total: int) -> None:
    """Take a job's progress and say nothing."""


def train(setting: Setting) -> dict[str, Any]:
    """Steps of the harness's training in a second beside a bare loop over the same batches; and its memory."""
    cell = setting.cell()
    made = named_jobs.train(cell.training, setting.places("trained"), quiet)
    rounds = [(_our_loop(setting, cell), _bare_loop(setting, cell)) for _ in range(setting.rounds)]
    ours, bare = (setting.steps / min(seconds) for seconds in zip(*rounds, strict=True))
    return {
        "steps_per_second": ours,
        "bare_steps_per_second": bare,
        "share_of_bare": ours / bare,
        "precision": made["precision"],
        "peak_memory_bytes": made.get("peak_memory_bytes"),
        "right": ours / bare >= _THROUGHPUT,
    }


def _built(setting: Setting, cell: Cell) -> tuple[Any, VisualTokens]:
    """Build a learner anew, before its training, and what it sees of the training split."""
    job = cell.training
    task, split = load_task(job.task), str(job.data.training_split)
    samples = list(task.samples(job.data, split))[: setting.images]
    torch.manual_seed(0)
    learner: Any = build_learner(job, task, samples, setting.places("bare"))
    trained = replace(cell, split=split, evaluate=replace(cell.evaluate, limit=setting.images))
    images = evaluation_images(trained, task, learner, setting.places("bare"), quiet)
    return learner, open_visual_tokens(learner, images, setting.folder, setting.device, quiet, job.train.precision)


def _our_loop(setting: Setting, cell: Cell) -> float:
    """Seconds from the end of the first step of the harness's training to that of the last one."""
    learner, tokens = _built(setting, cell)
    data, marks = TrainingData(load_task(cell.training.task), tokens, tokens), dict[int, float]()

    def progress(what: str, done: int, total: int) -> None:
        if what == "training" and done in (1, total):
            synchronize(setting.device)
            marks[done] = _clock(setting.device)

    options = replace(cell.training.train, steps=setting.steps + 1)
    train_learner(learner, data, options, 0, (progress, lambda entry: None))
    return marks[setting.steps + 1] - marks[1]


def _bare_loop(setting: Setting, cell: Cell) -> float:
    """Seconds of forward, backward, clipping and AdamW over the same features, with nothing around them."""
    job = cell.training
    learner, tokens = _built(setting, cell)
    learner.train()
    optimizer, generator = build_optimizer(learner, job.train), torch.Generator().manual_seed(0)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def step() -> None:
        rows = torch.randint(len(tokens.samples), (setting.batch,), generator=generator).tolist()
        with autocast(setting.device, job.train.precision):
            loss = learner.loss(tokens.batch(rows, with_targets=True), generator)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, job.train.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def steps() -> None:
        for _ in range(setting.steps):
            step()

    step()
    return _seconds(setting.device, steps)


def _clock(device: str) -> float:
    """Seconds: those that a CPU has worked, since others share it, and those that have passed beside a GPU."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def _seconds(device: str, work: Callable[[], Any]) -> float:
    synchronize(device)
    started = _clock(device)
    work()
    synchronize(device)
    return _clock(device) - started


def costs(setting: Setting) -> dict[str, Any]:
    """The harness's latency and memory beside CUDA's own events and allocator."""
    cell = setting.cell()
    profiled = named_jobs.profile(cell, setting.places("trained"), quiet)
    task = load_task(cell.training.task)
    samples = task.samples(cell.training.data, str(cell.training.data.training_split))[: setting.images]
    learner: Any = build_learner(cell.training, task, samples, setting.places("trained"))
    images = evaluation_images(cell, task, learner, setting.places("trained"), quiet)
    tokens = VisualTokens(learner, images, images.samples, None, setting.device)
    reset_peak_memory(setting.device)
    with torch.inference_mode(), autocast(setting.device, cell.evaluate.precision):
        times = [_by_events(setting.device, lambda: learner.predict(_one(tokens))) for _ in range(30)][10:]
    peak = peak_memory(setting.device)
    return {
        "latency_p50_seconds": profiled.latency_p50_seconds,
        "latency_p50_by_events_seconds": statistics.median(times),
        "notes": dict(profiled.notes),
        "peak_allocated_bytes": None if peak is None else peak.allocated_bytes,
        "peak_reserved_bytes": None if peak is None else peak.reserved_bytes,
    }


def _one(tokens: VisualTokens) -> Any:
    return tokens.batch([0], with_targets=False)


def _by_events(device: str, work: Callable[[], Any]) -> float:
    if device == "cpu":
        return _seconds(device, work)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    work()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1000


def corruptions(setting: Setting) -> dict[str, Any]:
    """Images a second of each corruption on the device, and how far it is from NumPy's in grey levels."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 96, 128, 3), dtype=np.uint8)
    batch, known = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(setting.device), dict[str, Any](load_perturbations())
    found = {}
    for name in ON_DEVICE:
        expected = [known[name].apply(one, 3, np.random.default_rng(row)) for row, one in enumerate(pixels)]
        rngs = [np.random.default_rng(row) for row in range(len(pixels))]
        made = corrupt_on_device(name, batch, 3, rngs).permute(0, 2, 3, 1).cpu().numpy()
        apart = int(np.abs(made.astype(int) - np.stack(expected)).max())
        fresh = [np.random.default_rng(row) for row in range(len(pixels))]
        seconds = _seconds(setting.device, lambda name=name, fresh=fresh: corrupt_on_device(name, batch, 3, fresh))  # type: ignore[misc]
        found[name] = {"images_per_second": len(pixels) / seconds, "levels_apart": apart, "right": apart <= _LEVELS}
    return found


def determinism(setting: Setting) -> dict[str, Any]:
    """Whether two deterministic trainings end with the same weights, and two plain ones."""
    short = replace(setting, steps=min(20, setting.steps))
    digests = {}
    for kind, settings in (("deterministic", {"train.deterministic": "true"}), ("plain", {})):
        cell = short.cell(**settings)
        made = [named_jobs.train(cell.training, short.places(f"{kind}{turn}"), quiet) for turn in range(2)]
        digests[kind] = made[0]["checkpoint_sha256"] == made[1]["checkpoint_sha256"]
    return {f"{kind}_weights_are_equal": equal for kind, equal in digests.items()}


def main(arguments: list[str]) -> int:
    """Measure and print; 1 where what was found is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=_IMAGES)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    if given.device != "cpu" and not torch.cuda.is_available():
        print("skipped: torch finds no CUDA device here; --device cpu only tries the script itself", file=sys.stderr)
        return 0
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(Path(folder), given.device, given.steps, given.batch, given.images, given.rounds)
        write_splits(cache_root(setting.folder), ["train", "val", "test", "novel"], processes=1, limit=given.images)
        write_random_backbone(setting.folder / "backbone")
        found: dict[str, Any] = {"device": device_description(given.device), "torch": torch.__version__}
        if given.device == "cpu":
            found["note"] = "of a CPU, to try the script: not to be kept as results"
        for part in (train, costs, corruptions, determinism):
            found[part.__name__] = part(setting)
            print(f"{part.__name__}: done after {time.perf_counter() - started:.0f} s", file=sys.stderr)
    found["seconds"] = time.perf_counter() - started
    print(json.dumps(found, indent=1, default=str))
    right = all(one["right"] for one in found["corruptions"].values())
    right = right and found["train"]["right"]
    return 0 if right and found["determinism"]["deterministic_weights_are_equal"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

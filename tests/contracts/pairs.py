"""Every installed pair of a model and a task, built and trained for a few steps: pairs are read from the plugins."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.inputs.images import open_images
from harness.inputs.visual_tokens import VisualTokens, open_visual_tokens
from harness.jobs.optimizer import build_optimizer, warmup_cosine
from harness.plan.pairs import supported_pairs
from harness.plan.plugins import load_model, load_task
from harness.protocols import BuildContext, DataContext, Learner, Model, SupportsFit, Task
from harness.sample import Dataset, Sample, TaskSpec

from .conftest import COUNT

SMALL = {
    "joint_width": 32, "join_layers": 1, "layers": 1, "width": 32, "heads": 2, "queries": 4, "query_layers": 1,
    "prefix_length": 2, "bottleneck": 8, "rank": 2,
}  # fmt: skip
STEPS = 8
TRAIN = TrainOptions(
    steps=STEPS, dropout=0.0, learning_rate=2e-3, language_learning_rate=1e-3, vision_learning_rate=1e-3,
    warmup_fraction=0.5,
)  # fmt: skip
RECIPES = """
import json, sys, traceback
from harness.cell import ModelOptions
from harness.errors import WeightsUnavailable
from harness.plan.pairs import supported_pairs
from harness.plan.plugins import load_model, load_task
found = {}
for pair in supported_pairs()[0]:
    try:
        options = ModelOptions(task=pair.task, answers=load_task(pair.task).answers)
        recipe = load_model(pair.model).recipe(options)
        found[f"{pair.model} {pair.task}"] = {"recipe": json.loads(json.dumps(dict(recipe), allow_nan=False))}
    except WeightsUnavailable as error:
        found[f"{pair.model} {pair.task}"] = {"skipped": str(error)}
    except Exception:  # one plugin's fault is its own pairs' failure
        found[f"{pair.model} {pair.task}"] = {"broken": traceback.format_exc()}
print(json.dumps({"found": found, "torch": "torch" in sys.modules}))
"""


@dataclass(frozen=True)
class Pair:
    """A model on a task; `settings` are the task's."""

    model: str
    task: str
    settings: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.task, *self.settings.values(), self.model])


def installed_pairs() -> list[Pair]:
    """All pairs, and those of fused models once more with a text beside each image."""
    pairs = supported_pairs()[0]
    beside = [
        Pair(p.model, p.task, {"track": "context"}) for p in pairs if p.fused and p.task == "image-classification"
    ]
    return [*(Pair(p.model, p.task) for p in pairs), *beside]


def marked(pair: Pair) -> Any:
    """Boxes and label maps take most of the time."""
    slow = [pytest.mark.slow] if pair.task in ("coco-detection", "coco-segmentation") else []
    return pytest.param(pair, id=str(pair), marks=slow)


@dataclass
class Made:
    """A pair that was built and trained for a few steps, and what that took."""

    pair: Pair
    model: Model
    task: Task
    data: Dataset
    samples: tuple[Sample, ...]
    spec: TaskSpec
    context: BuildContext
    learner: Any
    visual_tokens: VisualTokens
    before: dict[str, torch.Tensor]
    losses: list[float]


@pytest.fixture(scope="session")
def recipes() -> dict[str, Any]:
    """Every pair's recipe with default options, from a process of its own."""
    run = subprocess.run([sys.executable, "-c", RECIPES], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@dataclass(frozen=True)
class Opened:
    """A task's data under some settings, its first samples, and the spec that they make."""

    task: Task
    data: Dataset
    samples: tuple[Sample, ...]
    spec: TaskSpec


@pytest.fixture(scope="session")
def opened(cache: Path) -> Callable[[Pair], Opened]:
    """Open the data of a pair, once for all pairs of a task."""
    found: dict[str, Opened] = {}

    def of(pair: Pair) -> Opened:
        key = json.dumps([pair.task, pair.settings])
        if key not in found:
            task = load_task(pair.task)
            data = task.open_data(DataContext("scenes", None, None, cache, cache, lambda *_: None, pair.settings))
            assert data.training_split is not None
            samples = tuple(task.samples(data, data.training_split))[:COUNT]
            found[key] = Opened(task, data, samples, task.spec(data, samples))
        return found[key]

    return of


@pytest.fixture(scope="module", params=[marked(pair) for pair in installed_pairs()])
def made(
    request: pytest.FixtureRequest,
    recipes: dict[str, Any],
    opened: Callable[[Pair], Opened],
    cache: Path,
    language: Path,
    prerequisite: Path,
) -> Made:
    """Build a pair from the task's own spec and take a few steps; skipped where its weights are not here."""
    pair: Pair = request.param
    of_pair = recipes["found"][f"{pair.model} {pair.task}"]
    assert "broken" not in of_pair, of_pair["broken"]
    reason = of_pair.get("skipped")
    if reason:
        pytest.skip(reason)
    model, own = load_model(pair.model), opened(pair)
    task, data, samples, spec = own.task, own.data, own.samples, own.spec
    settings = {name: value for name, value in SMALL.items() if name in model.settings}
    options = ModelOptions(language=str(language), settings=settings, task=task.name, answers=task.answers)
    needs = model.prerequisite(options) is not None
    context = BuildContext(options, TRAIN, DecodeOptions(max_tokens=12), 3, cache, prerequisite if needs else None)
    learner: Any = model.build(spec, context)
    visual_tokens = seen_by(learner, samples, cache)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    losses = fit(learner, visual_tokens)
    return Made(pair, model, task, data, samples, spec, context, learner, visual_tokens, before, losses)


def seen_by(learner: Learner, samples: Sequence[Sample], cache: Path) -> VisualTokens:
    """Let a learner see samples exactly as a run does."""
    if learner.vision is None:
        return VisualTokens(learner, None, tuple(samples), None, "cpu")
    images = open_images(samples, learner.vision.preprocessing, cache, "fail", lambda *_: None)
    return open_visual_tokens(learner, images, cache, "cpu", lambda *_: None)


def fit(learner: Any, visual_tokens: VisualTokens) -> list[float]:
    """Take steps on all samples at once, or hand them over to a learner that is fitted in one pass."""
    every = range(len(visual_tokens))
    losses = []
    if isinstance(learner, SupportsFit):
        learner.fit([visual_tokens.batch(every, with_targets=True)])
    elif any(vars(learner.parameter_groups()).values()):
        optimizer = build_optimizer(learner, TRAIN)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, TRAIN))
        learner.train()
        for _ in range(STEPS):
            batch = visual_tokens.batch(every, with_targets=True)
            loss = learner.loss(batch, torch.Generator().manual_seed(0))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            losses.append(float(loss.detach()))
    learner.eval()
    return losses

"""What every installed model promises to every task that it serves; pairs are read from the plugins."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from harness.answers import BOXES, CAPTIONS, CHOICES, LABELS, MAPS, SHORT_ANSWERS, decode_label_map
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.inputs.images import open_images
from harness.inputs.visual_tokens import VisualTokens, open_visual_tokens
from harness.jobs.optimizer import build_optimizer, warmup_cosine
from harness.jobs.predict import predict_all
from harness.plan.pairs import supported_pairs
from harness.plan.plugins import load_model, load_task
from harness.protocols import BuildContext, DataContext, Derived, Learner, Model, SupportsFit, Task
from harness.sample import Batch, Dataset, OnDemand, Sample, TaskSpec

from .conftest import COUNT

SMALL = {
    "joint_width": 32, "join_layers": 1, "layers": 1, "width": 32, "heads": 2, "queries": 4, "query_layers": 1,
    "prefix_length": 2, "bottleneck": 8, "rank": 2,
}  # fmt: skip
STEPS = 12
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


@pytest.fixture(scope="module", params=[marked(pair) for pair in installed_pairs()])
def made(
    request: pytest.FixtureRequest, recipes: dict[str, Any], cache: Path, language: Path, prerequisite: Path
) -> Made:
    """Build a pair from the task's own spec and take a few steps; skipped where its weights are not here."""
    pair: Pair = request.param
    of_pair = recipes["found"][f"{pair.model} {pair.task}"]
    assert "broken" not in of_pair, of_pair["broken"]
    reason = of_pair.get("skipped")
    if reason:
        pytest.skip(reason)
    model, task = load_model(pair.model), load_task(pair.task)
    data = task.open_data(DataContext("scenes", None, None, cache, cache, lambda *_: None, pair.settings))
    samples = tuple(task.samples(data, data.training_split))[:COUNT]
    spec = task.spec(data, samples)
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
    if isinstance(learner, SupportsFit):
        learner.fit([visual_tokens.batch(every, with_targets=True)])
        learner.eval()
        return []
    losses = []
    if any(vars(learner.parameter_groups()).values()):
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


def answers(learner: Any, visual_tokens: VisualTokens, batch_size: int) -> list[Any]:
    return [outcome.prediction for outcome in predict_all(learner, visual_tokens, batch_size, lambda *_: None)]


def few(visual_tokens: VisualTokens, indices: Sequence[int]) -> VisualTokens:
    """Some of the samples, in another order."""
    chosen = tuple(visual_tokens.samples[index] for index in indices)
    if visual_tokens.images is None:
        return replace(visual_tokens, samples=chosen)
    images = replace(
        visual_tokens.images, samples=chosen, rows=tuple(visual_tokens.images.rows[index] for index in indices)
    )
    return replace(visual_tokens, samples=chosen, images=images)


def check_caption(answer: Any, classes: int) -> None:
    assert isinstance(answer, str)
    assert answer == answer.strip()


def check_label(answer: Any, classes: int) -> None:
    assert len(answer) == classes
    assert all(isinstance(value, float) and 0 <= value <= 1 for value in answer)
    assert sum(answer) == pytest.approx(1, abs=1e-4)


def check_boxes(answer: Any, classes: int) -> None:
    for label, score, x, y, width, height in answer:
        assert label == int(label) and 0 <= label < classes
        assert 0 <= score <= 1
        assert min(x, y) >= 0 and min(width, height) > 0
        assert max(x + width, y + height) <= 1 + 1e-5


def check_map(answer: Any, classes: int) -> None:
    labels = decode_label_map(answer)
    assert labels.ndim == 2 and min(labels.shape) > 1
    assert labels.max() < classes


def check_short_answer(answer: Any, classes: int) -> None:
    """Words, or a log-probability for each option: of Scenes's first questions, yes and no."""
    if not isinstance(answer, str):
        assert answer and all(isinstance(value, float) and value <= 0 for value in answer)


def check_choices(answer: Any, classes: int) -> None:
    assert len(answer) == 2
    assert all(isinstance(score, float) and math.isfinite(score) for score in answer)


CHECKS = {
    CAPTIONS: check_caption, LABELS: check_label, BOXES: check_boxes, MAPS: check_map,
    SHORT_ANSWERS: check_short_answer, CHOICES: check_choices,
}  # fmt: skip


def assert_alike(kind: str, one: Any, other: Any) -> None:
    """Equal within what single precision leaves open: the order of a sum depends on the size of a batch."""
    if kind == CAPTIONS or isinstance(one, str):
        assert one == other
    elif kind in (LABELS, SHORT_ANSWERS, CHOICES):
        assert one == pytest.approx(other, abs=1e-3 if kind == CHOICES else 1e-5)
    elif kind == MAPS:
        assert (decode_label_map(one) != decode_label_map(other)).mean() < 2e-3
    else:
        assert len(one) == len(other)
        assert furthest_pair(one, other) < 1e-4


def furthest_pair(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> float:
    """The greatest difference when each box is put beside its like: nearly equal scores may change places."""
    if not one:
        return 0.0
    apart = np.abs(np.asarray(one)[:, None] - np.asarray(other)[None]).max(axis=-1)
    return float(apart[linear_sum_assignment(np.minimum(apart, 1.0))].max(initial=0.0))


class Unseen:
    """A target that nobody may look at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a target's '{name}' was looked at while predicting")


def test_recipes_are_json_and_free_of_torch(recipes: dict[str, Any]) -> None:
    assert recipes["torch"] is False
    found = {name: entry for name, entry in recipes["found"].items() if "recipe" in entry}
    assert len(found) >= 50
    assert all(entry["recipe"] for entry in found.values())
    assert len({json.dumps(entry["recipe"], sort_keys=True) for entry in found.values()}) >= 20, (
        "they tell models apart"
    )


def test_it_fits_the_protocol_and_its_loss_goes_down(made: Made) -> None:
    assert isinstance(made.model, Model)
    assert isinstance(made.learner, Learner)
    assert isinstance(made.learner, torch.nn.Module)
    assert json.dumps(dict(made.model.recipe(made.context.options)), allow_nan=False)
    groups = vars(made.learner.parameter_groups())
    named = [id(parameter) for group in groups.values() for _, parameter in group]
    assert len(set(named)) == len(named), "each weight stands in one group"
    assert set(named) == {id(p) for p in made.learner.parameters() if p.requires_grad}
    if isinstance(made.learner, SupportsFit):
        assert not named
        return
    assert all(math.isfinite(loss) for loss in made.losses)
    assert made.losses[-1] < made.losses[0] if named else made.losses == []


def test_answers_have_the_stated_shape_and_are_each_images_own(made: Made) -> None:
    """Batches of 1, 7 and 32; other neighbours in another order; and targets that raise when they are looked at."""
    kind, classes = made.spec.answers, len(made.spec.classes)
    blinded = replace(made.visual_tokens, samples=tuple(replace(s, target=Unseen()) for s in made.samples))
    together = answers(made.learner, blinded, COUNT)
    assert len(together) == COUNT
    for answer in together:
        CHECKS[kind](answer, classes)
        assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    chosen = [29, 3, 17, 0, 31, 8, 12]
    for size in (1, 7):
        for index, answer in zip(chosen, answers(made.learner, few(blinded, chosen), size), strict=True):
            assert_alike(kind, answer, together[index])


def test_no_target_reaches_predict(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[Batch] = []
    own = made.learner.predict
    monkeypatch.setattr(type(made.learner), "predict", lambda self, batch: batches.append(batch) or own(batch))
    answers(made.learner, few(made.visual_tokens, [0, 1, 2]), 2)
    assert [len(batch) for batch in batches] == [2, 1]
    assert all(batch.targets is None for batch in batches)


def spec_without_samples(made: Made) -> TaskSpec:
    """The spec that a model is loaded with, whose training samples nobody may read."""

    def refuse() -> Sequence[Sample]:
        raise AssertionError("a training sample was read to build what is trained already")

    return made.task.spec(made.data, OnDemand(refuse))


def known_alone(context: BuildContext) -> BuildContext:
    """What a model is loaded with: what it has derived, as it lies beside its checkpoint."""
    return replace(context, derived=Derived(json.loads(json.dumps(context.derived.to_json()))))


def test_the_seed_decides_weights_and_answers(made: Made, cache: Path) -> None:
    torch.manual_seed(99)  # whatever was drawn before
    again: Any = made.model.build(spec_without_samples(made), known_alone(made.context))
    assert again.state_dict().keys() == made.before.keys()
    assert all(torch.equal(value, made.before[name]) for name, value in again.state_dict().items())
    visual_tokens = seen_by(again, made.samples, cache)
    assert fit(again, visual_tokens) == made.losses
    assert answers(again, few(visual_tokens, [5, 2]), 2) == answers(made.learner, few(made.visual_tokens, [5, 2]), 2)
    if not made.losses:
        return
    other: Any = made.model.build(made.spec, replace(made.context, seed=4))
    assert any(not torch.equal(value, made.before[name]) for name, value in other.state_dict().items())

"""Attacks on models of the catalogue, trained for a moment on Scenes: labels, boxes, label maps, texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.inputs.images import open_images
from harness.perturb.attack.catalog import JointAttack, PixelAttack, TextAttack
from harness.perturb.attack.request import AttackOptions, AttackRequest
from harness.plan.plugins import load_model, load_task
from harness.protocols import BuildContext, DataContext
from harness.sample import Batch, TaskSpec
from tasks.scenes import cache_root
from tasks.scenes.generate import write_splits
from tests.tiny_bert import scene_captions, write_tiny_bert

pytestmark = pytest.mark.slow
COUNT = 12
SMALL = {"joint_width": 32, "join_layers": 1}
OPTIONS = AttackOptions(
    pgd_steps=8, apgd_steps=10, queries=20, gate_samples=4, gate_steps=(4, 16), class_queries=24, class_samples=8
)


@dataclass(frozen=True)
class Made:
    learner: Any
    request: AttackRequest


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attacks")
    write_splits(cache_root(folder), ["train", "val", "test", "novel"], processes=1, limit=COUNT + 4)
    return folder


@pytest.fixture(scope="module")
def language(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one narrow block that reads the words of Scenes' captions, letters and all."""
    return write_tiny_bert(tmp_path_factory.mktemp("language"), scene_captions(cache), blocks=1)


@pytest.fixture(scope="module")
def prerequisite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbone")
    context = BuildContext(ModelOptions(), TrainOptions(), DecodeOptions(), 0, Path("unused"))
    learner: Any = load_model("attribute-classifier").build(TaskSpec("scene-attributes", ([0, 1, 1],)), context)
    state = {name: value.contiguous() for name, value in learner.state_dict().items()}
    save_file(state, folder / "checkpoint.safetensors")
    return folder


@pytest.fixture(scope="module")
def make(cache: Path, language: Path, prerequisite: Path) -> Callable[..., Made]:
    """Build a model for a task, fit it to a dozen images, and ask for an attack on these."""

    def make(model_name: str, task_name: str, steps: int, **settings: str) -> Made:
        model, task = load_model(model_name), load_task(task_name)
        data = task.open_data(DataContext("scenes", None, None, cache, cache, lambda *_: None, settings))
        samples = tuple(task.samples(data, data.training_split))[:COUNT]
        spec = task.spec(data, samples)
        chosen = {name: value for name, value in SMALL.items() if name in model.settings}
        options = ModelOptions(language=str(language), settings=chosen, task=task.name, answers=task.answers)
        train = TrainOptions(dropout=0.0)
        learner: Any = model.build(spec, BuildContext(options, train, DecodeOptions(), 0, cache, prerequisite))
        images = open_images(samples, learner.vision.preprocessing, cache, "fail", lambda *_: None)
        pixels, sizes = images.read(range(COUNT)), images.sizes_of(range(COUNT))
        with torch.no_grad():
            tokens = learner.vision(torch.from_numpy(pixels)).clone()
        ids, texts = tuple(s.sample_id for s in samples), tuple(s.text for s in samples)
        batch = Batch(ids, tokens, texts, tuple(s.target for s in samples), sizes)
        groups = learner.parameter_groups()
        named = [p for group in (groups.language, groups.vision, groups.new) for _, p in group]
        optimizer = torch.optim.AdamW(named, 1e-2)
        learner.train()
        for _ in range(steps):
            learner.loss(batch, torch.Generator().manual_seed(0)).backward()
            optimizer.step()
            optimizer.zero_grad()
        learner.eval()
        texts, score = spec.classes.texts, task.validation_score
        return Made(learner, AttackRequest(pixels, samples, sizes, texts, 5, 0, "cpu", score))

    return make


@pytest.mark.parametrize(
    ("model", "task", "steps"),
    [
        ("vision-only", "image-classification", 40),
        ("vision-only", "coco-detection", 15),
        ("class-embedding", "coco-segmentation", 10),
    ],
)
def test_a_gradient_reaches_the_pixels_of_a_frozen_tower(
    model: str, task: str, steps: int, make: Callable[..., Made]
) -> None:
    made = make(model, task, steps)
    assert made.learner.vision_frozen
    clean = TextAttack("text-attack", "", OPTIONS).predict(made.learner, made.request, 1).notes.get("loss_before")
    notes = {}
    for method in ("pgd", "apgd", "square"):
        result = PixelAttack(f"{method}-linf", "", method, "linf", OPTIONS).predict(made.learner, made.request, 5)
        assert result.skipped is None and len(result.predictions) == COUNT
        notes[method] = json.loads(json.dumps(result.notes, allow_nan=False))
        assert clean is None or notes[method]["loss_before"] == pytest.approx(clean, rel=1e-4)
    rises = {method: note["loss_after"] - note["loss_before"] for method, note in notes.items()}
    assert rises["pgd"] > 2 * rises["square"] > 0 and rises["apgd"] > 2 * rises["square"]
    assert notes["pgd"]["gates"]["black_box"]["passed"] and notes["pgd"]["gates"]["noise"]["passed"]
    numbers = notes["pgd"]["gates"]["unbounded"]["numbers"]
    if task == "image-classification":
        assert numbers["accuracy"] == 0.0 and "score" not in numbers
    else:
        assert numbers["score"] < 0.1 * numbers["score_before"] and "accuracy" not in numbers


def test_a_remark_beside_the_image_is_attacked(make: Callable[..., Made]) -> None:
    made = make("film", "image-classification", 60, track="context")
    assert made.learner.reads == ("text",)
    result = TextAttack("text-attack", "", OPTIONS).predict(made.learner, made.request, 3)
    assert result.skipped is None and "classes" not in result.notes
    assert result.notes["loss_after"] > 1.5 * result.notes["loss_before"]
    joint = JointAttack("joint-attack", "", options=OPTIONS).predict(made.learner, made.request, 3)
    assert joint.notes["loss_after"] > result.notes["loss_after"]


def test_the_words_of_classes_are_attacked_and_read_as_before_afterwards(make: Callable[..., Made]) -> None:
    """The model has read other words in inference mode, as in a sweep."""
    made = make("class-embedding", "image-classification", 40)
    tokens = made.learner.vision(torch.from_numpy(made.request.pixels)).detach()
    batch = Batch(tuple(s.sample_id for s in made.request.samples), tokens, (None,) * COUNT, None, made.request.sizes)
    before = made.learner.predict(batch)
    with torch.inference_mode():
        made.learner.reword([("nothing",)] * len(made.request.class_texts))
        made.learner.predict(batch)
    result = TextAttack("text-attack", "", OPTIONS).predict(made.learner, made.request, 2)
    assert "universal" in result.notes["classes"]
    assert result.notes["loss_after"] > result.notes["loss_before"]
    np.testing.assert_allclose(made.learner.predict(batch), before, atol=1e-6)
    with torch.inference_mode():
        made.learner.reword([("nothing",)] * len(made.request.class_texts))
        made.learner.predict(batch)
    pixels = PixelAttack("pgd-l2", "", "pgd", "l2", OPTIONS).predict(made.learner, made.request, 4)
    assert pixels.skipped is None and pixels.notes["loss_before"] == pytest.approx(
        result.notes["loss_before"], rel=1e-4
    )

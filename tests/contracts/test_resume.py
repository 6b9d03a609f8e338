"""Every kind of model that is trained in steps goes on after SIGKILL, to the last bit, whatever of it is trained."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.inputs.images import open_images
from harness.inputs.visual_tokens import VisualTokens, open_visual_tokens
from harness.jobs.resume_file import ResumeFile
from harness.jobs.train import TrainingData, train_learner, trained_state
from harness.plan.plugins import load_model, load_task
from harness.protocols import NOTICE, BuildContext, DataContext

from .pairs import SMALL

STEPS, KILLED = 3, 3
CHOSEN = [
    *(("coco-caption", "cross-attention", {"tune": tune}) for tune in ("frozen", "full", "lora", "adapter", "bitfit")),
    ("coco-caption", "cnn-lstm", {}),
    ("image-classification", "fine-tuned", {"augment": "crop+flip"}),
    ("image-classification", "dual-encoder", {"tune": "full"}),
    ("coco-detection", "vision-only", {"box_head": "set"}),
    ("coco-segmentation", "film", {}),
]


class Training:
    """Builds a model on a task anew each time and trains it, keeping its state after each step."""

    def __init__(self, task: str, model: str, choices: dict[str, str], places: tuple[Path, Path, Path]) -> None:
        cache, language, prerequisite = places
        self.task, self.model, self.cache = load_task(task), load_model(model), cache
        self.train = TrainOptions(
            steps=STEPS, batch_size=6, validations=2, beta=0.01, precision="fp32", augment=choices.pop("augment", None)
        )
        data = self.task.open_data(DataContext("scenes", None, None, cache, cache, lambda *_: None, {}))
        self.samples = tuple(self.task.samples(data, data.training_split))[:16]
        self.spec = self.task.spec(data, self.samples)
        tune = choices.pop("tune", None)
        settings = {name: value for name, value in {**SMALL, **choices}.items() if name in self.model.settings}
        options = ModelOptions(
            language=str(language), tune=tune, settings=settings, task=task, answers=self.task.answers
        )
        needs = self.model.prerequisite(options) is not None
        self.context = BuildContext(
            options, self.train, DecodeOptions(max_tokens=4), 3, cache, prerequisite if needs else None
        )

    def run(self, path: Path, kill_at: int = 0) -> tuple[list[Any], dict[str, torch.Tensor], list[str]]:
        """Train, from what is kept in `path`; gives the log without times, the weights and the notices."""
        notices, log = list[str](), list[Any]()

        def progress(what: str, done: int, total: int) -> None:
            if total == NOTICE:
                notices.append(what)
            elif what == "training" and done == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        torch.manual_seed(3)
        learner: Any = self.model.build(self.spec, self.context)
        learner.eval()
        tokens = VisualTokens(learner, None, self.samples, None, "cpu")
        if learner.vision is not None:
            images = open_images(self.samples, learner.vision.preprocessing, self.cache, "fail", progress)
            tokens = VisualTokens(learner, images, self.samples, None, "cpu")
            if self.train.augment is None:
                tokens = open_visual_tokens(learner, images, self.cache, "cpu", progress)
        data = TrainingData(self.task, tokens, tokens)
        kept = ResumeFile(path, "key", 1e-9)
        train_learner(learner, data, self.train, 3, (progress, lambda e: log.append(json.dumps(e))), kept)
        entries = [{k: v for k, v in json.loads(entry).items() if k != "seconds"} for entry in log]
        return entries, trained_state(learner), notices


def read_closely(self: Any, predictions: list[Any], targets: list[Any]) -> float:
    """Score answers by all their digits; engines of metrics have threads, which a fork would wait for in vain."""
    return int.from_bytes(hashlib.sha256(repr(predictions).encode()).digest()[:4], "big") / 2**32


def check(training: Training, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train without a break, and with SIGKILL in the last step; both end in the same."""
    monkeypatch.setattr("harness.jobs.resume_file._SHARE_OF_TIME", 1.0)
    monkeypatch.setattr(type(training.task), "validation_score", read_closely)
    child = os.fork()
    if child == 0:
        try:
            training.run(folder / "cut", KILLED)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    log, weights, notices = training.run(folder / "cut")
    assert f"goes on from step {KILLED - 1} of {STEPS}" in notices
    whole_log, whole_weights, _ = training.run(folder / "whole")
    assert log == whole_log
    assert weights.keys() == whole_weights.keys()
    assert [name for name in weights if not torch.equal(weights[name], whole_weights[name])] == []


@pytest.mark.slow
@pytest.mark.parametrize(("task", "model", "choices"), CHOSEN)
def test_sigkill_changes_nothing_in_the_end(
    task: str, model: str, choices: dict[str, str], cache: Path, language: Path, prerequisite: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    check(Training(task, model, dict(choices), (cache, language, prerequisite)), tmp_path, monkeypatch)

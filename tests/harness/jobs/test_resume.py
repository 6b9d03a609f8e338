"""A training that is killed goes on from what it kept, to the same losses and the same weights, to the last bit."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.cell import TrainOptions
from harness.jobs import resume_file
from harness.jobs.resume_file import ResumeFile
from harness.jobs.sample_order import SampleOrder
from harness.jobs.train import TrainingData, train_learner, trained_state
from harness.protocols import NOTICE

AT_EACH_STEP = 1e-9
STEPS = 14
OPTIONS = TrainOptions(steps=STEPS, batch_size=4, precision="fp32", validations=5, dropout=0.3, warmup_fraction=0.3)


class Falling:
    """Scores that are best at the second validation, by the sum of predictions, which rises."""

    def validation_score(self, predictions: list[float], targets: list[float]) -> float:
        return -abs(sum(predictions) / len(predictions) - 0.14)


@pytest.fixture
def trained(line: Any, visuals_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Train a learner that draws from all generators; `at(step)` is called after each one. (steps, losses, weights)."""
    monkeypatch.setattr(resume_file, "_SHARE_OF_TIME", 1.0)

    class Drawing(line):  # type: ignore[misc]
        def loss(self, batch: Any, generator: torch.Generator) -> Any:
            drawn = torch.rand(()) + torch.rand((), generator=generator) + random.random() + np.random.random()
            self.seen += 1
            return super().loss(batch, generator) * drawn

    def train(name: str, at: Callable[[int], None] = lambda step: None, **changes: Any) -> Any:
        notices: list[str] = []

        def progress(what: str, done: int, total: int) -> None:
            if total == NOTICE:
                notices.append(what)
            elif what == "training":
                at(done)

        random.seed(3)
        np.random.seed(3)
        learner, log = Drawing(), list[str]()
        data = TrainingData(Falling(), visuals_of(learner), visuals_of(learner))  # type: ignore[arg-type]
        options = TrainOptions(**{**vars(OPTIONS), **changes})
        kept = ResumeFile(tmp_path / f"{name}.safetensors", "key", AT_EACH_STEP)
        summary = train_learner(learner, data, options, 1, (progress, lambda e: log.append(json.dumps(e))), kept)
        entries = [{k: v for k, v in json.loads(entry).items() if k != "seconds"} for entry in log]
        return {**vars(summary), "seconds": 0, "peak_memory_bytes": 0}, entries, trained_state(learner), notices

    return train


def assert_same(first: Any, second: Any) -> None:
    assert first[:2] == second[:2]
    assert first[2].keys() == second[2].keys()
    assert all(torch.equal(first[2][name], second[2][name]) for name in first[2])


def in_a_child(work: Callable[[], Any]) -> int:
    """Run work in a forked process; returns the signal that ended it, 0 for none."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_killed_after_any_step_it_ends_the_same(step: int, trained: Any) -> None:
    def kill(done: int) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_child(lambda: trained("cut", kill)) == signal.SIGKILL
    cut = trained("cut")
    assert cut[3] == ([f"goes on from step {step - 1} of {STEPS}"] if step > 1 else [])
    assert_same(cut, trained("whole"))


def test_killed_again_and_again_at_any_moment_it_ends_the_same(trained: Any) -> None:
    generator, kills = random.Random(5), 0
    started = time.monotonic()
    whole = trained("whole", steps=30, patience=3)
    seconds = time.monotonic() - started
    for _ in range(40):
        child = os.fork()
        if child == 0:
            trained("cut", steps=30, patience=3)
            os._exit(0)
        time.sleep(generator.uniform(0.0, 0.6) * seconds)
        os.kill(child, signal.SIGKILL)
        if os.waitpid(child, 0)[1] == 0:
            break
        kills += 1
    assert kills > 0
    assert_same(trained("cut", steps=30, patience=3), whole)


def test_one_that_ran_out_of_patience_makes_no_further_step(trained: Any) -> None:
    whole = trained("whole", patience=1)
    assert whole[0]["steps"] < STEPS
    steps: list[int] = []
    again = trained("whole", steps.append, patience=1)
    assert steps == []
    assert_same(again, whole)


def test_what_is_damaged_or_does_not_fit_begins_anew(trained: Any, tmp_path: Path) -> None:
    whole, path = trained("whole"), tmp_path / "whole.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    anew = trained("whole")
    assert "is ignored, and the training begins anew" in anew[3][0]
    assert_same(anew, whole)
    kept = ResumeFile(path, "key", 1.0)
    state = kept.read(lambda *_: None)
    assert state is not None
    del state["weights"]["new.bias"]
    kept.write(state, lambda *_: None)
    anew = trained("whole")
    assert "its weights are not those of this model" in anew[3][0]
    assert_same(anew, whole)


def test_smaller_micro_batches_are_kept(trained: Any) -> None:
    def stop(done: int) -> None:
        if done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained("cut", stop, accumulation=2)
    summary = trained("cut", accumulation=1)[0]
    assert (summary["accumulation"], summary["steps"]) == (2, STEPS)


def test_the_scale_of_losses_in_fp16_is_kept(trained: Any) -> None:
    def stop(done: int) -> None:
        if done == STEPS // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained("cut", stop, precision="fp16")
    cut, whole = trained("cut", precision="fp16"), trained("whole", precision="fp16")
    assert cut[3] == [f"goes on from step {STEPS // 2 - 1} of {STEPS}"]
    assert_same(cut, whole)


@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (8, 4), (3, 8), (5, 5), (7, 3)])
def test_an_order_goes_on_and_counts_visits(count: int, batch_size: int) -> None:
    generator = torch.Generator().manual_seed(2)
    whole = SampleOrder(count, batch_size, 12, generator)
    step, seen, after = 0, [0] * count, list[Any]()
    for group in whole.groups():
        for batch in group:
            step += 1
            for index in batch:
                seen[index] += 1
            after.append((whole.left_after(step), generator.get_state(), list(seen), batch))
    for step, (queue, state, visited, _) in enumerate(after, start=1):
        own = torch.Generator()
        own.set_state(state)
        again = SampleOrder(count, batch_size, 12, own, queue, step)
        assert [again.visits()[index] for index in range(count)] == visited
        assert [batch for group in again.groups() for batch in group] == [entry[3] for entry in after[step:]]

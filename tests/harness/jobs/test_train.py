"""The training loop by hand: schedule, accumulation, the pull, selection, memory, divergence, seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.cell import TrainOptions
from harness.errors import OutOfMemory, TrainingDiverged
from harness.jobs.optimizer import build_optimizer, build_pulls, warmup_cosine
from harness.jobs.sample_order import SampleOrder
from harness.jobs.train import (
    TrainingData,
    train_learner,
    trained_state,
)
from harness.protocols import NOTICE

OPTIONS = TrainOptions(steps=12, batch_size=4, precision="fp32", validations=3, weight_decay=0.0, clip_norm=1e9)


class Closeness:
    """Scores like a task: minus the mean distance; or what the test wants to see."""

    def __init__(self, scores: Sequence[float] = ()) -> None:
        self.scores = list(scores)

    def validation_score(self, predictions: Sequence[float], targets: Sequence[float]) -> float:
        if self.scores:
            return self.scores.pop(0)
        return -sum(abs(p - t) for p, t in zip(predictions, targets, strict=True)) / len(targets)


class Report:
    """Keeps what a training tells."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.log: list[dict[str, Any]] = []

    def progress(self, what: str, done: int, total: int) -> None:
        if total == NOTICE:
            self.notices.append(what)


@pytest.fixture
def run(visuals_of: Callable[..., Any]) -> Callable[..., Any]:
    def run(learner: Any, *, task: Any = None, seed: int = 0, count: int = 10, **changes: Any) -> Any:
        options = TrainOptions(**{**OPTIONS.__dict__, **changes})
        data = TrainingData(task or Closeness(), visuals_of(learner, count), visuals_of(learner, count))
        report = Report()
        summary = train_learner(learner, data, options, seed, (report.progress, lambda e: report.log.append(dict(e))))
        return SimpleNamespace(summary=summary, report=report, state=dict(trained_state(learner)))

    return run


def test_the_schedule_warms_up_and_falls_to_zero() -> None:
    options = TrainOptions(steps=12, warmup_fraction=0.25)
    factors = [warmup_cosine(step, options) for step in range(13)]
    assert factors[:4] == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0])
    assert factors[3:] == pytest.approx([0.5 * (1 + math.cos(math.pi * k / 9)) for k in range(10)])
    assert factors[12] == pytest.approx(0.0)


def test_each_epoch_visits_every_sample_once() -> None:
    drawn = list(chain.from_iterable(SampleOrder(10, 4, 5, torch.Generator().manual_seed(0)).groups()))
    assert [len(batch) for batch in drawn] == [4] * 5
    flat = [index for batch in drawn for index in batch]
    assert sorted(flat[:10]) == sorted(flat[10:]) == list(range(10))
    assert flat[:10] != flat[10:]
    few = chain.from_iterable(SampleOrder(3, 8, 2, torch.Generator().manual_seed(0)).groups())
    assert [sorted(batch) for batch in few] == [[0, 1, 2]] * 2


@pytest.mark.parametrize(("count", "batch_size", "steps"), [(10, 4, 9), (8, 4, 7), (3, 8, 4), (5, 5, 4), (70, 3, 50)])
def test_orders_are_drawn_where_one_batch_at_a_time_would_draw_them(count: int, batch_size: int, steps: int) -> None:
    def one_at_a_time(generator: torch.Generator) -> Iterator[list[int]]:
        queue: list[int] = []
        for _ in range(steps):
            while len(queue) < min(batch_size, count):
                queue += torch.randperm(count, generator=generator).tolist()
            yield queue[:batch_size]
            queue = queue[batch_size:]

    def trace(order: Iterable[list[int]], generator: torch.Generator) -> list[Any]:
        return [(batch, torch.rand(1, generator=generator).item()) for batch in order]  # a loss that draws

    first, second = (torch.Generator().manual_seed(1) for _ in range(2))
    grouped = chain.from_iterable(SampleOrder(count, batch_size, steps, first).groups())
    assert trace(grouped, first) == trace(one_at_a_time(second), second)


@pytest.mark.parametrize("accumulation", [2, 3, 4, 9])
def test_accumulation_steps_like_the_full_batch(accumulation: int, line: Any, run: Any) -> None:
    whole, parts = run(line()), run(line(), accumulation=accumulation)
    for name, tensor in whole.state.items():
        torch.testing.assert_close(parts.state[name], tensor, rtol=1e-5, atol=1e-6)


def test_the_pull_moves_matrices_only_by_the_formula(line: Any) -> None:
    learner, options = line(), TrainOptions(beta=0.5)
    weight, bias = learner.language.weight, learner.language.bias
    origin = weight.detach().clone()
    pulls = build_pulls(learner, options)
    assert set(pulls) == {"language"}
    assert [id(parameter) for parameter, _ in pulls["language"].parameters] == [id(weight)]
    with torch.no_grad():
        weight += 3.0
        bias += 3.0
        before = (weight.clone(), bias.clone())
        pulls["language"].apply(0.1)
    torch.testing.assert_close(weight.detach(), before[0] - 0.1 * 0.5 * (before[0] - origin))
    torch.testing.assert_close(bias.detach(), before[1])


def test_a_strong_pull_keeps_language_weights_near_their_origin(line: Any, run: Any) -> None:
    def moved(**changes: Any) -> float:
        learner = line()
        origin = learner.language.weight.detach().clone()
        run(learner, steps=40, language_learning_rate=0.05, **changes)
        return float((learner.language.weight.detach() - origin).abs())

    assert moved(beta=10.0) < 0.5 * moved(beta=0.0)


def test_decay_spares_vectors_and_pulled_weights(line: Any) -> None:
    groups = build_optimizer(line(), TrainOptions(weight_decay=0.3, beta=0.1)).param_groups
    decays = {group["name"]: group["weight_decay"] for group in groups}
    assert decays == {"language": 0.0, "language-vectors": 0.0, "new": 0.3, "new-vectors": 0.0}
    assert {g["name"]: g["initial_lr"] if "initial_lr" in g else g["lr"] for g in groups}["language"] == 3e-4


def test_the_best_checkpoint_is_restored(line: Any, run: Any) -> None:
    seen: list[torch.Tensor] = []

    class Watching(Closeness):
        def validation_score(self, predictions: Sequence[float], targets: Sequence[float]) -> float:
            seen.append(learner.new.weight.detach().clone())
            return super().validation_score(predictions, targets)

    learner = line()
    result = run(learner, task=Watching([0.1, 0.9, 0.5]))
    assert (result.summary.best_step, result.summary.best_score, result.summary.steps) == (8, 0.9, 12)
    torch.testing.assert_close(learner.new.weight.detach(), seen[1])
    assert not torch.equal(seen[1], seen[2])
    assert not learner.training


@pytest.mark.parametrize(("patience", "steps"), [(0, 12), (1, 6), (2, 8)])
def test_patience_counts_validations_without_a_gain(patience: int, steps: int, line: Any, run: Any) -> None:
    scores = [0.1, 0.9, 0.5, 0.5, 0.5, 0.5]
    assert run(line(), task=Closeness(scores), validations=6, patience=patience).summary.steps == steps


def test_training_fits_the_line_and_logs_finite_numbers(line: Any, run: Any) -> None:
    result = run(line(), steps=300, learning_rate=0.05, language_learning_rate=0.05)
    assert result.summary.best_score > -0.05
    assert all(math.isfinite(entry["loss"]) for entry in result.report.log if "loss" in entry)
    assert set(result.state) == {"language.weight", "language.bias", "new.weight", "new.bias", "seen"}


def test_seeds_repeat_and_differ(line: Any, run: Any) -> None:
    first, again, other = run(line(), seed=1), run(line(), seed=1), run(line(), seed=2)
    assert all(torch.equal(first.state[name], again.state[name]) for name in first.state)
    assert not torch.equal(first.state["new.weight"], other.state["new.weight"])


def test_memory_that_runs_out_halves_the_micro_batch_and_says_so(line: Any, run: Any) -> None:
    learner = line(limit=2)
    result = run(learner, batch_size=8)
    assert result.summary.accumulation == 4
    notices = ["out of memory: going on in 2 micro-batches a step", "out of memory: going on in 4 micro-batches a step"]
    assert result.report.notices[:2] == notices
    warnings = [entry["warning"] for entry in result.report.log if "warning" in entry]
    assert warnings[0] == "out of memory: 2 micro-batches a step from here"
    assert learner.sizes[:4] == [8, 4, 2, 2]
    assert torch.equal(run(line(limit=2), batch_size=8).state["new.weight"], result.state["new.weight"])


@pytest.mark.parametrize("said", [False, None])
def test_memory_that_runs_out_does_not_make_another_training(said: bool | None, line: Any, run: Any) -> None:
    class Pairs(line):  # type: ignore[misc]
        """In-batch negatives, say: half a batch is another loss."""

        loss_is_mean_over_samples = said

    if said is None:
        del line.loss_is_mean_over_samples, Pairs.loss_is_mean_over_samples
    try:
        with pytest.raises(OutOfMemory, match=r"step 1, and the loss of Pairs is no mean.*train.accumulation=8"):
            run(Pairs(limit=2), batch_size=8, accumulation=2)
        assert run(Pairs(limit=2), batch_size=8, accumulation=4).summary.accumulation == 4
    finally:
        line.loss_is_mean_over_samples = True


def test_memory_too_small_for_one_sample_fails(line: Any, run: Any) -> None:
    with pytest.raises(OutOfMemory, match="step 1 with one sample at a time"):
        run(line(limit=0))


@pytest.mark.parametrize("failing", [1, 3])
def test_memory_that_runs_out_in_the_optimiser_is_no_second_update(
    failing: int, line: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, updates = torch.optim.AdamW.step, list[int]()

    def step(self: Any, closure: Any = None) -> Any:
        updates.append(len(updates) + 1)
        if len(updates) == failing:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(OutOfMemory, match=rf"in the optimiser at step {failing}, where smaller micro-batches"):
        run(line(), batch_size=8)
    assert updates == list(range(1, failing + 1))


def test_a_step_that_is_made_again_draws_the_same(line: Any, run: Any) -> None:
    class Drawing(line):  # type: ignore[misc]
        """Its loss is weighted by numbers of both generators, drawn before memory may run out."""

        def __init__(self) -> None:
            super().__init__(limit=4)
            self.drawn = list[tuple[float, float]]()

        def loss(self, batch: Any, generator: torch.Generator) -> Any:
            self.drawn.append((float(torch.rand(())), float(torch.rand((), generator=generator))))
            return super().loss(batch, generator) * sum(self.drawn[-1])

    torch.manual_seed(5)
    learner = Drawing()
    run(learner, batch_size=8)
    assert learner.sizes[:3] == [8, 4, 4]
    assert learner.drawn[0] == learner.drawn[1] != learner.drawn[2]


@pytest.mark.parametrize(("factor", "message"), [(math.nan, "loss is nan"), (math.inf, "loss is inf")])
def test_a_loss_that_is_not_finite_stops_the_training(factor: float, message: str, line: Any, run: Any) -> None:
    learner = line()
    plain = learner.loss
    learner.loss = lambda batch, generator: plain(batch, generator) * factor
    with pytest.raises(TrainingDiverged, match=f"{message} at step 1.*train.learning_rate"):
        run(learner)


def test_a_gradient_that_is_not_finite_stops_the_training(line: Any, run: Any) -> None:
    learner = line()
    learner.loss = lambda batch, generator: torch.sqrt(learner.new.weight.sum() * 0.0)
    with pytest.raises(TrainingDiverged, match="gradient's norm is nan at step 1"):
        run(learner)


def test_no_steps_leave_the_weights_and_no_loss(line: Any, run: Any) -> None:
    result = run(line(), steps=0)
    assert (result.summary.steps, result.summary.final_loss) == (0, None)
    torch.testing.assert_close(result.state["new.weight"], line().new.weight.detach())

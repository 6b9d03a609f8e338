"""The one training loop: AdamW, warm-up and cosine, clipping, accumulation, the pull to pretrained weights."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from harness.cell import TrainOptions
from harness.errors import OutOfMemory, TrainingDiverged
from harness.inputs.augment import augmenter_for
from harness.inputs.modes import for_evaluation, for_training
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.predict import is_out_of_memory, predict_all
from harness.jobs.random_states import random_states
from harness.measure.device import resolve_precision
from harness.protocols import NOTICE, HasMeanLoss, Learner, Progress, SupportsFit, Task
from harness.sample import Batch

if TYPE_CHECKING:
    from torch import Tensor


class Log(Protocol):
    """Takes one entry of the training log, JSON-able."""

    def __call__(self, entry: Mapping[str, Any]) -> None:
        """Write the entry."""
        ...


@dataclass(frozen=True)
class TrainingData:
    """What a training job reads: the training split, and the one that selects the checkpoint."""

    task: Task
    training: VisualTokens
    selection: VisualTokens


@dataclass(frozen=True)
class TrainingSummary:
    """What is known after training; seconds exclude building, decoding and frozen features."""

    steps: int
    best_step: int
    best_score: float | None
    seconds: float
    precision: str
    accumulation: int
    final_loss: float | None


UNTRAINED = TrainingSummary(0, 0, None, 0.0, "fp32", 1, None)
"""Of a learner that is evaluated as it was built."""


@dataclass(frozen=True)
class Pull:
    """The decoupled pull `w <- w - lr * strength * (w - w0)` (L2-SP, Li et al. 2018, arXiv 1802.01483)."""

    strength: float
    parameters: tuple[tuple[Tensor, Tensor], ...]

    def apply(self, learning_rate: float) -> None:
        """Move each weight toward its pretrained value."""
        for weight, origin in self.parameters:
            weight.lerp_(origin, learning_rate * self.strength)


def train_learner(
    learner: Learner, data: TrainingData, options: TrainOptions, seed: int, report: tuple[Progress, Log]
) -> TrainingSummary:
    """Train a learner in place and leave it with the weights that scored best on the selection split.

    Raises TrainingDiverged when the loss or its gradient is not finite, OutOfMemory when not even a
    micro-batch of one fits.
    """
    if isinstance(learner, SupportsFit):
        return _fit(learner, data, report[0])
    if not any((groups := learner.parameter_groups()).__dict__.values()):
        return UNTRAINED
    del groups
    torch.manual_seed(seed)
    return _Run(learner, data, options, seed, report).run()


class _Run:
    """The state of one training: what changes from step to step, kept in one place."""

    def __init__(
        self, learner: Learner, data: TrainingData, options: TrainOptions, seed: int, report: tuple[Progress, Log]
    ) -> None:
        self.learner, self.data, self.options, self.seed = learner, data, options, seed
        self.progress, self.log = report
        self.device = data.training.device
        self.precision = resolve_precision(options.precision, self.device)
        self.accumulation = options.accumulation
        self.optimizer = build_optimizer(learner, options)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: warmup_cosine(step, options))
        self.pulls = build_pulls(learner, options)
        self.generator = torch.Generator().manual_seed(seed)
        self.best: tuple[float, int, dict[str, Tensor]] | None = None
        self.misses = 0

    def run(self) -> TrainingSummary:
        module: Any = self.learner
        started, loss, step = time.perf_counter(), math.nan, 0
        drawn = known_batches(len(self.data.training), self.options.batch_size, self.options.steps, self.generator)
        every = max(1, math.ceil(self.options.steps / max(1, self.options.validations)))
        for_training(self.learner)
        augmenter = augmenter_for(self.options.augment, self.seed, self.data.task)
        with self.data.training.augmented(drawn, augmenter) as order:
            for step, indices in enumerate(order, start=1):
                loss = self._step(indices, step)
                self.progress("training", step, self.options.steps)
                if step % every == 0 or step == self.options.steps:
                    self.log({"step": step, "loss": loss, "seconds": time.perf_counter() - started})
                    if self._validate(step):
                        break
                    for_training(self.learner)
        if self.best is not None:
            module.load_state_dict(self.best[2], strict=False)
        for_evaluation(self.learner)
        return TrainingSummary(
            steps=step,
            best_step=self.best[1] if self.best else step,
            best_score=self.best[0] if self.best else None,
            seconds=time.perf_counter() - started,
            precision=self.precision,
            accumulation=self.accumulation,
            final_loss=loss if step else None,
        )

    def _step(self, indices: Sequence[int], step: int) -> float:
        """Make one optimiser step; only what comes before the update can be made again with less memory."""
        loss = self._gradients_with_retry(indices, step)
        try:
            self._update(step)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(
                f"Out of memory in the optimiser at step {step}, where smaller micro-batches save nothing. "
                "Take a smaller model, or train fewer of its weights."
            ) from error
        return loss

    def _gradients_with_retry(self, indices: Sequence[int], step: int) -> float:
        """Run forward and backward; when memory runs out, again with half the micro-batch and the same draws."""
        before = random_states(self.generator)
        while True:
            try:
                return self._gradients(indices, step)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                require_parts(self.learner, f"Memory ran out at step {step}", self.accumulation)
                if self.accumulation >= len(indices):
                    raise OutOfMemory(
                        f"Out of memory at step {step} with one sample at a time. Take a smaller model or image."
                    ) from error
            self.optimizer.zero_grad(set_to_none=True)
            before.restore(self.generator)
            self.accumulation = min(2 * self.accumulation, len(indices))
            self.log({"step": step, "warning": f"out of memory: {self.accumulation} micro-batches a step from here"})
            self.progress(f"out of memory: going on in {self.accumulation} micro-batches a step", step, NOTICE)

    def _gradients(self, indices: Sequence[int], step: int) -> float:
        micro = math.ceil(len(indices) / self.accumulation)
        total = 0.0
        for start in range(0, len(indices), micro):
            part = indices[start : start + micro]
            with autocast(self.device, self.precision):
                loss = self.learner.loss(self.data.training.batch(part, with_targets=True), self.generator)
            share = len(part) / len(indices)
            (loss * share).backward()
            total += float(loss.detach()) * share
        self._require_finite("loss", total, step)
        return total

    def _update(self, step: int) -> None:
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.options.clip_norm)
        self._require_finite("gradient's norm", float(norm), step)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._pull()
        self.schedule.step()

    def _require_finite(self, what: str, value: float, step: int) -> None:
        if not math.isfinite(value):
            raise TrainingDiverged(
                f"The {what} is {value} at step {step}. Lower train.learning_rate (now {self.options.learning_rate}) "
                "or train.clip_norm, or take train.precision=fp32."
            )

    def _pull(self) -> None:
        with torch.no_grad():
            for group in self.optimizer.param_groups:
                if group["name"] in self.pulls:
                    self.pulls[group["name"]].apply(group["lr"])

    def _validate(self, step: int) -> bool:
        """Score the selection split, keep the best weights; True when patience has run out."""
        for_evaluation(self.learner)
        outcomes = predict_all(self.learner, self.data.selection, self.options.batch_size, self.progress)
        targets = [sample.target for sample in self.data.selection.samples]
        score = self.data.task.validation_score([outcome.prediction for outcome in outcomes], targets)
        self.log({"step": step, "validation_score": score})
        if self.best is None or score > self.best[0]:
            self.best, self.misses = (score, step, _copy(trained_state(self.learner))), 0
        else:
            self.misses += 1
        return 0 < self.options.patience <= self.misses


def require_parts(learner: Learner, what: str, accumulation: int) -> None:
    """Raise OutOfMemory unless smaller batches, added up, are the same training as the whole batch."""
    if isinstance(learner, HasMeanLoss) and learner.loss_is_mean_over_samples:
        return
    raise OutOfMemory(
        f"{what}, and the loss of {type(learner).__name__} is no mean over samples: in smaller parts it would be "
        f"another training. Take --set train.accumulation={4 * accumulation}, which has rows of its own, a smaller "
        "train.batch_size, or a smaller model or image."
    )


def trained_state(learner: Learner) -> dict[str, Tensor]:
    """Name what a checkpoint must hold: all that is trained, and buffers; not what is frozen."""
    module: Any = learner
    every = module.named_parameters(remove_duplicate=False)  # a tied weight has two names
    frozen = {name for name, parameter in every if not parameter.requires_grad}
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}


def autocast(device: str, precision: str) -> AbstractContextManager[Any]:
    """Mixed precision for one forward pass."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.partition(":")[0], torch.bfloat16)


def warmup_cosine(step: int, options: TrainOptions) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine to zero (SGDR, arXiv 1608.03983)."""
    warmup = max(1, round(options.warmup_fraction * options.steps))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, options.steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def known_batches(count: int, batch_size: int, steps: int, generator: torch.Generator) -> Iterator[list[list[int]]]:
    """Yield `steps` batches of shuffled indices; each epoch visits every sample once.

    They come in groups, of as many as are known before the generator must be drawn from again: it serves the losses
    too, so that the next epoch's order can only be drawn when the steps before it are done.
    """
    queue: list[int] = []
    while steps:
        while len(queue) < min(batch_size, count):
            queue += torch.randperm(count, generator=generator).tolist()
        known = min(steps, max(1, len(queue) // batch_size))
        yield [queue[start : start + batch_size] for start in range(0, known * batch_size, batch_size)]
        queue = queue[known * batch_size :]
        steps -= known


def build_optimizer(learner: Learner, options: TrainOptions) -> torch.optim.AdamW:
    """AdamW over the three groups; weight decay spares norms, biases and weights that are pulled."""
    groups = learner.parameter_groups()
    rates = {
        "language": (groups.language, options.language_learning_rate, options.beta),
        "vision": (groups.vision, options.vision_learning_rate, options.gamma),
        "new": (groups.new, options.learning_rate, 0.0),
    }
    parameter_groups = []
    for name, (named, rate, pull) in rates.items():
        matrices = [parameter for _, parameter in named if parameter.ndim > 1]
        vectors = [parameter for _, parameter in named if parameter.ndim <= 1]
        decay = 0.0 if pull else options.weight_decay
        if matrices:
            parameter_groups.append({"name": name, "params": matrices, "lr": rate, "weight_decay": decay})
        if vectors:
            parameter_groups.append({"name": f"{name}-vectors", "params": vectors, "lr": rate, "weight_decay": 0.0})
    return torch.optim.AdamW(parameter_groups, betas=(0.9, 0.98))


def build_pulls(learner: Learner, options: TrainOptions) -> dict[str, Pull]:
    """Remember the pretrained values of matrices and embeddings (norms and biases are left free)."""
    groups = learner.parameter_groups()
    strengths = {"language": (groups.language, options.beta), "vision": (groups.vision, options.gamma)}
    return {
        name: Pull(strength, tuple((p, p.detach().clone()) for _, p in named if p.ndim > 1))
        for name, (named, strength) in strengths.items()
        if strength > 0
    }


def _fit(learner: Any, data: TrainingData, progress: Progress) -> TrainingSummary:
    started = time.perf_counter()
    total, size = len(data.training), 64

    def read(order: Iterator[Sequence[int]]) -> Iterator[Batch]:
        for start, indices in zip(range(0, total, size), order, strict=True):
            progress("fitting", start, total)
            yield data.training.batch(indices, with_targets=True)

    parts = [range(start, min(start + size, total)) for start in range(0, total, size)]
    with torch.no_grad(), data.training.in_order([parts]) as order:
        learner.fit(read(order))
    for_evaluation(learner)
    return TrainingSummary(0, 0, None, time.perf_counter() - started, "fp32", 1, None)


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}

"""The one training loop: steps in micro-batches, clipping, validation, and going on from what was kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch

from harness.cell import TrainOptions
from harness.errors import OutOfMemory, TrainingDiverged
from harness.inputs.augment import augmenter_for
from harness.inputs.modes import for_evaluation, for_training
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.data_parallel import ONE_PROCESS, Processes, is_mean
from harness.jobs.fit_learner import fit_learner
from harness.jobs.hardened_loss import HardenedLoss
from harness.jobs.loss_parts import counts_of, require_parts, share_of_loss, unless_memory_runs_out
from harness.jobs.loss_scale import LossScale
from harness.jobs.optimizer import build_optimizer, build_pulls, warmup_cosine
from harness.jobs.predict import predict_all
from harness.jobs.pseudo_labels import PseudoLabelledLoss, Unlabelled
from harness.jobs.random_states import RandomStates, library_states, random_states
from harness.jobs.resume_file import ResumeFile
from harness.jobs.sample_order import SampleOrder
from harness.jobs.training_summary import UNTRAINED, TrainingSummary
from harness.jobs.weight_soup import WeightSoup
from harness.measure.device import autocast, resolve_precision
from harness.measure.memory import PeakMeter
from harness.measure.out_of_memory import is_out_of_memory
from harness.protocols import NOTICE, Learner, LossPart, Progress, SupportsFit, Task

if TYPE_CHECKING:
    from torch import Tensor


class Log(Protocol):
    """Takes one entry of the training log, JSON-able."""

    def __call__(self, entry: Mapping[str, Any]) -> None:
        """Write the entry."""
        ...


@dataclass(frozen=True)
class TrainingData:
    """What a training job reads: the training split, and the one that selects the checkpoint.

    `falls_behind` is asked after each validation whether the training may end there; `unlabelled` are samples without
    targets that it trains on besides.
    """

    task: Task
    training: VisualTokens
    selection: VisualTokens
    falls_behind: Callable[[], bool] = lambda: False
    unlabelled: Unlabelled | None = None


def train_learner(
    learner: Learner,
    data: TrainingData,
    options: TrainOptions,
    seed: int,
    report: tuple[Progress, Log],
    kept: ResumeFile | None = None,
    processes: Processes = ONE_PROCESS,
) -> TrainingSummary:
    """Train a learner in place and leave it with the weights that scored best on the selection split.

    A training in steps whose state is `kept` goes on from there, and keeps its own there as it goes on. Of several
    `processes`, each with a learner of its own, only the leading one validates and has the best weights. Raises
    TrainingDiverged when the loss or its gradient is not finite, OutOfMemory when not even a micro-batch of one fits.
    """
    if isinstance(learner, SupportsFit):
        return fit_learner(learner, data.training, report[0])
    if not learns(learner):
        return UNTRAINED
    torch.manual_seed(seed + _SEED_OF_RANK * processes.rank)
    training = _Run(learner, data, options, seed, report, processes)
    with training.meter as meter:
        summary = training.run(kept)
    return replace(summary, peak_memory_bytes=meter.read().bytes)


def learns(learner: Learner) -> bool:
    """Tell whether a learner takes anything from the training split beyond its `TaskSpec`: weights or what it fits."""
    if isinstance(learner, SupportsFit):
        return True
    groups = learner.parameter_groups()
    return bool(groups.language or groups.vision or groups.new)


_SEED_OF_RANK = 1_000_003
"""So far the seeds of processes are apart: they draw other dropout for their other samples."""


class _Run:
    """The state of one training: what changes from step to step, kept in one place."""

    def __init__(
        self,
        learner: Learner,
        data: TrainingData,
        options: TrainOptions,
        seed: int,
        report: tuple[Progress, Log],
        processes: Processes,
    ) -> None:
        self.learner, self.data, self.options, self.seed = learner, data, options, seed
        self.processes = processes
        self.progress, self.log = report
        self.device = data.training.device
        self.precision = resolve_precision(options.precision, self.device)
        self.accumulation = options.accumulation
        self.optimizer = build_optimizer(learner, options)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: warmup_cosine(step, options))
        self.pulls = build_pulls(learner, options)
        self.loss_of: Callable[..., Tensor] = HardenedLoss(learner, data.training, options)
        if data.unlabelled is not None:
            self.loss_of = PseudoLabelledLoss(self.loss_of, learner, data.unlabelled)
        self.soup = WeightSoup(options.soup)
        self.generator = torch.Generator().manual_seed(seed + _SEED_OF_RANK * processes.rank)
        # One process draws order and losses from one generator; several must draw the same order.
        drawing = self.generator if processes.count == 1 else torch.Generator().manual_seed(seed)
        self.order = SampleOrder(len(data.training), options.batch_size, options.steps, drawing)
        self.best: tuple[float, int, dict[str, Tensor]] | None = None
        self.misses = self.step = 0
        self.behind = False
        self.meter = PeakMeter(self.device)
        self.scale = LossScale(self.device, self.precision)
        self.loss = math.nan
        self.started = time.perf_counter()
        self.entries: list[Mapping[str, Any]] = []

    def run(self, kept: ResumeFile | None) -> TrainingSummary:
        module: Any = self.learner
        if kept is not None:
            self._go_on(kept)
        self.processes.make_equal(trained_state(self.learner).values())
        every = max(1, math.ceil(self.options.steps / max(1, self.options.validations)))
        for_training(self.learner)
        augmenter = augmenter_for(self.options.augment, self.seed, self.data.task)
        groups = () if self._is_out_of_patience else self.order.groups()
        visits, share = self.order.visits(), self.processes.share
        with self.data.training.augmented(groups, augmenter, visits, share) as order:
            for indices in order:
                self.step += 1
                self.loss = self._step(indices, self.step)
                self.progress("training", self.step, self.options.steps)
                if self.step % every == 0 or self.step == self.options.steps:
                    self._log({"step": self.step, "loss": self.loss, "seconds": self._seconds})
                    if self.processes.leads:
                        self._validate(self.step)
                    for_training(self.learner)
                is_due, self.misses = self.processes.told((kept is not None and kept.is_due, self.misses))
                if is_due and kept is not None:
                    self._keep(kept)
                if self._is_out_of_patience or self.behind:
                    break
        self._take_soup()
        if self.best is not None:
            module.load_state_dict(self.best[2], strict=False)
        for_evaluation(self.learner)
        return TrainingSummary(
            steps=self.step,
            best_step=self.best[1] if self.best else self.step,
            best_score=self.best[0] if self.best else None,
            seconds=self._seconds,
            precision=self.precision,
            accumulation=self.accumulation,
            final_loss=self.loss if self.step else None,
        )

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def _is_out_of_patience(self) -> bool:
        return 0 < self.options.patience <= self.misses

    def _log(self, entry: Mapping[str, Any]) -> None:
        self.entries.append(entry)
        self.log(entry)

    def _keep(self, kept: ResumeFile) -> None:
        """Write all that changes from step to step, after one of them, and where the generators of all stand."""
        own = {**vars(random_states(self.generator)), "libraries": library_states()}
        generators = self.processes.gathered(own)
        if self.processes.leads:
            kept.write(self._state(generators), self.progress)

    def _state(self, generators: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "step": self.step,
            "loss": self.loss,
            "seconds": self._seconds,
            "weights": trained_state(self.learner),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scale": self.scale.state_dict(),
            "generators": generators,
            "drawing": self.order.generator.get_state(),
            "best": self.best,
            "misses": self.misses,
            "soup": self.soup.kept,
            "accumulation": self.accumulation,
            "queue": torch.tensor(self.order.left_after(self.step), dtype=torch.int64),
            "log": self.entries,
        }

    def _go_on(self, kept: ResumeFile) -> None:
        """Take up what was kept, if it fits; the learner, the options and the data are as they were then."""
        if self.processes.leads:
            kept.fetch(self.progress)
        self.processes.told(None)  # so that all read the same
        state = kept.read(self.progress)
        if state is None:
            return
        own = {name: (tensor.shape, tensor.dtype) for name, tensor in trained_state(self.learner).items()}
        if own != {name: (tensor.shape, tensor.dtype) for name, tensor in state["weights"].items()}:
            kept.ignore("its weights are not those of this model", self.progress)
            return
        module: Any = self.learner
        module.load_state_dict(state["weights"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scale.load_state_dict(state["scale"])
        self.order.queue, self.order.done = state["queue"].tolist(), state["step"]
        self.step, self.loss, self.misses = state["step"], state["loss"], state["misses"]
        self.accumulation = max(self.accumulation, state["accumulation"])
        if state["best"] is not None and self.processes.leads:
            score, step, weights = state["best"]
            self.best = score, step, {name: tensor.to(self.device) for name, tensor in weights.items()}
        self.soup.kept = list(state.get("soup", ()))
        self.started = time.perf_counter() - state["seconds"]
        for entry in state["log"]:
            self._log(entry)
        RandomStates(**state["generators"][self.processes.rank]).restore(self.generator)
        self.order.generator.set_state(state["drawing"])
        self.progress(f"goes on from step {self.step} of {self.options.steps}", self.step, NOTICE)

    def _step(self, indices: Sequence[int], step: int) -> float:
        """Make one optimiser step; only what comes before the update can be made again with less memory.

        With the same draws it is made again while the scale of losses in fp16 is still looked for.
        """
        while True:
            before = None if self.scale.is_found else random_states(self.generator)
            loss = self._gradients_with_retry(indices, step)
            try:
                moved = self._update(step)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                raise OutOfMemory(
                    f"Out of memory in the optimiser at step {step}, where smaller micro-batches save nothing. "
                    "Take a smaller model, or train fewer of its weights."
                ) from error
            if moved or before is None:
                return loss
            before.restore(self.generator)

    def _gradients_with_retry(self, indices: Sequence[int], step: int) -> float:
        """Run forward and backward; when memory runs out, again with half the micro-batch and the same draws."""
        before = random_states(self.generator)
        largest = math.ceil(self.order.batch / self.processes.count)
        while True:
            loss, error = self._attempt(indices)
            loss, lacking = self.processes.summed([loss, error is not None])
            if not lacking:
                self._require_finite("loss", loss, step)
                return loss
            require_parts(self.learner, f"Memory ran out at step {step}", self.accumulation)
            if self.accumulation >= largest:
                raise OutOfMemory(
                    f"Out of memory at step {step} with one sample at a time. Take a smaller model or image."
                ) from error
            error = None  # with it goes what the attempt has held
            self.optimizer.zero_grad(set_to_none=True)
            before.restore(self.generator)
            self.meter.restart()  # its peak was all the memory that there was
            self.accumulation = min(2 * self.accumulation, largest)
            self._log({"step": step, "warning": f"out of memory: {self.accumulation} micro-batches a step from here"})
            self.progress(f"out of memory: going on in {self.accumulation} micro-batches a step", step, NOTICE)

    def _attempt(self, indices: Sequence[int]) -> tuple[float, Exception | None]:
        """Run forward and backward of this process's share; gives its part of the loss, or how memory ran out."""
        if self.processes.count == 1 or is_mean(self.learner):
            return unless_memory_runs_out(lambda: self._gradients(indices), 0.0)
        none: Sequence[LossPart] = ()
        parts, error = unless_memory_runs_out(lambda: self._loss_parts(indices), none)
        lacking, *counts = self.processes.summed([error is not None, *counts_of(parts)])
        if lacking:
            return 0.0, error
        return unless_memory_runs_out(lambda: self._gradients_of(parts, counts) if parts else 0.0, 0.0)

    def _loss_parts(self, indices: Sequence[int]) -> Sequence[LossPart]:
        learner: Any = self.learner
        with autocast(self.device, self.precision):
            shares = [self.data.training.batch(indices, with_targets=True)] if indices else []
            return [part for batch in shares for part in learner.loss_parts(batch, self.generator)]

    def _gradients_of(self, parts: Sequence[LossPart], counts: Sequence[float]) -> float:
        loss = share_of_loss(parts, counts)
        self.scale.backward(loss)
        return float(loss.detach())

    def _gradients(self, indices: Sequence[int]) -> float:
        micro = max(1, math.ceil(len(indices) / self.accumulation))
        total = 0.0
        for start in range(0, len(indices), micro):
            part = indices[start : start + micro]
            with autocast(self.device, self.precision):
                loss = self.loss_of(part, self.generator)
            share = len(part) / self.order.batch
            self.scale.backward(loss * share)
            total += float(loss.detach()) * share
        return total

    def _update(self, step: int) -> bool:
        """Move the weights; tells whether they were, and not left as they are since the gradients overflow in fp16."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.processes.sum_gradients(parameters)
        self.scale.unscale(self.optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.options.clip_norm))
        scale = None if math.isfinite(norm) else self.scale.halve()
        if scale is not None:
            then = "left out" if self.scale.is_found else "made again"
            what = f"gradients overflow in fp16: the step is {then}, losses are scaled by {scale:g} from here"
            self._log({"step": step, "warning": what})
        else:
            self._require_finite("gradient's norm", norm, step)
            self.scale.step(self.optimizer)
            self._pull()
            self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return scale is None

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

    def _validate(self, step: int) -> None:
        """Score the selection split, and keep the best weights."""
        score = self._selected(step)
        self.behind = self.data.falls_behind()
        own = (score, step, _copy(trained_state(self.learner)))
        self.soup.add(own)
        if self.best is None or score > self.best[0]:
            self.best, self.misses = own, 0
        else:
            self.misses += 1

    def _selected(self, step: int) -> float:
        for_evaluation(self.learner)
        outcomes = predict_all(self.learner, self.data.selection, self.options.batch_size, self.progress)
        targets = [sample.target for sample in self.data.selection.samples]
        score = self.data.task.validation_score([outcome.prediction for outcome in outcomes], targets)
        self._log({"step": step, "validation_score": score})
        return score

    def _take_soup(self) -> None:
        """Put the mean of the best weights in the place of the best, where it validates no worse."""
        mean = self.soup.mean()
        if mean is None or self.best is None:
            return
        module: Any = self.learner
        module.load_state_dict(mean, strict=False)
        score = self._selected(self.step)
        self._log({"step": self.step, "soup_of": len(self.soup.kept), "taken": score >= self.best[0]})
        if score >= self.best[0]:
            self.best = (score, self.best[1], dict(mean))


def trained_state(learner: Learner) -> dict[str, Tensor]:
    """Name what a checkpoint must hold: all that is trained, and buffers; not what is frozen."""
    module: Any = learner
    every = module.named_parameters(remove_duplicate=False)  # a tied weight has two names
    frozen = {name for name, parameter in every if not parameter.requires_grad}
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}

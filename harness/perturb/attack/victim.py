"""A model under attack: its losses by pixels, their gradients, and its answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.answers import UNKNOWN, answered_class, is_label
from harness.condition import Part
from harness.metrics.plain_answers import answers_of
from harness.perturb.attack.request import AttackRequest
from harness.perturb.randomness import generator_for
from harness.protocols import HasSampleLosses, Learner, ReadsText, SupportsForget
from harness.sample import Batch, Prediction, Sample

Gradient = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Pixels `[n, 3, S, S]` in 0..1 to losses `[n]` and their gradient by pixels, both without history."""
Query = Callable[[Tensor], Tensor]
"""Pixels to losses `[n]`, without history."""
_LEAST_PROBABILITY = 1e-300
FROM_ANSWERS = "-log of the probability that the answer gives to what is right; the model gives no losses"


def sample_losses(learner: Learner, pixels: Tensor, batch: Batch, batch_size: int | None = None) -> Tensor:
    """Loss of each sample `[n]`, differentiable in `pixels` `[n, 3, S, S]` (0..1), `batch_size` samples at a time.

    `batch` holds all but the visual tokens; those are made of the pixels by the learner's own tower.
    """
    assert isinstance(learner, HasSampleLosses)
    size = batch_size or max(1, len(batch))
    parts = [
        learner.losses(seen(learner, pixels[rows], attacked_part(batch, rows))) for rows in slices(len(batch), size)
    ]
    return torch.cat(parts) if parts else pixels.new_zeros(0)


def seen(learner: Any, pixels: Tensor | None, batch: Batch) -> Batch:
    """Put visual tokens into a batch; towers take pixels of 0..255."""
    return batch if pixels is None or learner.vision is None else replace(batch, visual=learner.vision(pixels * 255.0))


def slices(count: int, size: int) -> Iterator[slice]:
    """Cut `count` samples into batches."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def attacked_part(batch: Batch, rows: slice) -> Batch:
    """Take some samples of a batch."""
    return Batch(
        sample_ids=batch.sample_ids[rows],
        visual=None if batch.visual is None else batch.visual[rows],
        texts=batch.texts[rows],
        targets=None if batch.targets is None else batch.targets[rows],
        sizes=batch.sizes[rows],
        choices=batch.choices[rows],
    )


@dataclass(frozen=True)
class Victim:
    """A learner and the samples of one batch; `batch` has targets and no visual tokens.

    `scored` is the task's quick score of answers, where it is known.
    """

    learner: Any
    batch: Batch
    batch_size: int
    scored: Callable[[Sequence[Prediction], Sequence[Any]], float] | None = None
    beat: Callable[[], None] = lambda: None

    def gradient(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Losses and their gradient by pixels; 0 where the loss does not depend on them or is not finite."""
        losses, gradients = [], []
        for rows in slices(len(self.batch), self.batch_size):
            self.beat()
            with grad_mode(self.learner, pixels.device):
                leaf = pixels[rows].detach().clone().requires_grad_()
                loss = sample_losses(self.learner, leaf, attacked_part(self.batch, rows))
                total = loss[torch.isfinite(loss)].sum()
                (slope,) = torch.autograd.grad(total, leaf, allow_unused=True) if total.requires_grad else (None,)
            losses.append(loss.detach().float())
            gradients.append(torch.zeros_like(leaf) if slope is None else slope.nan_to_num(0.0, 0.0, 0.0))
        return torch.cat(losses), torch.cat(gradients).detach()

    @torch.no_grad()
    def query(self, pixels: Tensor | None) -> Tensor:
        """Losses `[n]` as an outsider gets them: the learner's own, else -log p of the right class in its answer."""
        losses = []
        for rows in slices(len(self.batch), self.batch_size):
            self.beat()
            batch = seen(self.learner, None if pixels is None else pixels[rows], attacked_part(self.batch, rows))
            losses.append(black_box_losses(self.learner, batch))
        return torch.cat(losses)

    @torch.no_grad()
    def predict(self, pixels: Tensor | None) -> list[Prediction]:
        """Answer; the learner does not see the targets."""
        answers: list[Prediction] = []
        for rows in slices(len(self.batch), self.batch_size):
            self.beat()
            batch = replace(attacked_part(self.batch, rows), targets=None)
            answers += answers_of(self.learner, seen(self.learner, None if pixels is None else pixels[rows], batch))
        return answers

    def accuracy(self, pixels: Tensor) -> float | None:
        """Share of samples whose answered class is right; None where answers are no labels of one class."""
        targets = self.batch.targets or ()
        answers = self.predict(pixels)
        if not answers or not all(_has_one_label(t, a) for t, a in zip(targets, answers, strict=True)):
            return None
        return float(np.mean([answered_class(a) == t.label for t, a in zip(targets, answers, strict=True)]))

    def score(self, pixels: Tensor) -> float | None:
        """The task's quick score of the answers, None where that is not known."""
        return None if self.scored is None else float(self.scored(self.predict(pixels), self.batch.targets or ()))


def black_box_losses(learner: Any, batch: Batch) -> Tensor:
    """Losses `[n]` of a batch, for search without gradients; on the device of its visual tokens."""
    if isinstance(learner, HasSampleLosses):
        return learner.losses(batch).detach().float()
    assert batch.targets is not None
    answers = answers_of(learner, replace(batch, targets=None))
    surprises = [_surprise(a, t) for a, t in zip(answers, batch.targets, strict=True)]
    return torch.tensor(surprises, device=None if batch.visual is None else batch.visual.device)


def _surprise(answer: Sequence[float], target: Any) -> float:
    """-log of the probability given to what is right; with several labels the mean over classes."""
    if getattr(target, "labels", ()):
        pairs = zip(answer, target.labels, strict=True)
        right = [p if wanted else 1.0 - p for p, wanted in pairs if wanted != UNKNOWN]
    else:
        right = [answer[target.label]]
    return float(np.mean([-math.log(max(p, _LEAST_PROBABILITY)) for p in right]))


def _is_label(target: Any, answer: Any) -> bool:
    """Tell a probability of each class for a target of classification from all other answers."""
    flat = isinstance(answer, list) and bool(answer) and all(isinstance(value, float) for value in answer)
    return flat and isinstance(getattr(target, "label", None), int)


def _has_one_label(target: Any, answer: Any) -> bool:
    known = is_label(answer) and isinstance(getattr(target, "label", None), int)
    return (known or _is_label(target, answer)) and not getattr(target, "labels", ())


def loss_kind(learner: Any) -> dict[str, str]:
    """Note for an attack that had to go by answers."""
    return {} if isinstance(learner, HasSampleLosses) else {"loss": FROM_ANSWERS}


def cannot_query(learner: Any, request: AttackRequest) -> str | None:
    """Say why an attack cannot tell how wrong a model is, None when it can."""
    if isinstance(learner, HasSampleLosses):
        return None
    first = victim_of(learner, request, slice(0, 1))
    answer = first.predict(pixels_of(request, slice(0, 1)))[0]
    if _is_label(request.samples[0].target, answer):
        return None
    return "the model gives no losses, and its answers are no probabilities of classes"


def victim_of(learner: Any, request: AttackRequest, rows: slice, texts: Sequence[str | None] | None = None) -> Victim:
    """Take some samples of a request, with other texts where given."""
    chosen: tuple[Sample, ...] = request.samples[rows]
    batch = Batch(
        sample_ids=tuple(sample.sample_id for sample in chosen),
        visual=None,
        texts=tuple(sample.text for sample in chosen) if texts is None else tuple(texts[rows]),
        targets=tuple(sample.target for sample in chosen),
        sizes=request.sizes[rows] if learner.vision is not None else (),
        choices=tuple(sample.choices for sample in chosen),
    )
    return Victim(learner, batch, request.batch_size, request.score, request.beat)


def pixels_of(request: AttackRequest, rows: slice) -> Tensor | None:
    """Pixels of some samples, float in 0..1 on the request's device."""
    if request.pixels is None:
        return None
    return torch.from_numpy(np.ascontiguousarray(request.pixels[rows])).to(request.device).float() / 255.0


def shown(learner: Any, request: AttackRequest, rows: slice) -> Tensor | None:
    """Which pixels show the image, bool `[n, 1, S, S]`; None for a tower that pads nothing."""
    preprocessing = learner.vision.preprocessing
    if preprocessing.fit != "pad" or request.pixels is None:
        return None
    across, down = zip(*(preprocessing.extent(*size) for size in request.sizes[rows]), strict=True)
    height, width = (torch.arange(side, device=request.device) for side in request.pixels.shape[2:])
    rows_shown = height[None, :] < torch.tensor(down, device=request.device)[:, None]
    columns_shown = width[None, :] < torch.tensor(across, device=request.device)[:, None]
    return (rows_shown[:, :, None] & columns_shown[:, None, :])[:, None]


def generators(part: Part, request: AttackRequest, rows: slice, purpose: str = "") -> list[np.random.Generator]:
    """One generator a sample, so that no draw depends on the other samples of a batch."""
    return [generator_for(part, request.seed, f"{s.sample_id}\0{purpose}") for s in request.samples[rows]]


@contextmanager
def prepared(learner: Any, request: AttackRequest) -> Iterator[None]:
    """Have the learner read the unchanged class texts now and again afterwards, and forget what it has read.

    What was read in inference mode, in an earlier condition, would refuse to take part in a gradient.
    """
    with torch.inference_mode(False):
        try:
            _reset(learner, request)
            yield
        finally:
            _reset(learner, request)


def _reset(learner: Any, request: AttackRequest) -> None:
    if isinstance(learner, ReadsText) and "classes" in learner.reads:
        learner.reword(request.class_texts)
    if isinstance(learner, SupportsForget):
        learner.forget()


@contextmanager
def grad_mode(learner: Any, device: torch.device) -> Iterator[None]:
    """Record a graph; cuDNN has no backward pass of recurrent networks in eval mode, so there it is left out."""
    recurrent = any(isinstance(module, torch.nn.RNNBase) for module in getattr(learner, "modules", list)())
    with torch.enable_grad(), _without_cudnn() if recurrent and device.type == "cuda" else _nothing():
        yield


def _without_cudnn() -> AbstractContextManager[None]:
    flags: Any = torch.backends.cudnn
    return flags.flags(  # type: ignore[no-any-return]
        enabled=False, benchmark=flags.benchmark, deterministic=flags.deterministic, allow_tf32=flags.allow_tf32
    )


@contextmanager
def _nothing() -> Iterator[None]:
    yield

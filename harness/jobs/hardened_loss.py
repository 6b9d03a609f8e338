"""Training losses that harden a model: mixed images, adversarial pixels, words left out or replaced.

- **MixUp** (Zhang et al. 2018, arXiv 1710.09412) and **CutMix** (Yun et al. 2019, arXiv 1905.04899): images are mixed
  with those of the sample before, the loss is that of both targets in the same shares; shares are uniform, as in
  torchvision. Where a frozen tower's features are kept, MixUp mixes these (Verma et al. 2019, arXiv 1806.05236).
- **Adversarial training** (Madry et al. 2018, arXiv 1706.06083): the loss at pixels that PGD has moved to raise it,
  from a random start in the ball of the maximum norm, each step 2.5 times its radius over the number of steps.
- **Words**: the text beside an image is rewritten anew at each visit as a perturbation of texts does at severity 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.word_edits import batch_reworded
from harness.protocols import Learner
from harness.sample import Batch

_STEP = 2.5
WHITE = 255.0
"""Towers take pixels of 0..255."""


def needs_pixels(train: TrainOptions) -> bool:
    """Whether a training changes pixels where the model sees them, so that a frozen tower's features are no use."""
    return train.mix == "cutmix" or train.adversarial > 0


def unhardened(train: TrainOptions) -> TrainOptions:
    """The options without what this module does."""
    return replace(train, mix=None, adversarial=0.0, words=None, soup=0)


@dataclass(frozen=True)
class HardenedLoss:
    """The loss of a batch of indices, as the options say; that of the learner where they say nothing."""

    learner: Learner
    data: VisualTokens
    options: TrainOptions

    def __call__(self, indices: Sequence[int], generator: Generator) -> Tensor:
        """Draw what is drawn and give the loss; raises UsageError where targets or texts cannot be mixed."""
        options = self.options
        if not (options.mix or options.adversarial or options.words):
            return self.learner.loss(self.data.batch(indices, with_targets=True), generator)
        pixels = self._pixels(indices)
        batch = self.data.batch(indices, with_targets=True, with_visual=pixels is None)
        if options.words:
            batch = batch_reworded(batch, options.words, generator)
        loss: Callable[[Batch], Tensor] = lambda seen: self.learner.loss(seen, generator)  # noqa: E731
        if options.mix and self.learner.vision is not None:
            _require_labels(batch, options.mix)
            share, pixels, batch = self._mixed(pixels, batch, generator)
            loss = self._of_both(share, generator)
        if pixels is None:
            return loss(batch)
        if options.adversarial:
            pixels = self._attacked(pixels, batch, loss, generator)
        return loss(self._seen(pixels, batch))

    def _pixels(self, indices: Sequence[int]) -> Tensor | None:
        """Pixels `[B, 3, S, S]` where they are to be changed; None where the model sees none, or features do."""
        if self.learner.vision is None or self.data.features is not None:
            return None
        return self.data.pixels(indices)

    def _seen(self, pixels: Tensor, batch: Batch) -> Batch:
        assert self.learner.vision is not None
        return replace(batch, visual=self.learner.vision(pixels))

    def _mixed(self, pixels: Tensor | None, batch: Batch, generator: Generator) -> tuple[float, Tensor | None, Batch]:
        """Mix with the sample before; the share of a sample's own image comes first."""
        share = float(torch.rand((), generator=generator))
        if pixels is None:
            visual = None if batch.visual is None else mixed_images(batch.visual, share)
            return share, None, replace(batch, visual=visual)
        if self.options.mix == "mixup":
            return share, mixed_images(pixels, share), batch
        cut, share = with_a_part_cut(pixels, share, generator)
        return share, cut, batch

    def _of_both(self, share: float, generator: Generator) -> Callable[[Batch], Tensor]:
        def loss(batch: Batch) -> Tensor:
            assert batch.targets is not None
            before = replace(batch, targets=(batch.targets[-1], *batch.targets[:-1]))
            own, other = self.learner.loss(batch, generator), self.learner.loss(before, generator)
            return share * own + (1 - share) * other

        return loss

    def _attacked(self, pixels: Tensor, batch: Batch, loss: Callable[[Batch], Tensor], generator: Generator) -> Tensor:
        """Climb the loss within the ball; no gradient is left in the weights."""
        radius, count = self.options.adversarial, self.options.adversarial_steps
        clean = pixels.detach().float()
        start = torch.rand(clean.shape, generator=generator).to(clean.device)
        moved = (clean + (2 * start - 1) * radius).clamp(0, WHITE)
        for _ in range(count):
            leaf = moved.requires_grad_()
            (slope,) = torch.autograd.grad(loss(self._seen(leaf, batch)), leaf, allow_unused=True)
            if slope is None:
                break
            moved = leaf.detach() + _STEP * radius / count * slope.sign()
            moved = torch.minimum(torch.maximum(moved, clean - radius), clean + radius).clamp(0, WHITE)
        return moved.detach()


def mixed_images(images: Tensor, share: float) -> Tensor:
    """Mix `[B, …]` with the one before in the batch, `share` of its own."""
    return images * share + images.roll(1, 0) * (1 - share)


def with_a_part_cut(pixels: Tensor, share: float, generator: Generator) -> tuple[Tensor, float]:
    """Put a part of the image before into `[B, C, H, W]`; returns what is left of a sample's own area, too."""
    high, wide = pixels.shape[-2:]
    across, down = (float(torch.rand((), generator=generator)) for _ in range(2))
    half, x, y = 0.5 * math.sqrt(1 - share), int(across * wide), int(down * high)
    left, right = max(0, x - int(half * wide)), min(wide, x + int(half * wide))
    top, bottom = max(0, y - int(half * high)), min(high, y + int(half * high))
    found = pixels.clone()
    found[..., top:bottom, left:right] = pixels.roll(1, 0)[..., top:bottom, left:right]
    return found, 1 - (right - left) * (bottom - top) / (high * wide)


def _require_labels(batch: Batch, mix: str) -> None:
    if any(text is not None for text in batch.texts) or not all(hasattr(t, "label") for t in batch.targets or ()):
        raise UsageError(
            f"train.mix={mix} mixes images that have a class and no text of their own. Leave it out here, or take "
            "train.augment."
        )

"""One sample as a function of the parts of its image and of its words: what methods of attribution look at.

The value that is explained is the log-likelihood of what is right, minus the learner's own loss of the sample. So
every learner with losses has one, whatever it answers with; of others it is the log of the probability that the answer
gives to what is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from harness.perturb.attack.victim import black_box_losses, grad_mode, seen, slices
from harness.protocols import EmbeddedText, HasSampleLosses, HasTextEmbeddings
from harness.sample import Batch, Sample

_LEAST_LOG = -1e3
"""Below this a likelihood is nothing, and infinity would spoil sums."""


@dataclass(frozen=True)
class Explained:
    """A learner and a sample: `pixels` `[3, S, S]` in 0..1 and what stands in the place of parts that are taken away.

    `words` are those of the text beside the image that the learner reads; empty where it reads none. `size` is that of
    the image on disk in px. Of an image there are `grid` x `grid` cells.
    """

    learner: Any
    sample: Sample
    pixels: Tensor | None
    reference: Tensor | None
    words: tuple[str, ...]
    size: tuple[int, int]
    grid: int
    batch_size: int = 32

    @property
    def cells(self) -> Tensor:
        """The number of the cell that each pixel is in, int64 `[S, S]`, row by row."""
        assert self.pixels is not None
        return cells_of(self.pixels.shape[-1], self.grid).to(self.pixels.device)

    def value(self, pixels: Tensor | None, kept: Tensor | None = None) -> Tensor:
        """Log-likelihoods `[n]` of what is right for images `[n, 3, S, S]` and texts of the `kept` words `[n, W]`.

        None stands for the whole image or text. Differentiable in the pixels where the learner has losses.
        """
        count = len(pixels) if pixels is not None else 1 if kept is None else len(kept)
        if pixels is None and self.pixels is not None:
            pixels = self.pixels.expand(count, -1, -1, -1)
        texts = self.texts(kept, count)
        return self.of_inputs(pixels, texts)

    @cached_property
    def embedded(self) -> EmbeddedText | None:
        """The tokens of the text as vectors; None where there is none, or the learner has no tokens."""
        if not self.words or not isinstance(self.learner, HasTextEmbeddings):
            return None
        return self.learner.embed_text(self.sample.text or "")

    def of_tokens(self, pixels: Tensor | None, vectors: Tensor) -> Tensor:
        """The value for images and as many texts by their tokens `[n, L, d]`, at most `batch_size`; differentiable."""
        with self.learner.reading(vectors):
            return self.value(pixels, torch.ones(len(vectors), len(self.words)))

    def of_inputs(self, pixels: Tensor | None, texts: list[str | None]) -> Tensor:
        """The same for other images and texts."""
        parts = []
        for rows in slices(len(texts), self.batch_size):
            own = texts[rows]
            batch = Batch(
                sample_ids=(self.sample.sample_id,) * len(own),
                visual=None,
                texts=tuple(own),
                targets=(self.sample.target,) * len(own),
                sizes=(self.size,) * len(own) if self.learner.vision is not None else (),
                choices=(self.sample.choices,) * len(own),
            )
            parts.append(-self._losses(seen(self.learner, None if pixels is None else pixels[rows], batch)))
        return torch.cat(parts).clamp(min=_LEAST_LOG)

    def texts(self, kept: Tensor | None, count: int) -> list[str | None]:
        """The sample's text with some words only, `count` of them."""
        if kept is None:
            return [self.sample.text] * count
        choices = (kept > 0.5).tolist()
        return [" ".join(word for word, keep in zip(self.words, row, strict=True) if keep) for row in choices]

    def mixed(self, shown: Tensor) -> Tensor:
        """Images `[n, 3, S, S]` in which some cells are `shown`, bool `[n, cells]`, and the reference in all others."""
        assert self.pixels is not None and self.reference is not None
        mask = shown.to(self.pixels)[:, self.cells][:, None]
        return self.pixels * mask + self.reference * (1 - mask)

    def visual_slope(self) -> tuple[Tensor, Tensor]:
        """Visual tokens `[N, width]` of the whole image and the gradient of the value by them."""
        assert self.pixels is not None
        with grad_mode(self.learner, self.pixels.device):
            tokens = self.learner.vision(self.pixels[None] * 255.0).detach().requires_grad_()
            batch = Batch(
                sample_ids=(self.sample.sample_id,), visual=tokens, texts=(self.sample.text,),
                targets=(self.sample.target,), sizes=(self.size,), choices=(self.sample.choices,),
            )  # fmt: skip
            value = -self._losses(batch).sum()
            (slope,) = torch.autograd.grad(value, tokens, allow_unused=True) if value.requires_grad else (None,)
        return tokens.detach()[0], torch.zeros_like(tokens[0]) if slope is None else slope[0]

    def _losses(self, batch: Batch) -> Tensor:
        if isinstance(self.learner, HasSampleLosses):
            losses: Tensor = self.learner.losses(batch)
            return losses.float()
        return black_box_losses(self.learner, batch).float()


def cells_of(side: int, grid: int) -> Tensor:
    """The number of the cell of `grid` x `grid` that each pixel of a square is in, int64 `[side, side]`."""
    place = torch.arange(side) * grid // side
    return place[:, None] * grid + place[None, :]


def by_cell(values: Tensor, cells: Tensor, grid: int, *, mean: bool = False) -> Tensor:
    """Sum (or average) values of pixels `[S, S]` over cells: `[grid * grid]`, float64."""
    flat = values.detach().double().flatten()
    sums = torch.zeros(grid * grid, dtype=torch.float64, device=flat.device).index_add(0, cells.flatten(), flat)
    if not mean:
        return sums
    return sums / torch.bincount(cells.flatten(), minlength=grid * grid).clamp(min=1)

"""CoOp: learned context vectors instead of a prompt's words (Zhou et al. 2022, arXiv 2109.01134).

M vectors, the same for all classes, stand before the class; the text tower stays frozen, but gradients pass through
it. M is 16 and they start at random (standard deviation .02), as published. A class is worded by its first prompt;
classes without training images have the same context and are answered too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from baselines.clip.class_embeddings import TrainedClasses
from baselines.clip.learner import ClipLearner, CosineHead
from baselines.clip.parts import ClipParts, require_single_label
from baselines.clip.text_tower import TextTower
from harness.errors import UsageError

_PLACEHOLDER = "X"
_SPREAD = 0.02


class ContextPrompts(nn.Module):
    """Class embeddings `[C, d]` of "[V1] ... [VM] CLASS"; M * width weights.

    `classes` stand in their final order; `order` says whose text each class has, its own or, under C3, another's.
    """

    ids: Tensor

    def __init__(self, text: TextTower, classes: Sequence[str], length: int, order: Sequence[int]) -> None:
        super().__init__()
        self.text = text
        self._order = order
        ids = text.tokenize([f"{' '.join([_PLACEHOLDER] * length)} {name}" for name in classes])
        self.start = _start_of_run(text, ids, length)
        self.register_buffer("ids", ids, persistent=False)
        width = int(text.embedding.weight.shape[1])  # type: ignore[index]
        self.context = nn.Parameter(torch.randn(length, width) * _SPREAD)

    def reword(self, texts: Sequence[Sequence[str]]) -> None:
        """Word each class by the first of these prompts; the context stays."""
        run = " ".join([_PLACEHOLDER] * len(self.context))
        self.ids = self.text.tokenize([f"{run} {texts[index][0]}" for index in self._order]).to(self.ids.device)

    def forward(self) -> Tensor:
        """Embed all classes."""
        with self.text.replacing(self._with_context):
            embeddings: Tensor = self.text(self.ids)
        return embeddings

    def _with_context(self, embedded: Tensor) -> Tensor:
        context = self.context.to(embedded.dtype).expand(len(embedded), -1, -1)
        before, after = embedded[:, : self.start], embedded[:, self.start + self.context.shape[0] :]
        return torch.cat([before, context, after], dim=1)


def build(parts: ClipParts) -> ClipLearner:
    """Build; raises UsageError for several classes an image, or a context that does not fit."""
    require_single_label(parts.spec, "CoOp", "it is trained with a softmax over classes.")
    names = [group[0] for group in parts.texts]
    prompts = ContextPrompts(parts.text, names, parts.settings.context_vectors, parts.order)
    return ClipLearner(parts.tower, CosineHead(TrainedClasses(prompts), parts.scale), parts.classes)


def _start_of_run(text: TextTower, ids: Tensor, length: int) -> int:
    """Find where the placeholders stand; raises UsageError where they do not fit, or are not read as one token each."""
    pair = text.tokenize([f"{_PLACEHOLDER} {_PLACEHOLDER}"])[0].tolist()
    token = next(one for one, other in pairwise(pair) if one == other)
    start = pair.index(token)
    stop = start + length
    if stop + 2 > ids.shape[1] or bool((ids[:, start:stop] != token).any()):
        raise UsageError(
            f"model.context_vectors={length}: wanted so few that they and a class fit into this text tower's "
            f"{ids.shape[1]} tokens."
        )
    return start

"""The texts of a task's classes as vectors: one a class, the mean over its prompts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.language.knowledge import Knowledge
from baselines.language.text_tokens import TextSource, TextTokens


class ClassTexts(nn.Module):
    """Embed -> normalise -> mean over prompts -> normalise (Radford et al. 2021, arXiv 2103.00020).

    `order` says whose texts class i is given: its own, or under control C3 another's. Of `knowledge` words stand after
    each text, and vectors beside the texts', as long as these.
    """

    def __init__(
        self,
        source: TextSource,
        texts: Sequence[Sequence[str]],
        order: Sequence[int] | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        super().__init__()
        self.source = source
        self.knowledge = knowledge or Knowledge()
        beside = torch.tensor(self.knowledge.vectors, dtype=torch.float32).reshape(len(texts), -1)
        self.register_buffer("beside", F.normalize(beside, dim=-1), persistent=False)
        self.width = source.width + beside.shape[1]
        self.register_buffer("owners", torch.empty(0, dtype=torch.int64), persistent=False)
        self.reword(texts)
        self.register_buffer("order", torch.tensor(order or range(len(texts))), persistent=False)

    def reword(self, texts: Sequence[Sequence[str]]) -> None:
        """Read these texts from now on, those of class i at place i."""
        self._texts = [text for group in self.knowledge.told(texts) for text in group]
        owners = [index for index, group in enumerate(texts) for _ in group]
        self.owners = torch.tensor(owners).to(self.get_buffer("owners").device, non_blocking=True)
        self._remembered: Tensor | None = None

    def __len__(self) -> int:
        return len(self.get_buffer("order"))

    def forward(self) -> Tensor:
        """Return one vector a class `[C, width]`, of length sqrt(width) so that its entries are of order 1."""
        remembered = self._remembered
        if remembered is not None and remembered.device == self.get_buffer("order").device and _usable(remembered):
            return remembered
        vectors = self._vectors()
        if not any(parameter.requires_grad for parameter in self.source.parameters()):  # type: ignore[attr-defined]
            self._remembered = vectors.detach()
        return vectors

    def as_memory(self, rows: int) -> TextTokens:
        """Give all classes as the tokens of a text, the same for each of `rows` images."""
        vectors = self()
        mask = torch.ones(rows, len(vectors), dtype=torch.bool, device=vectors.device)
        pooled = vectors.mean(dim=0).expand(rows, -1)
        return TextTokens(vectors.expand(rows, -1, -1), mask, pooled)

    def _vectors(self) -> Tensor:
        read = F.normalize(self.source(self._texts).pooled, dim=-1)
        summed = read.new_zeros(len(self), self.source.width).index_add(0, self.get_buffer("owners"), read)
        mean: Tensor = F.normalize(summed, dim=-1)
        if self.knowledge.vectors:
            mean = F.normalize(torch.cat([mean, self.get_buffer("beside")], dim=-1), dim=-1)
        scaled: Tensor = mean[self.get_buffer("order")] * self.width**0.5
        return scaled


def _usable(remembered: Tensor) -> bool:
    """Tell whether a tensor may be used now: one that was made in inference mode refuses to take part in a gradient."""
    return torch.is_inference_mode_enabled() or not remembered.is_inference()


def derangement(count: int, seed: int = 0) -> list[int]:
    """Shuffle so that no class keeps its own text: one cycle through all in a random order (control C3)."""
    cycle = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    given = [0] * count
    for position, index in enumerate(cycle):
        given[index] = cycle[(position + 1) % count]
    return given

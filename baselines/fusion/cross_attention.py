"""Cross-attention before the language model's blocks, without gates.

The layer of Vaswani et al. 2017 (arXiv 1706.03762) as ViLBERT and VisualGPT put it into pretrained
language models (Lu et al. 2019, arXiv 1908.02265; Chen et al. 2022, arXiv 2102.10407).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from baselines.fusion.operator import Fused, Fusion, FusionShape
from baselines.fusion.visual_input import VisualInput


class CrossAttention(nn.Module):
    """Multi-head attention of normalised hidden states to a memory of another width."""

    def __init__(self, width: int, memory_width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(memory_width, 2 * width)
        self.output = nn.Linear(width, width)

    def memory(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Make keys and values `[B, heads, N, d]` of tokens `[B, N, memory_width]`: once for each sequence."""
        keys, values = self.key_value(tokens).chunk(2, dim=-1)
        return self._split(keys), self._split(values)

    def forward(self, hidden: Tensor, memory: tuple[Tensor, Tensor]) -> Tensor:
        """Return what hidden states `[B, T, width]` read; the caller adds it."""
        queries = self._split(self.query(self.norm(hidden)))
        read = F.scaled_dot_product_attention(queries, memory[0], memory[1])
        read = self.output(read.transpose(1, 2).flatten(2))
        return F.dropout(read, self.dropout, self.training)

    def _split(self, tensor: Tensor) -> Tensor:
        batch, count, width = tensor.shape
        return tensor.view(batch, count, self.heads, width // self.heads).transpose(1, 2)


class CrossAttentionFusion(Fusion):
    """A cross-attention layer before every n-th block (`model.every`), added to the residual stream."""

    def __init__(self, shape: FusionShape) -> None:
        super().__init__()
        self.input = VisualInput(shape.visual_width, shape.visual_tokens)
        self.blocks = shape.blocks
        self.layers = nn.ModuleDict(
            {
                str(block): CrossAttention(shape.language_width, shape.visual_width, shape.heads, shape.dropout)
                for block in range(0, shape.blocks, shape.settings.every)
            }
        )

    def forward(self, visual: Tensor) -> Fused:
        """Compute each layer's keys and values."""
        tokens = self.input(visual)
        return Fused(
            memory=tuple(
                self._layer(block).memory(tokens) if self.reads_before(block) else None for block in range(self.blocks)
            )
        )

    def reads_before(self, block: int) -> bool:
        """Tell whether there is a layer before a block."""
        return str(block) in self.layers

    def read(self, block: int, hidden: Tensor, memory: tuple[Tensor, Tensor]) -> Tensor:
        """Add what the layer reads."""
        added: Tensor = hidden + self._layer(block)(hidden, memory)
        return added

    def _layer(self, block: int) -> CrossAttention:
        layer = self.layers[str(block)]
        assert isinstance(layer, CrossAttention)
        return layer

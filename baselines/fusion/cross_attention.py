"""Cross-attention before the language model's blocks, without gates.

The layer of Vaswani et al. 2017 (arXiv 1706.03762) as ViLBERT and VisualGPT put it into pretrained
language models (Lu et al. 2019, arXiv 1908.02265; Chen et al. 2022, arXiv 2102.10407).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.fusion.decoder_fusion import DecoderFusion, DecoderFusionShape, Fused
from baselines.fusion.feature_fusion import FeatureFusionShape
from baselines.fusion.operator import FusionOperator
from baselines.fusion.visual_input import VisualInput
from baselines.language.text_tokens import TextTokens


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

    def forward(self, hidden: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None = None) -> Tensor:
        """Return what hidden states `[B, T, width]` read; the caller adds it.

        `mask`, bool `[B, N]`, is False where there is nothing to read.
        """
        queries = self._split(self.query(self.norm(hidden)))
        allowed = None if mask is None else mask[:, None, None, :]
        read = F.scaled_dot_product_attention(queries, memory[0], memory[1], attn_mask=allowed)
        read = self.output(read.transpose(1, 2).flatten(2))
        return F.dropout(read, self.dropout, self.training)

    def _split(self, tensor: Tensor) -> Tensor:
        batch, count, width = tensor.shape
        return tensor.view(batch, count, self.heads, width // self.heads).transpose(1, 2)


class CrossAttentionDecoderFusion(DecoderFusion):
    """A cross-attention layer before every n-th block (`model.every`), added to the residual stream."""

    def __init__(self, shape: DecoderFusionShape) -> None:
        super().__init__()
        self.input = VisualInput(shape.visual_width, shape.visual_tokens)
        self.blocks = shape.blocks
        self.layers = nn.ModuleDict(
            {
                str(block): CrossAttention(shape.language_width, shape.visual_width, shape.heads, shape.dropout)
                for block in range(0, shape.blocks, shape.settings["every"])
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


class TextReader(nn.Module):
    """Visual tokens read the tokens of a text, then think: one block as in ViLBERT's visual stream.

    With `gated` both parts start behind gates of 0, as in Flamingo.
    """

    def __init__(self, shape: FeatureFusionShape, *, gated: bool = False) -> None:
        super().__init__()
        self.text_norm = nn.LayerNorm(shape.text_width)
        self.attention = CrossAttention(shape.width, shape.text_width, shape.heads, shape.dropout)
        self.feed_forward = feed_forward(shape.width, shape.dropout)
        self.gates = nn.Parameter(torch.zeros(2)) if gated else None

    def forward(self, visual: Tensor, text: TextTokens) -> Tensor:
        """Return `[B, N, width]`."""
        first, second = (1.0, 1.0) if self.gates is None else self.gates.tanh().unbind()
        memory = self.attention.memory(self.text_norm(text.tokens))
        visual = visual + first * self.attention(visual, memory, text.mask)
        read: Tensor = visual + second * self.feed_forward(visual)
        return read


class CrossAttentionFeatureFusion(nn.Module):
    """`model.join_layers` blocks in which every place of the image reads the text."""

    gated = False

    def __init__(self, shape: FeatureFusionShape) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(TextReader(shape, gated=self.gated) for _ in range(shape.layers))

    def forward(self, visual: Tensor, text: TextTokens) -> Tensor:
        """Read."""
        for block in self.blocks:
            visual = block(visual, text)
        return visual


def feed_forward(width: int, dropout: float, expansion: int = 2) -> nn.Sequential:
    """The position-wise part of a transformer block, normalised first."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, expansion * width),
        nn.GELU(),
        nn.Linear(expansion * width, width),
        nn.Dropout(dropout),
    )


cross_attention = FusionOperator(
    "cross-attention",
    "pretrained language model + cross-attention; every place reads the text (ViLBERT 2019)",
    features="baselines.fusion.cross_attention:CrossAttentionFeatureFusion",
    decoder="baselines.fusion.cross_attention:CrossAttentionDecoderFusion",
    settings={"every": 1},
    decoder_only=("every",),
)

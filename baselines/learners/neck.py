"""From visual tokens to features: what every model of labels, boxes and label maps has below its head.

Tokens are normalised, told their place and brought to the joint width; a join reads texts; a mixer lets places see
each other. Un-fused models and controls have the same neck without the fusion, so that they differ in nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.fusion.cross_attention import CrossAttention, feed_forward
from baselines.fusion.feature_fusion import FeatureFusion
from baselines.fusion.visual_input import VisualInput
from baselines.language.text_tokens import TextTokens


@dataclass(frozen=True)
class VisualShape:
    """The tower's tokens: how wide, how many, in which grid (rows, columns)."""

    width: int
    tokens: int
    grid: tuple[int, int]


class AttentionMixer(nn.Module):
    """A transformer block among the places of the image."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.memory_norm = nn.LayerNorm(width)
        self.attention = CrossAttention(width, width, heads, dropout)
        self.feed_forward = feed_forward(width, dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return `[B, N, width]`."""
        features = features + self.attention(features, self.attention.memory(self.memory_norm(features)))
        mixed: Tensor = features + self.feed_forward(features)
        return mixed


class ConvolutionMixer(nn.Module):
    """Two 3 x 3 convolutions with a shortcut, for grids too fine for attention."""

    def __init__(self, width: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return `[B, N, width]`."""
        maps = features.transpose(1, 2).unflatten(-1, self.grid)
        return features + self.layers(maps).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class Neck(nn.Module):
    """Features `[B, N, width]` of visual tokens; without them (`blind`) of learned places alone.

    `extra` is the inner width of a further feed-forward part, with which control C1 reaches its size.
    """

    def __init__(
        self, visual: VisualShape, width: int, mixer: nn.Module, *, fusion: FeatureFusion | None = None, extra: int = 0
    ) -> None:
        super().__init__()
        self.width = width
        self.input = VisualInput(visual.width, visual.tokens)
        self.projection = nn.Linear(visual.width, width)
        self.fusion = fusion
        self.mixer = mixer
        self.extra = None
        if extra:
            self.extra = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, extra), nn.GELU(), nn.Linear(extra, width))

    def forward(self, visual: Tensor, text: TextTokens | None) -> Tensor:
        """Compute features; a join needs its text."""
        features = self.projection(self.input(visual))
        if self.fusion is not None:
            assert text is not None
            features = self.fusion(features, text)
        features = self.mixer(features)
        if self.extra is not None:
            features = features + self.extra(features)
        return features  # type: ignore[no-any-return]


class BareNeck(nn.Module):
    """Normalised tokens and nothing else: the frozen probe."""

    def __init__(self, visual: VisualShape) -> None:
        super().__init__()
        self.width = visual.width
        self.norm = nn.LayerNorm(visual.width, elementwise_affine=False)

    def forward(self, visual: Tensor, text: TextTokens | None) -> Tensor:
        """Normalise."""
        features: Tensor = self.norm(visual)
        return features


class Blind(nn.Module):
    """Stands for the tower in a model that sees no image (control C5): zeros in the place of tokens."""

    def __init__(self, visual: VisualShape) -> None:
        super().__init__()
        self.register_buffer("zeros", torch.zeros(1, visual.tokens, visual.width), persistent=False)

    def forward(self, rows: int) -> Tensor:
        """Return `[rows, N, width]`."""
        return self.get_buffer("zeros").expand(rows, -1, -1)

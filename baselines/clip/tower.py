"""The image side of an open_clip model as a vision tower: one token, the image's embedding."""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from torch import Tensor, nn

from baselines.weights.digests import text_digest
from harness.sample import Preprocessing


class ClipTower(nn.Module):
    """Turns pixels 0..255 (uint8 or float `[B, 3, S, S]`) into embeddings `[B, 1, width]`, projected, of any length.

    Batch norm stays in eval mode, also where the tower is tuned; a frozen one stays in it altogether.
    """

    tokens = 1
    mean: Tensor
    std: Tensor

    def __init__(self, visual: nn.Module, preprocessing: Preprocessing, digest: str) -> None:
        super().__init__()
        self.visual = visual
        self.preprocessing = preprocessing
        self.key = text_digest(f"image embeddings of {digest} {preprocessing} open_clip {open_clip.__version__}")
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preprocessing.std).view(3, 1, 1), persistent=False)
        self.requires_grad_(False)
        visual.eval()
        with torch.no_grad():
            probe = self(torch.zeros(1, 3, preprocessing.size, preprocessing.size, dtype=torch.uint8))
        self.width = int(probe.shape[2])

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode."""
        encoded: Any = self.visual(self.normalized(pixels).to(next(self.visual.parameters()).dtype))
        embedding: Tensor = encoded[0] if isinstance(encoded, tuple) else encoded  # CoCa's has tokens beside it
        return embedding.float()[:, None]

    def normalized(self, pixels: Tensor) -> Tensor:
        """Scale pixels 0..255 to what the network is given."""
        return (pixels.float() / 255 - self.mean) / self.std

    def train(self, mode: bool = True) -> ClipTower:
        """Set the mode where it may matter."""
        super().train(mode and any(parameter.requires_grad for parameter in self.parameters()))
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

"""CLIP-Adapter: a bottleneck on the image embedding, mixed with it (Gao et al. 2021, arXiv 2110.04544).

ratio * A(v) + (1 - ratio) * v with A = relu(up(relu(down(v)))), a quarter as wide inside, without biases:
2 * d * (d // 4) weights; ratio .2 as published. Class embeddings are those of zero-shot CLIP, so classes without
training images are answered too.
"""

from __future__ import annotations

from torch import Tensor, nn

from baselines.clip.class_embeddings import FixedClasses
from baselines.clip.learner import ClipLearner, CosineHead
from baselines.clip.parts import ClipParts, require_single_label

_NARROWER = 4


class ImageAdapter(nn.Module):
    """Mixes embeddings `[B, d]` with what a bottleneck makes of them."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        self.ratio = ratio
        self.down = nn.Linear(width, width // _NARROWER, bias=False)
        self.up = nn.Linear(width // _NARROWER, width, bias=False)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return `[B, d]`."""
        changed = self.up(self.down(embeddings).relu()).relu()
        mixed: Tensor = self.ratio * changed + (1 - self.ratio) * embeddings
        return mixed


def build(parts: ClipParts) -> ClipLearner:
    """Build; raises UsageError for several classes an image."""
    require_single_label(parts.spec, "CLIP-Adapter", "it is trained with a softmax over classes.")
    adapter = ImageAdapter(parts.tower.width, parts.settings.adapter_ratio)
    head = CosineHead(FixedClasses(parts.class_embeddings(), parts.reread), parts.scale, image=adapter)
    return ClipLearner(parts.tower, head, parts.classes)

"""Zero-shot CLIP with an ensemble of prompts (Radford et al. 2021, arXiv 2103.00020): nothing is trained.

Logits are exp(logit_scale) * image * class, both of unit length. With several classes an image, a sigmoid answers, for
models that were trained with one (SigLIP, Zhai et al. 2023, arXiv 2303.15343: its bias makes it a probability);
CLIP's softmax says which class fits best, and nothing of whether any does.
"""

from __future__ import annotations

from baselines.clip.class_embeddings import FixedClasses
from baselines.clip.learner import ClipLearner, CosineHead
from baselines.clip.parts import ClipParts, require_single_label


def build(parts: ClipParts) -> ClipLearner:
    """Build; raises UsageError for several classes an image on a model without a bias."""
    if parts.bias is None:
        require_single_label(parts.spec, "Zero-shot CLIP", "its softmax compares classes, so that they sum to 1.")
    head = CosineHead(FixedClasses(parts.class_embeddings(), parts.reread), parts.scale, parts.bias or 0.0)
    return ClipLearner(parts.tower, head, parts.classes)

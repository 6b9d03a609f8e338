"""WiSE-FT: the mean of the zero-shot and the fine-tuned image tower (Wortsman et al. 2022, arXiv 2109.01903).

(1 - alpha) * theta0 + alpha * theta1 for every weight of the tower, alpha .5 as published for use without a validation
set. The head is the zero-shot one and stays it (theirs is tuned and interpolated too), so that classes without
training images are answered as well.
"""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.clip.class_embeddings import FixedClasses
from baselines.clip.learner import ClipLearner, CosineHead
from baselines.clip.parts import ClipParts, require_single_label
from baselines.clip.tower import ClipTower


class InterpolatedTower(ClipTower):
    """Holds theta1 in training and the interpolated weights in eval mode; `interpolated` tells which.

    So what validation scores, what a checkpoint holds and what predicts are the same weights, at the cost of one
    tower. Loaded weights that are interpolated stay as they are in eval mode; training them begins anew from there.
    """

    interpolated: Tensor

    def __init__(self, tower: ClipTower, alpha: float) -> None:
        super().__init__(tower.visual, tower.preprocessing, tower.key)
        self.alpha = alpha
        self.register_buffer("interpolated", torch.tensor(False))
        self._origin: dict[str, Tensor] = {}
        self._tuned: dict[str, Tensor] = {}
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]
        self.requires_grad_(True)

    @torch.no_grad()
    def train(self, mode: bool = True) -> InterpolatedTower:
        """Change weights with the mode."""
        super().train(mode)
        weights = dict(self.named_parameters())
        if mode and self._tuned:
            for name, weight in weights.items():
                weight.copy_(self._tuned[name])
            self._tuned.clear()
            self.interpolated.fill_(False)
        elif mode and (self.interpolated or not self._origin):
            self._origin = {name: weight.clone() for name, weight in weights.items()}
            self.interpolated.fill_(False)
        elif not mode and self._origin and not self.interpolated:
            self._tuned = {name: weight.clone() for name, weight in weights.items()}
            for name, weight in weights.items():
                weight.lerp_(self._origin[name], 1 - self.alpha)
            self.interpolated.fill_(True)
        return self


def build(parts: ClipParts) -> ClipLearner:
    """Build; raises UsageError for several classes an image."""
    require_single_label(parts.spec, "WiSE-FT", "it is trained with a softmax over classes.")
    head = CosineHead(FixedClasses(parts.class_embeddings(), parts.reread), parts.scale)
    return ClipLearner(InterpolatedTower(parts.tower, parts.settings.wise_alpha), head, parts.classes)


def _forget(module: InterpolatedTower, keys: object) -> None:
    module._tuned.clear()

"""Makes open_clip's CustomTextCLIP of a dual encoder, the second implementation that it is held to."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines.clip.dual_encoder import DualEncoder
from baselines.vision.timm_tower import TimmTower

_SMALL = "test_byobnet"
"""A timm model that is quickly made, to be replaced."""


class PooledNeck(nn.Module):
    """Images `[B, 3, S, S]` in 0..1 to the mean of the tower's tokens `[B, width]`; the tower normalises by itself."""

    def __init__(self, tower: TimmTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, images: Tensor) -> Tensor:
        """Encode."""
        tokens: Tensor = self.tower(images * 255)
        return tokens.mean(dim=1)


def to_open_clip(learner: DualEncoder, language: Path) -> Any:
    """Copy a dual encoder into a CustomTextCLIP, in eval mode; `language` is the folder of its language model.

    `model.visual` takes images in 0..1 (`model.visual.preprocess_cfg` says so), `model.text` the language model's own
    ids, padded.
    """
    from open_clip import CustomTextCLIP
    from open_clip.model import set_model_preprocess_cfg

    width = learner.projection.out_features
    model: Any = CustomTextCLIP(
        embed_dim=width,
        vision_cfg={"timm_model_name": _SMALL, "timm_pool": "avg", "image_size": learner.vision.preprocessing.size},
        text_cfg={
            "hf_model_name": str(language),
            "hf_model_pretrained": False,
            "hf_pooler_type": "mean_pooler",
            "hf_proj_type": "linear",
        },
    )
    model.visual.trunk = PooledNeck(deepcopy(learner.vision))
    model.visual.head.proj = deepcopy(learner.projection)
    model.text.transformer = deepcopy(learner.text.language.model)
    model.text.proj = deepcopy(learner.text.projection)
    with torch.no_grad():
        model.logit_scale.copy_(learner.logit_scale)
    preprocessing = learner.vision.preprocessing
    set_model_preprocess_cfg(
        model,
        {
            "size": preprocessing.size,
            "mean": (0.0, 0.0, 0.0),
            "std": (1.0, 1.0, 1.0),
            "interpolation": preprocessing.interpolation,
            "resize_mode": "squash" if preprocessing.fit == "squash" else "shortest",
        },
    )
    return model.eval()

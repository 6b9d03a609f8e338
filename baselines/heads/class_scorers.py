"""From features to class logits: by learned weights, by the classes' texts, or by reading each class with the image."""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.fusion.feature_fusion import FeatureFusion
from baselines.language.class_texts import ClassTexts
from baselines.language.text_tokens import TextTokens

_FIRST_SCALE = 10.0
_LARGEST_SCALE = 100.0


class ClassScorer(Protocol):
    """An `nn.Module` from features `[..., d]` to logits `[..., C]`."""

    def __call__(self, features: Tensor) -> Tensor:
        """Score each class."""
        ...


class LinearScorer(nn.Linear):
    """One learned vector a class: it can name nothing that was not trained."""


class TextScorer(nn.Module):
    """Classifier weights are the classes' projected, normalised texts; a learned temperature.

    DeViSE (Frome et al. 2013), ViLD (Gu et al. 2022, arXiv 2104.13921), LSeg (Li et al. 2022, arXiv 2201.03546).
    """

    def __init__(self, classes: ClassTexts, width: int) -> None:
        super().__init__()
        self.classes = classes
        self.visual = nn.Linear(width, width)
        self.text = nn.Linear(classes.width, width, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(_FIRST_SCALE)))

    def forward(self, features: Tensor) -> Tensor:
        """Return scaled cosines."""
        weights = F.normalize(self.text(self.classes()), dim=-1)
        scale = self.log_scale.exp().clamp(max=_LARGEST_SCALE)
        return scale * F.normalize(self.visual(features), dim=-1) @ weights.T


class PairReader(nn.Module):
    """Joins features with the text of one class at a time; what comes out says whether the two fit.

    `width` is narrower than the features where there are many places: all pairs of place and class are computed.
    """

    def __init__(self, classes: ClassTexts, fusion: FeatureFusion, feature_width: int, width: int) -> None:
        super().__init__()
        self.classes = classes
        self.fusion = fusion
        self.narrow = nn.Linear(feature_width, width) if width != feature_width else nn.Identity()
        self.norm = nn.LayerNorm(width)
        self.verdict = nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Turn features `[B, d]` or `[B, N, d]` into logits `[B, C]` or `[B, N, C]`."""
        vectors = self.classes()
        mask = torch.ones(1, 1, dtype=torch.bool, device=vectors.device)
        text = TextTokens(vectors[None, :, None], mask, vectors[None, :, None])
        places = self.narrow(features if features.ndim == 3 else features[:, None])
        verdicts: Tensor = self.verdict(self.norm(self.fusion(places[:, None], text))).squeeze(-1).transpose(1, 2)
        return verdicts if features.ndim == 3 else verdicts[:, 0]

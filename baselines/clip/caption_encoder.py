"""A dual encoder of images and whole captions, trained by InfoNCE over a batch (CLIP, Radford et al. 2021).

It chooses among texts by their cosine with the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from baselines.clip.dual_encoder import FIRST_SCALE, LARGEST_SCALE, TextSide, unicl_loss
from baselines.tuning.parameter_groups import group_parameters
from baselines.vision.timm_tower import TimmTower
from harness.protocols import ParameterGroups
from harness.sample import Batch, Target


class CaptionEncoder(nn.Module):
    """Trains two projections and a temperature, and whatever of the towers is not frozen."""

    def __init__(self, vision: TimmTower, text: TextSide) -> None:
        super().__init__()
        self.vision = vision
        self.vision_frozen = not any(parameter.requires_grad for parameter in vision.parameters())
        self.projection = nn.Linear(vision.width, text.projection.out_features, bias=False)
        self.text = text
        self.logit_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Mean of both directions; each image is paired with one of its true captions, drawn anew.

        Images that drew the same caption are positives of each other.
        """
        assert batch.targets is not None
        pairs = zip(batch.targets, batch.choices or ((),) * len(batch), strict=True)
        drawn = [_draw(_captions_of(target, choices), generator) for target, choices in pairs]
        number = {caption: place for place, caption in enumerate(dict.fromkeys(drawn))}
        image, text = self._embed(batch), self.text.embed(drawn)
        with torch.no_grad():
            self.logit_scale.clamp_(max=math.log(LARGEST_SCALE))
        with torch.autocast(image.device.type, enabled=False):
            alike = torch.tensor([number[caption] for caption in drawn]).to(image.device, non_blocking=True)
            return unicl_loss(self.logit_scale.exp() * image @ text.T, alike)

    def losses(self, batch: Batch) -> Tensor:
        """Cross-entropy over each image's choices `[B]`; where it has none, how far its caption's cosine is below 1.

        Both at the temperature of training.
        """
        assert batch.targets is not None
        images, scale, found = self._embed(batch), self.logit_scale.exp(), []
        for image, target, choices in zip(images, batch.targets, batch.choices or ((),) * len(batch), strict=True):
            texts = choices or _captions_of(target, choices)[:1]
            cosines = self.text.embed(texts).to(image.device) @ image
            if choices:
                found.append(-F.log_softmax(scale * cosines, dim=0)[target.choice])
            else:
                found.append(scale * (1 - cosines[0]))
        return torch.stack(found)

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[list[float]]:
        """Return a cosine for each text of each sample; expects eval mode."""
        images = self._embed(batch)
        texts = self.text.embed([text for own in batch.choices for text in own])
        parts = texts.to(images.device).split([len(own) for own in batch.choices])
        return [(part @ image).tolist() for image, part in zip(images, parts, strict=True)]

    def parameter_groups(self) -> ParameterGroups:
        """Group trainable parameters by origin."""
        return group_parameters(self, self.text.language.pretrained)

    def _embed(self, batch: Batch) -> Tensor:
        """Image embeddings `[B, d]` of unit length."""
        assert batch.visual is not None
        return F.normalize(self.projection(batch.visual.mean(dim=1)).float(), dim=-1)


def _draw(captions: Sequence[str], generator: Generator) -> str:
    return captions[int(torch.randint(len(captions), (1,), generator=generator))]


def _captions_of(target: Target, choices: Sequence[str]) -> Sequence[str]:
    """The true captions of a training image: the right choice, where its target names no others."""
    found: Sequence[str] = getattr(target, "references", ()) or (choices[target.choice],)
    return found

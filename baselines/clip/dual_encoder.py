"""A dual encoder: vision backbone and language model, each with a projection, trained contrastively.

It computes what open_clip's CustomTextCLIP computes (a timm tower, mean-pooled, and a text tower of transformers, each
with a linear projection and a common temperature), but from tokens that may come from
the cache of a frozen tower. The loss is symmetric InfoNCE (CLIP, Radford et al. 2021, arXiv 2103.00020; a frozen tower
is LiT, Zhai et al. 2022, arXiv 2111.07991) in which all images and texts of one class are positives of each other
(UniCL, Yang et al. 2022, arXiv 2204.03610).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from baselines.clip.class_embeddings import TrainedClasses, ensemble
from baselines.clip.learner import ClassAnswers
from baselines.language.encoder import LanguageEncoder
from baselines.tuning.parameter_groups import group_parameters
from baselines.vision.timm_tower import TimmTower
from harness.protocols import ParameterGroups
from harness.sample import Batch, Classes

FIRST_SCALE, LARGEST_SCALE = 1 / 0.07, 100.0


class TextSide(nn.Module):
    """Texts to embeddings of unit length; without arguments the classes' `[C, d]`, ensembles of their prompts.

    `order` says whose texts class i is given: its own, or under control C3 another's.
    """

    def __init__(
        self, language: LanguageEncoder, width: int, texts: Sequence[Sequence[str]], order: Sequence[int]
    ) -> None:
        super().__init__()
        self.language = language
        self.projection = nn.Linear(language.width, width, bias=False)
        self._order = order
        self.texts = tuple(tuple(texts[index]) for index in order)

    def reword(self, texts: Sequence[Sequence[str]]) -> None:
        """Read these texts for the classes from now on."""
        self.language.forget()
        self.texts = tuple(tuple(texts[index]) for index in self._order)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Return `[N, d]`; a text that occurs several times is read once."""
        place = {text: index for index, text in enumerate(dict.fromkeys(texts))}
        embedded: Tensor = F.normalize(self.projection(self._read(list(place))).float(), dim=-1)
        return embedded[[place[text] for text in texts]]

    def _read(self, texts: Sequence[str]) -> Tensor:
        if not self.language.frozen:
            return self._pooled(texts)
        # What a frozen model reads is remembered, so it must not be read at the precision of a training step.
        with torch.autocast(self.projection.weight.device.type, enabled=False):
            return self._pooled(texts)

    def _pooled(self, texts: Sequence[str]) -> Tensor:
        pooled: Tensor = self.language(texts).pooled
        return pooled

    def forward(self) -> Tensor:
        """Return `[C, d]`."""
        return ensemble(
            self.embed([prompt for group in self.texts for prompt in group]), [len(group) for group in self.texts]
        )


class DualEncoder(nn.Module):
    """Trains two projections and a temperature, and whatever of the towers is not frozen."""

    def __init__(self, vision: TimmTower, text: TextSide, classes: Classes) -> None:
        super().__init__()
        self.vision = vision
        self.vision_frozen = not any(parameter.requires_grad for parameter in vision.parameters())
        self.projection = nn.Linear(vision.width, text.projection.out_features, bias=False)
        self.classes = TrainedClasses(text)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
        self.answers = ClassAnswers(classes)

    @property
    def text(self) -> TextSide:
        """The text side."""
        inner = self.classes.inner
        assert isinstance(inner, TextSide)
        return inner

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Mean of both directions of InfoNCE; each image is paired with one prompt of its class, drawn anew."""
        assert batch.targets is not None
        labels = [int(target.label) for target in batch.targets]
        image = self.embed(batch)
        text = self.text.embed([_pick(self.text.texts[label], generator) for label in labels])
        with torch.no_grad():
            self.logit_scale.clamp_(max=math.log(LARGEST_SCALE))
        with torch.autocast(image.device.type, enabled=False):
            wanted = torch.tensor(labels).to(image.device, non_blocking=True)
            return unicl_loss(self.logit_scale.exp() * image @ text.T, wanted)

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[list[float]]:
        """Return the probability of each class; expects eval mode."""
        return self.answers.probabilities(self._logits(batch))

    def losses(self, batch: Batch) -> Tensor:
        """Cross-entropy of each sample over all classes `[B]`, as it answers; expects eval mode."""
        assert batch.targets is not None
        return self.answers.losses(self._logits(batch), batch.targets)

    @property
    def reads(self) -> tuple[str, ...]:
        """The texts of the classes."""
        return ("classes",)

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """Read these texts for the classes from now on; expects eval mode."""
        self.classes.reword(class_texts)

    def _logits(self, batch: Batch) -> Tensor:
        logits: Tensor = self.logit_scale.exp() * self.embed(batch) @ self.classes().T
        return logits

    def embed(self, batch: Batch) -> Tensor:
        """Image embeddings `[B, d]` of unit length."""
        assert batch.visual is not None
        return F.normalize(self.projection(batch.visual.mean(dim=1)).float(), dim=-1)

    def parameter_groups(self) -> ParameterGroups:
        """Group trainable parameters by origin."""
        return group_parameters(self, self.text.language.pretrained)


def unicl_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Symmetric InfoNCE of logits `[B, B]` (image i, text j); j is a positive of i where their labels are equal.

    Half the sum of both directions, as in CLIP, to which it is equal where all labels differ.
    """
    positives = (labels[:, None] == labels[None]).to(logits.dtype)
    shares = positives / positives.sum(dim=1, keepdim=True)
    to_text = -(shares * logits.log_softmax(dim=1)).sum(dim=1).mean()
    to_image = -(shares * logits.T.log_softmax(dim=1)).sum(dim=1).mean()
    return (to_text + to_image) / 2


def _pick(texts: Sequence[Any], generator: Generator) -> Any:
    return texts[int(torch.randint(len(texts), (1,), generator=generator))]

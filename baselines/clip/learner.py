"""The learner of every classifier on CLIP's image embeddings: a tower, and a head from embeddings to class logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from baselines.clip.class_embeddings import StandsForClasses
from baselines.clip.tower import ClipTower
from baselines.heads.label_head import label_losses, presence_loss
from baselines.tuning.parameter_groups import group_parameters
from harness.protocols import ParameterGroups
from harness.sample import Batch, Classes


class ClassAnswers(nn.Module):
    """Turns logits `[B, C]` into a loss, and into probabilities.

    The loss compares *seen* classes only: a class without training images would otherwise learn that it is never
    right. The answer compares all. Cross-entropy and softmax; binary where an image has several classes.
    """

    position: Tensor

    def __init__(self, classes: Classes) -> None:
        super().__init__()
        seen = torch.tensor(classes.seen or (True,) * len(classes))
        self.multilabel = classes.multilabel
        self._seen = seen
        self.register_buffer("seen", seen.nonzero().flatten(), persistent=False)
        self.register_buffer("position", torch.where(seen, seen.cumsum(0) - 1, -1), persistent=False)

    def loss(self, logits: Tensor, targets: Sequence[Any]) -> Tensor:
        """Mean loss over a batch."""
        if self.multilabel:
            return presence_loss(logits, targets, self._seen)
        logits = logits.float()[:, self.get_buffer("seen")]
        labels = torch.tensor([target.label for target in targets]).to(logits.device, non_blocking=True)
        return F.cross_entropy(logits, self.position[labels])

    def losses(self, logits: Tensor, targets: Sequence[Any]) -> Tensor:
        """The loss of each image over all classes `[B]`."""
        return label_losses(logits, targets, multilabel=self.multilabel)

    def probabilities(self, logits: Tensor) -> list[list[float]]:
        """Answer with C probabilities a row."""
        logits = logits.double()
        answers = logits.sigmoid() if self.multilabel else logits.softmax(dim=1)
        return cast("list[list[float]]", answers.tolist())


class CosineHead(nn.Module):
    """scale * cos(image, class) + bias; `classes` is a module that returns `[C, d]` of unit length.

    `image` changes the image embeddings `[B, d]` before they are brought to unit length.
    """

    def __init__(self, classes: nn.Module, scale: float, bias: float = 0.0, image: nn.Module | None = None) -> None:
        super().__init__()
        self.classes, self.scale, self.bias = classes, scale, bias
        self.image = nn.Identity() if image is None else image

    def reword(self, texts: Sequence[Sequence[str]]) -> None:
        """Read these texts for the classes from now on."""
        cast("StandsForClasses", self.classes).reword(texts)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return logits `[B, C]`."""
        features, classes = self.image(embeddings), self.classes()
        with torch.autocast(features.device.type, enabled=False):  # at a scale of 100, bf16 is wrong by .2
            logits: Tensor = self.scale * F.normalize(features.float(), dim=-1) @ classes.float().T + self.bias
        return logits


class ClipLearner(nn.Module):
    """Tower and head; nothing is trained unless one of them has weights that are."""

    loss_is_mean_over_samples = True

    def __init__(self, vision: ClipTower, head: nn.Module, classes: Classes) -> None:
        super().__init__()
        self.vision = vision
        self.vision_frozen = not any(parameter.requires_grad for parameter in vision.parameters())
        self.head = head
        self.answers = ClassAnswers(classes)

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Mean cross-entropy over the seen classes."""
        assert batch.targets is not None
        return self.answers.loss(self.head(embeddings_of(batch)), batch.targets)

    def losses(self, batch: Batch) -> Tensor:
        """Cross-entropy of each sample over all classes `[B]`."""
        assert batch.targets is not None
        return self.answers.losses(self.head(embeddings_of(batch)), batch.targets)

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[list[float]]:
        """Return the probability of each class; expects eval mode."""
        return self.answers.probabilities(self.head(embeddings_of(batch)))

    @property
    def reads(self) -> tuple[str, ...]:
        """The texts of the classes, unless its head was trained without any."""
        return ("classes",) if hasattr(self.head, "reword") else ()

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """Read these texts for the classes from now on."""
        if self.reads:
            cast("StandsForClasses", self.head).reword(class_texts)

    def parameter_groups(self) -> ParameterGroups:
        """Group trainable parameters by origin."""
        return group_parameters(self, ())


def embeddings_of(batch: Batch) -> Tensor:
    """Return the image embeddings `[B, d]` of a batch."""
    assert batch.visual is not None
    return batch.visual[:, 0]

"""The learner of every trained model that answers with labels, boxes or label maps: tower, neck, head."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Generator, Tensor, nn

from baselines.heads.head import AnswersAmong
from baselines.language.class_texts import ClassTexts
from baselines.language.encoder import LanguageEncoder
from baselines.language.stand_ins import Attributes
from baselines.language.text_tokens import TextSource, TextTokens
from baselines.learners.neck import Blind
from baselines.tuning.parameter_groups import group_parameters
from baselines.vision.timm_tower import TimmTower
from harness.protocols import EmbeddedText, LossPart, ParameterGroups
from harness.sample import Batch


class DiscriminativeLearner(nn.Module):
    """Reads the image, and the text beside it or the names of all classes, and answers.

    `reader` is a text source for texts beside images, `ClassTexts` where a join reads all classes at once, or None.
    """

    def __init__(
        self, sight: TimmTower | Blind, neck: nn.Module, head: Any, reader: Any, pretrained: Sequence[nn.Parameter]
    ) -> None:
        super().__init__()
        self.vision = sight if isinstance(sight, TimmTower) else None
        self.vision_frozen = self.vision is not None and not any(p.requires_grad for p in self.vision.parameters())
        self.blind = sight if isinstance(sight, Blind) else None
        self.neck = neck
        self.head = head
        self.reader = reader
        self._pretrained = tuple(pretrained)

    def forward(self, batch: Batch) -> Any:
        """Return what the head makes of a batch, before it becomes an answer."""
        visual = self.blind(len(batch)) if self.blind is not None else batch.visual
        return self.head(self.neck(visual, self._text(batch)))

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """The head's own loss."""
        assert batch.targets is not None
        loss: Tensor = self.head.loss(self(batch), batch.targets)
        return loss

    @property
    def loss_is_mean_over_samples(self) -> bool:
        """As the head says: boxes are averaged over the objects of a batch, maps over its pixels that count."""
        return bool(getattr(self.head, "loss_is_mean_over_samples", False))

    @property
    def loss_has_parts(self) -> bool:
        """As the head says."""
        return hasattr(self.head, "loss_parts")

    def loss_parts(self, batch: Batch, generator: Generator) -> Sequence[LossPart]:
        """The head's own."""
        assert batch.targets is not None
        parts: Sequence[LossPart] = self.head.loss_parts(self(batch), batch.targets)
        return parts

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[Any]:
        """Answer for each image; expects eval mode."""
        return _answers(self.head, self(batch), batch)

    def losses(self, batch: Batch) -> Tensor:
        """The head's loss of each sample `[B]`; classes that were never seen count too."""
        assert batch.targets is not None
        losses: Tensor = self.head.losses(self(batch), batch.targets)
        return losses

    @property
    def reads(self) -> tuple[str, ...]:
        """Which texts it reads: those beside images, or those of classes."""
        beside = self.reader is not None and not isinstance(self.reader, ClassTexts)
        return (*(("text",) if beside else ()), *(("classes",) if any(self._class_texts()) else ()))

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """Read these texts for the classes from now on."""
        self.forget()
        for texts in self._class_texts():
            texts.reword(class_texts)

    def _class_texts(self) -> list[ClassTexts]:
        """Whatever reads the words of classes; attributes (control C4) are no words."""
        found = [module for module in self.modules() if isinstance(module, ClassTexts)]
        return [texts for texts in found if not isinstance(texts.source, Attributes)]

    def parameter_groups(self) -> ParameterGroups:
        """Group trainable parameters by origin."""
        return group_parameters(self, self._pretrained)

    def forget(self) -> None:
        """Drop remembered texts; class names are read once for all samples, and their vectors stay."""
        for module in self.modules():
            if isinstance(module, LanguageEncoder):
                module.forget()

    def embed_text(self, text: str) -> EmbeddedText | None:
        """Embed the tokens of a text beside an image; None where no language model reads it."""
        return self.reader.embed(text) if isinstance(self.reader, LanguageEncoder) else None

    def reading(self, vectors: Tensor) -> AbstractContextManager[None]:
        """Within it, the language model reads these tokens in place of texts."""
        found: AbstractContextManager[None] = self.reader.reading(vectors)
        return found

    def _text(self, batch: Batch) -> TextTokens | None:
        if self.reader is None:
            return None
        if isinstance(self.reader, ClassTexts):
            return self.reader.as_memory(len(batch))
        source: TextSource = self.reader
        return source([text or "" for text in batch.texts])


def _answers(head: Any, raw: Any, batch: Batch) -> list[Any]:
    if isinstance(head, AnswersAmong):
        return head.answer_among(raw, batch.choices or [()] * len(batch))
    answers: list[Any] = head.answer(raw)
    return answers


class AdditiveLearner(nn.Module):
    """Control C6: a model of the image and one of the text, trained apart, whose log-probabilities are added."""

    def __init__(self, of_image: DiscriminativeLearner, of_text: DiscriminativeLearner) -> None:
        super().__init__()
        self.vision = of_image.vision
        self.vision_frozen = of_image.vision_frozen
        self.of_image = of_image
        self.of_text = of_text
        of_image.vision = None  # registered here, once

    def forward(self, batch: Batch) -> tuple[Any, Any]:
        """Ask both."""
        return self.of_image(batch), self.of_text(batch)

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """The sum of two losses without a common weight: each is trained as if alone."""
        assert batch.targets is not None
        seen, read = self(batch)
        loss: Tensor = self.of_image.head.loss(seen, batch.targets) + self.of_text.head.loss(read, batch.targets)
        return loss

    @property
    def loss_is_mean_over_samples(self) -> bool:
        """As both models' losses are."""
        return self.of_image.loss_is_mean_over_samples and self.of_text.loss_is_mean_over_samples

    @property
    def loss_has_parts(self) -> bool:
        """As both models' losses have."""
        return self.of_image.loss_has_parts and self.of_text.loss_has_parts

    def loss_parts(self, batch: Batch, generator: Generator) -> Sequence[LossPart]:
        """Those of both models."""
        assert batch.targets is not None
        seen, read = self(batch)
        parts = (self.of_image.head.loss_parts(seen, batch.targets), self.of_text.head.loss_parts(read, batch.targets))
        return (*parts[0], *parts[1])

    def losses(self, batch: Batch) -> Tensor:
        """The loss of the sum, of each sample `[B]`."""
        assert batch.targets is not None
        head = self.of_image.head
        losses: Tensor = head.losses(head.combine(*self(batch)), batch.targets)
        return losses

    @property
    def reads(self) -> tuple[str, ...]:
        """What the model of the text reads."""
        return self.of_text.reads

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """Read these texts for the classes from now on."""
        self.of_text.reword(class_texts)

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[Any]:
        """Answer with the sum."""
        head = self.of_image.head
        return _answers(head, head.combine(*self(batch)), batch)

    def parameter_groups(self) -> ParameterGroups:
        """Group trainable parameters by origin."""
        return group_parameters(self, self.of_text._pretrained)

    def forget(self) -> None:
        """Drop remembered texts of samples."""
        self.of_text.forget()

    def embed_text(self, text: str) -> EmbeddedText | None:
        """As the model of the text does."""
        return self.of_text.embed_text(text)

    def reading(self, vectors: Tensor) -> AbstractContextManager[None]:
        """As the model of the text does."""
        return self.of_text.reading(vectors)

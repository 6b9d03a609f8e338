"""What a model is composed of, as builders read it: no builder imports the named models that hold it."""

from __future__ import annotations

from typing import Protocol

from harness.cell import ModelOptions


class Composition(Protocol):
    """What every composed model says of itself."""

    @property
    def name(self) -> str:
        """The model's name, for messages."""
        ...

    @property
    def control(self) -> str | None:
        """Which control it is of the model, None for the model itself."""
        ...

    @property
    def fused(self) -> bool:
        """Whether an image and a pretrained language model meet in it."""
        ...

    def policy(self, options: ModelOptions) -> str:
        """The tuning policy of the language model."""
        ...


class GenerativeComposition(Composition, Protocol):
    """A model that writes: a vision backbone, a decoder, and the fusion operator between them."""

    @property
    def decoder(self) -> str:
        """One of pretrained, scratch, lstm."""
        ...

    @property
    def fusion(self) -> str | None:
        """The operator that hands the image to the decoder; None with a pretrained one is text only."""
        ...

    @property
    def sees_images(self) -> bool:
        """Whether it has a vision backbone at all."""
        ...


class DiscriminativeComposition(Composition, Protocol):
    """A model that answers with labels, boxes or label maps: a vision backbone, a fusion operator, a head."""

    @property
    def neck(self) -> str:
        """One of joint, probe."""
        ...

    @property
    def fusion(self) -> str | None:
        """The operator by which visual features read texts, or None."""
        ...

    @property
    def vision_tune(self) -> str | None:
        """How the vision backbone is tuned, None for what `model.vision_tune` says."""
        ...

"""The learner of `colour-word`: numpy in the place of an ONNX session, so nothing that torch could count."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Generator, Tensor, nn

from harness.plan.taken_whole import StatedCosts
from harness.protocols import ParameterGroups
from harness.sample import Batch
from outsider_captions.colour_learner import MeanColour

_NAMES = ("red", "green", "blue")


class ColourRule(nn.Module):
    """1 for a text with the strongest colour's name, else 0."""

    def __init__(self) -> None:
        super().__init__()
        self.vision = MeanColour()
        self.vision_frozen = True

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """It cannot be trained."""
        raise NotImplementedError

    def predict(self, batch: Batch) -> list[Any]:
        """Score the texts of each sample."""
        assert batch.visual is not None
        strongest = np.argmax(batch.visual[:, 0].cpu().numpy(), axis=1)
        return [
            [float(_NAMES[colour] in text) for text in texts]
            for colour, texts in zip(strongest, batch.choices, strict=True)
        ]

    def parameter_groups(self) -> ParameterGroups:
        """Nothing is trained."""
        return ParameterGroups(language=(), vision=(), new=())

    def stated_costs(self) -> StatedCosts:
        """What its file says."""
        return StatedCosts(parameters=3)

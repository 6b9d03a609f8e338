"""Classifies images with the labels that a network was trained on: those that the task also has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from baselines.pretrained.frozen_learner import FrozenLearner
from baselines.pretrained.image_geometry import find_tower
from baselines.pretrained.label_names import ClassOfLabel, match_labels
from baselines.pretrained.processor_tower import ProcessorTower
from baselines.pretrained.transformers_loading import Loading, load_image_processor, load_network
from harness.errors import UsageError
from harness.sample import Batch, Classes, Prediction


class ImageClassifier(FrozenLearner):
    """Gives each class of the task the probability of its labels, among the labels that mean some class.

    A class without a label has probability 0. That other labels take no part is what evaluations on a subset
    of ImageNet's classes do (Hendrycks et al. 2021, arXiv 2006.16241).
    """

    def __init__(self, model: nn.Module, vision: ProcessorTower, found: ClassOfLabel, classes: int) -> None:
        super().__init__(model, vision)
        self._classes = classes
        self._kept = [label for label, number in enumerate(found) if number is not None]
        self._class_of_kept = [number for number in found if number is not None]

    def predict(self, batch: Batch) -> list[Prediction]:
        """Give C probabilities for each image, which sum to 1."""
        answers: list[Prediction] = self._probabilities(batch).tolist()
        return answers

    def losses(self, batch: Batch) -> Tensor:
        """Minus the log of the right class's probability, of each sample `[B]`; inf for a class without a label.

        Summed as logs: a probability that is too small for a float would leave no gradient.
        """
        assert batch.targets is not None
        right = torch.tensor([[target.label] for target in batch.targets], device=self.device())
        others = torch.tensor([self._class_of_kept], device=right.device) != right
        return -self._kept_logits(batch).log_softmax(dim=-1).masked_fill(others, -torch.inf).logsumexp(dim=1)

    def _probabilities(self, batch: Batch) -> Tensor:
        """Return `[B, C]`."""
        kept = self._kept_logits(batch).softmax(dim=-1)
        none = kept.new_zeros(len(batch), self._classes)
        return none.index_add(1, torch.tensor(self._class_of_kept, device=kept.device), kept)

    def _kept_logits(self, batch: Batch) -> Tensor:
        """Return `[B, K]` of the labels that mean a class of the task."""
        assert batch.visual is not None
        return self.logits(self.inputs(batch.visual)).float()[:, self._kept]

    def logits(self, pixel_values: Tensor) -> Tensor:
        """Run the network on normalised pixels `[B, 3, S, S]`; returns logits `[B, L]` of its labels."""
        logits: Tensor = self.model(pixel_values=pixel_values).logits
        return logits


def load_classifier(found: Loading) -> ImageClassifier:
    """Load a classifier of transformers for a task's classes; raises CheckpointError, UsageError."""
    check_one_label(found.spec.classes, str(found.folder))
    network = load_network(found)
    labels = match_labels(network_labels_of(network.config), found.spec.classes.names, type(network).__name__)
    tower = find_tower(load_image_processor(found.folder), found.digest, ("crop", "squash"))
    return ImageClassifier(network, tower, labels, len(found.spec.classes))


def check_one_label(classes: Classes, model: str) -> None:
    """Refuse data whose images have several labels; raises UsageError."""
    if classes.multilabel:
        raise UsageError(
            f"{model} names one class an image, but the images of this data have several (multi-label). "
            "Take a model that is trained here, or data with one label an image."
        )


def network_labels_of(config: Any) -> list[str]:
    """List the labels of a network by index, without gaps."""
    names = {int(index): str(name) for index, name in config.id2label.items()}
    return [names.get(index, "") for index in range(max(names, default=-1) + 1)]

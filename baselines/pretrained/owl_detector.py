"""Finds objects by the texts of their classes with OWL-ViT (Minderer et al. 2022, arXiv 2205.06230) and OWLv2
(2023, arXiv 2306.09683).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from baselines.heads.boxes import on_host
from baselines.pretrained.class_prompts import class_prompts, reworded
from baselines.pretrained.frozen_learner import FrozenLearner
from baselines.pretrained.image_geometry import find_tower, square_canvas_tower
from baselines.pretrained.object_detector import box_answer, post_processed
from baselines.pretrained.processor_tower import ProcessorTower
from baselines.pretrained.transformers_loading import Loading, load_image_processor, load_network, load_processor
from harness.sample import Batch, Classes, Prediction

EncodeTexts = Callable[[Sequence[str]], Tensor]


class OwlDetector(FrozenLearner):
    """Each patch proposes a box and takes the text that fits best; `encode` encodes texts, once."""

    queries: Tensor

    def __init__(
        self, model: nn.Module, vision: ProcessorTower, processor: Any, texts: tuple[EncodeTexts, Classes]
    ) -> None:
        super().__init__(model, vision)
        self._processor, (self._encode, self._task_classes) = processor, texts
        self.register_buffer("queries", torch.empty(0), persistent=False)
        self._read(self._task_classes)

    @property
    def reads(self) -> tuple[str, ...]:
        """The texts of the classes."""
        return ("classes",)

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """Read these texts for the classes from now on."""
        self._read(reworded(self._task_classes, class_texts))

    def _read(self, classes: Classes) -> None:
        prompts = class_prompts(classes)
        self.queries, self._class_of_text = self._encode(prompts.texts), prompts.class_of_text

    def predict(self, batch: Batch) -> list[Prediction]:
        """Give `[class, score, x, y, width, height]` for each patch, in fractions of the image."""
        assert batch.visual is not None
        results = post_processed(self._processor, *on_host(*self._outputs(self.inputs(batch.visual))))
        return [
            box_answer(corners * self._canvas(size), scores, labels, self._class_of_text)
            for (corners, scores, labels), size in zip(results, batch.sizes, strict=True)
        ]

    def _outputs(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Do what the model's own forward does, with text embeddings that are there already: logits and boxes."""
        model: Any = self.model
        features, _ = model.image_embedder(pixel_values)
        flat = features.flatten(1, 2)
        logits, _ = model.class_predictor(flat, self.queries.expand(len(flat), -1, -1))
        return logits.float(), model.box_predictor(flat, features).float()

    def _canvas(self, size: tuple[int, int]) -> Tensor:
        """Say how many widths and heights of the image the square that the model sees is wide and high."""
        if self.vision.preprocessing.fit != "pad":
            return torch.ones(4)
        longer = max(size)
        return torch.tensor([longer / size[0], longer / size[1]] * 2)


def load_owl(found: Loading) -> OwlDetector:
    """Load a detector and encode the task's texts; raises CheckpointError, UsageError."""
    network, processor = load_network(found), load_image_processor(found.folder)
    find = square_canvas_tower if network.config.model_type == "owlv2" else _squashing_tower
    encode = partial(_encode, network, load_processor(found.folder))
    return OwlDetector(network, find(processor, found.digest), processor, (encode, found.spec.classes))


def _squashing_tower(processor: Any, digest: str) -> ProcessorTower:
    return find_tower(processor, digest, ("squash",))


@torch.no_grad()
def _encode(network: Any, processor: Any, texts: Sequence[str]) -> Tensor:
    """Encode texts to unit vectors `[1, T, d]`."""
    encoded = processor(text=list(texts), return_tensors="pt", truncation=True)
    trunk = network.owlv2 if network.config.model_type == "owlv2" else network.owlvit
    encoded = encoded.to(network.device)
    vectors = trunk.eval().get_text_features(encoded["input_ids"], attention_mask=encoded["attention_mask"])
    vectors = vectors.pooler_output
    unit: Tensor = vectors / torch.linalg.norm(vectors, dim=-1, keepdim=True)
    return unit[None]

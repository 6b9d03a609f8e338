"""Labels every pixel by the texts of the classes with CLIPSeg (Lüddecke & Ecker 2022, arXiv 2112.10003)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.pretrained.class_prompts import class_prompts, reworded
from baselines.pretrained.frozen_learner import FrozenLearner
from baselines.pretrained.image_geometry import find_tower
from baselines.pretrained.label_names import BACKGROUND, name_key
from baselines.pretrained.processor_tower import ProcessorTower
from baselines.pretrained.segmenter import best_label_map, map_size
from baselines.pretrained.transformers_loading import Loading, load_image_processor, load_network, load_processor
from harness.sample import Batch, Classes, Prediction

_TEXTS_AT_ONCE = 32


class TextSegmenter(FrozenLearner):
    """Asks for each text where it is, and takes the surest for each pixel; the texts are encoded once.

    A class "background" is not asked for: it is where no other text is more likely there than not.
    """

    embeddings: Tensor

    def __init__(
        self, model: nn.Module, vision: ProcessorTower, encode: Callable[[Sequence[str]], Tensor], classes: Classes
    ) -> None:
        super().__init__(model, vision)
        self._encode, self._task_classes = encode, classes
        self._background = next((n for n, name in enumerate(classes.names) if name_key(name) == BACKGROUND), None)
        self.register_buffer("embeddings", torch.empty(0), persistent=False)
        self._read(classes)

    @property
    def reads(self) -> tuple[str, ...]:
        """The texts of the classes."""
        return ("classes",)

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """Read these texts for the classes from now on."""
        self._read(reworded(self._task_classes, class_texts))

    def _read(self, classes: Classes) -> None:
        prompts = class_prompts(_without(classes, self._background))
        kept = [number for number in range(len(classes)) if number != self._background]
        self.embeddings = self._encode(prompts.texts)
        self._class_of_row = [kept[number] for number in prompts.class_of_text]
        self._class_of_row += [] if self._background is None else [self._background]

    def predict(self, batch: Batch) -> list[Prediction]:
        """Give a label map of each whole image."""
        assert batch.visual is not None
        pixels = self.inputs(batch.visual)
        return [self._answer(pixels[row : row + 1], batch.sizes[row]) for row in range(len(batch))]

    def _answer(self, pixel_values: Tensor, size: tuple[int, int]) -> Prediction:
        logits = self.logits(pixel_values)
        if self._background is not None:
            logits = torch.cat([logits, torch.zeros_like(logits[:1])])
        width, height = map_size(size, len(logits))
        scores = F.interpolate(logits[None], size=(height, width), mode="bilinear", align_corners=False)[0]
        return best_label_map(scores, self._class_of_row)

    def logits(self, pixel_values: Tensor) -> Tensor:
        """Run the model's own forward `[1, 3, S, S]` -> `[T, S, S]`, encoding the image once for all texts."""
        model: Any = self.model
        states = model.clip.vision_model(
            pixel_values=pixel_values, interpolate_pos_encoding=True, output_hidden_states=True
        ).hidden_states
        activations = [states[layer + 1] for layer in model.extract_layers]
        parts = []
        for texts in self.embeddings.split(_TEXTS_AT_ONCE):
            same = tuple(activation.expand(len(texts), -1, -1) for activation in activations)
            parts.append(model.decoder(same, texts).logits)
        return torch.cat(parts).float()


def load_text_segmenter(found: Loading) -> TextSegmenter:
    """Load CLIPSeg and encode the task's texts; raises CheckpointError, UsageError."""
    network = load_network(found)
    tower = find_tower(load_image_processor(found.folder), found.digest, ("squash",))
    return TextSegmenter(
        network, tower, partial(_encode, network.eval(), load_processor(found.folder)), found.spec.classes
    )


def _without(classes: Classes, number: int | None) -> Classes:
    """Leave one class out."""
    if number is None:
        return classes
    names = tuple(name for index, name in enumerate(classes.names) if index != number)
    texts = tuple(text for index, text in enumerate(classes.texts) if index != number)
    return Classes(names, texts)


@torch.no_grad()
def _encode(network: Any, processor: Any, texts: Sequence[str]) -> Tensor:
    """Encode texts to `[T, d]`."""
    encoded = processor(text=list(texts), padding=True, truncation=True, return_tensors="pt").to(network.device)
    vectors: Tensor = network.get_conditional_embeddings(
        batch_size=len(texts), input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"]
    )
    return vectors

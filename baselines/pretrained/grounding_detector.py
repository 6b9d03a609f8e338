"""Finds objects by the names of their classes with Grounding DINO (Liu et al. 2023, arXiv 2303.05499).

Names stand in one text with full stops between them. What does not fit into the text's length goes into
further texts, each with a pass of its own. As in the reference evaluation, a class's score in a box is the mean of the
probabilities of its tokens, and the best pairs of box and class are answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from baselines.heads.boxes import on_host
from baselines.pretrained.class_prompts import ClassPrompts, class_prompts, reworded
from baselines.pretrained.frozen_learner import FrozenLearner, in_fp32
from baselines.pretrained.image_geometry import find_tower
from baselines.pretrained.object_detector import MOST_BOXES, WHOLE_IMAGE, box_answer
from baselines.pretrained.processor_tower import ProcessorTower, equal_extents
from baselines.pretrained.transformers_loading import Loading, load_image_processor, load_network, load_processor
from harness.errors import UsageError
from harness.sample import Batch, Classes, Prediction


@dataclass(frozen=True)
class GroundingText:
    """One text: its ids and masks `[1, L]`, which tokens belong to each phrase `[P, L]`, and the phrases' classes."""

    inputs: Mapping[str, Tensor]
    tokens_of_phrase: Tensor
    class_of_phrase: tuple[int, ...]


ReadClasses = Callable[[Classes], tuple[GroundingText, ...]]


class GroundingDetector(FrozenLearner):
    """Reads every text beside the image and takes the surest boxes of all; `read` makes texts of class texts."""

    def __init__(self, model: nn.Module, vision: ProcessorTower, read: ReadClasses, classes: Classes) -> None:
        super().__init__(model, vision)
        self._read, self._task_classes = read, classes
        self._texts, self._classes = read(classes), tuple(range(len(classes)))

    @property
    def reads(self) -> tuple[str, ...]:
        """The texts of the classes."""
        return ("classes",)

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """Read these texts for the classes from now on."""
        self._texts = self._read(reworded(self._task_classes, class_texts))

    def predict(self, batch: Batch) -> list[Prediction]:
        """Give `[class, score, x, y, width, height]` for each object, in fractions of the image."""
        assert batch.visual is not None
        order: list[int] = []
        groups = []
        for rows, pixels in equal_extents(batch.visual, self.vision.preprocessing, batch.sizes):
            parts = [self._best(self.inputs(pixels), text) for text in self._texts]
            order += rows
            groups.append([torch.cat(part, dim=1) for part in zip(*parts, strict=True)])
        answers: list[Prediction] = [[] for _ in batch.sample_ids]
        found = on_host(*(torch.cat(part) for part in zip(*groups, strict=True)))  # all at once: a wait an image costs
        for row, corners, scores, classes in zip(order, *found, strict=True):
            answers[row] = box_answer(corners, scores, classes, self._classes)
        return answers

    def _best(self, pixel_values: Tensor, text: GroundingText) -> tuple[Tensor, Tensor, Tensor]:
        """Find the best pairs of box and phrase: corners `[B, K, 4]`, scores `[B, K]`, classes `[B, K]`."""
        from transformers.image_transforms import center_to_corners_format

        count, device = len(pixel_values), pixel_values.device
        inputs = {name: value.to(device, non_blocking=True).expand(count, -1) for name, value in text.inputs.items()}
        outputs = in_fp32(self.model(pixel_values=pixel_values, **inputs))
        belongs = text.tokens_of_phrase.to(device, non_blocking=True)
        probabilities = outputs.logits.sigmoid()[..., : belongs.shape[1]]
        shares = belongs / belongs.sum(dim=1, keepdim=True).clamp(min=1)  # a phrase without tokens scores 0
        pairs = (probabilities @ shares.T).flatten(1)
        scores, places = pairs.topk(min(MOST_BOXES, pairs.shape[1]), dim=1)
        boxes, phrases = places // len(belongs), places % len(belongs)
        corners: Tensor = torch.as_tensor(center_to_corners_format(outputs.pred_boxes))
        corners = corners.gather(1, boxes[..., None].expand(-1, -1, 4))
        return corners, scores, torch.tensor(text.class_of_phrase).to(device, non_blocking=True)[phrases]


def load_grounding(found: Loading) -> GroundingDetector:
    """Load a detector and tokenize the task's class names; raises CheckpointError, UsageError."""
    network, processor = load_network(found), load_image_processor(found.folder)
    tokenizer = load_processor(found.folder).tokenizer

    def read(classes: Classes) -> tuple[GroundingText, ...]:
        return tuple(grounding_texts(tokenizer, class_prompts(classes), int(network.config.max_text_len)))

    return GroundingDetector(network, find_tower(processor, found.digest, WHOLE_IMAGE), read, found.spec.classes)


def grounding_texts(tokenizer: Any, prompts: ClassPrompts, longest: int) -> Iterator[GroundingText]:
    """Pack phrases into as few texts as they fit into, in order; raises UsageError for one that is too long."""
    phrases = [_phrase(text) for text in prompts.texts]
    start = 0
    while start < len(phrases):
        stop = start + 1
        while stop < len(phrases) and _length(tokenizer, phrases[start : stop + 1]) <= longest:
            stop += 1
        if _length(tokenizer, phrases[start:stop]) > longest:
            raise UsageError(
                f"The text of a class has more than {longest} tokens, which is all that this model reads: "
                f"'{phrases[start][:60]}…'. Shorten it."
            )
        yield _encode(tokenizer, phrases[start:stop], prompts.class_of_text[start:stop])
        start = stop


def _encode(tokenizer: Any, phrases: Sequence[str], classes: tuple[int, ...]) -> GroundingText:
    encoded = tokenizer(_join(phrases), return_tensors="pt", return_offsets_mapping=True, return_token_type_ids=True)
    places = encoded.pop("offset_mapping")[0]
    belongs = torch.zeros(len(phrases), len(places))
    start = 0
    for row, phrase in enumerate(phrases):
        end = start + len(phrase)
        belongs[row] = ((places[:, 0] >= start) & (places[:, 1] <= end) & (places[:, 1] > places[:, 0])).float()
        start = end + len(". ")
    return GroundingText(dict(encoded), belongs, classes)


def _length(tokenizer: Any, phrases: Sequence[str]) -> int:
    return len(tokenizer(_join(phrases))["input_ids"])


def _join(phrases: Sequence[str]) -> str:
    return ". ".join(phrases) + "."


def _phrase(text: str) -> str:
    """Write a class as the model was trained to read it: small letters, and no full stop, which ends a phrase."""
    return " ".join(text.lower().replace(".", " ").split())

"""Labels every pixel with the labels that a segmenter of transformers was trained on: those that the task also has.

Semantic segmenters (SegFormer, UPerNet, BEiT, DPT) and universal ones (MaskFormer, Mask2Former, OneFormer), which
answer the semantic question here. Scores come from the checkpoint's own post-processing, at the size of the image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from baselines.pretrained.frozen_learner import FrozenLearner, in_fp32
from baselines.pretrained.image_classifier import network_labels_of
from baselines.pretrained.image_geometry import find_tower
from baselines.pretrained.label_names import ClassOfLabel, match_labels, with_background
from baselines.pretrained.object_detector import WHOLE_IMAGE
from baselines.pretrained.processor_tower import ProcessorTower, equal_extents
from baselines.pretrained.transformers_loading import Loading, load_image_processor, load_network, load_tokenizer
from harness.answers import encode_label_map
from harness.errors import CheckpointError
from harness.sample import Batch, Prediction

_MOST_SCORES = 1 << 28
"""How many scores (labels times pixels) are held at once: 1 GiB; larger images get a map of fewer pixels."""


class Segmenter(FrozenLearner):
    """Takes for each pixel the best label among those that mean a class of the task.

    Where the task has a class "background", all labels take part, and those without a class mean background.
    """

    def __init__(
        self,
        model: nn.Module,
        vision: ProcessorTower,
        processor: Any,
        found: ClassOfLabel,
        inputs: Mapping[str, Tensor],
    ) -> None:
        super().__init__(model, vision)
        self._processor, self._inputs = processor, dict(inputs)
        self._labels = len(found)
        self._kept = [label for label, number in enumerate(found) if number is not None]
        self._class_of_kept = [number for number in found if number is not None]

    def predict(self, batch: Batch) -> list[Prediction]:
        """Give a label map of each whole image."""
        assert batch.visual is not None
        answers: list[Prediction] = [None] * len(batch)
        for rows, pixels in equal_extents(batch.visual, self.vision.preprocessing, batch.sizes):
            extra = {name: value.to(self.device()).expand(len(rows), -1) for name, value in self._inputs.items()}
            outputs = in_fp32(self.model(pixel_values=self.inputs(pixels), **extra))
            for index, row in enumerate(rows):
                answers[row] = self._answer(_row_of(outputs, index), batch.sizes[row])
        return answers

    def _answer(self, outputs: SimpleNamespace, size: tuple[int, int]) -> Prediction:
        width, height = map_size(size, self._labels)
        (result,) = self._processor.post_process_semantic_segmentation(
            outputs, target_sizes=[(height, width)], return_segmentation_scores=True
        )
        return best_label_map(result.segmentation_scores[self._kept], self._class_of_kept)


def best_label_map(scores: Tensor, class_of_row: list[int]) -> Prediction:
    """Encode the classes of the best of scores `[L, H, W]`; row i speaks for class `class_of_row[i]`."""
    import numpy as np

    best = torch.tensor(class_of_row, device=scores.device)[scores.argmax(dim=0)]
    return encode_label_map(best.cpu().numpy().astype(np.uint16))


def map_size(size: tuple[int, int], labels: int) -> tuple[int, int]:
    """Take the image's width and height in px, less where so many scores would not fit."""
    width, height = size
    shrink = min(1.0, math.sqrt(_MOST_SCORES / (labels * width * height)))
    return max(1, int(width * shrink)), max(1, int(height * shrink))


def load_segmenter(found: Loading) -> Segmenter:
    """Load a segmenter for a task's classes; raises CheckpointError, UsageError."""
    network, processor = load_network(found), load_image_processor(found.folder)
    if not hasattr(processor, "post_process_semantic_segmentation"):
        raise CheckpointError(
            f"The image processor {type(processor).__name__} in {found.folder} cannot turn scores into a label map. "
            "Wanted the one that the checkpoint was trained with."
        )
    names = found.spec.classes.names
    labels = with_background(match_labels(network_labels_of(network.config), names, type(network).__name__), names)
    inputs = _task_inputs(network, processor, found.folder)
    return Segmenter(network, find_tower(processor, found.digest, WHOLE_IMAGE), processor, labels, inputs)


def _task_inputs(network: Any, processor: Any, folder: Path) -> dict[str, Tensor]:
    """Encode "the task is semantic", which OneFormer reads beside the image; `[1, L]`."""
    if network.config.model_type != "oneformer":
        return {}
    from PIL import Image
    from transformers import OneFormerProcessor

    length = network.config.task_seq_len
    both = OneFormerProcessor(processor, load_tokenizer(folder), max_seq_length=length, task_seq_length=length)
    encoded = both(images=Image.new("RGB", (32, 32)), task_inputs=["semantic"], return_tensors="pt")
    return {"task_inputs": encoded["task_inputs"]}


def _row_of(outputs: Any, index: int) -> SimpleNamespace:
    """Cut one image out of a network's output, as post-processing reads it."""
    names = ("logits", "class_queries_logits", "masks_queries_logits")
    found = {name: getattr(outputs, name, None) for name in names}
    return SimpleNamespace(**{name: value[index : index + 1] for name, value in found.items() if value is not None})

"""Finds objects with the labels that a detector of transformers was trained on: DETR, RT-DETR, YOLOS and their kin."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from baselines.heads.boxes import corners_to_answer, on_host
from baselines.pretrained.frozen_learner import FrozenLearner, in_fp32
from baselines.pretrained.image_classifier import network_labels_of
from baselines.pretrained.image_geometry import find_tower
from baselines.pretrained.label_names import ClassOfLabel, match_labels
from baselines.pretrained.processor_tower import ProcessorTower, equal_extents
from baselines.pretrained.transformers_loading import Loading, load_image_processor, load_network
from harness.sample import Batch, Prediction

MOST_BOXES = 300
"""How many boxes are given for an image, the surest first; COCO's AP counts 100 of each class."""
WHOLE_IMAGE = ("squash", "pad")


class ObjectDetector(FrozenLearner):
    """Boxes as the checkpoint's own processor makes them of its output, without a threshold."""

    def __init__(self, model: nn.Module, vision: ProcessorTower, processor: Any, found: ClassOfLabel) -> None:
        super().__init__(model, vision)
        self._processor, self._found = processor, found

    def predict(self, batch: Batch) -> list[Prediction]:
        """Give `[class, score, x, y, width, height]` for each object, in fractions of the image."""
        assert batch.visual is not None
        rows_of_group: list[list[int]] = []
        raw: list[Tensor] = []
        for rows, pixels in equal_extents(batch.visual, self.vision.preprocessing, batch.sizes):
            outputs = in_fp32(self.model(pixel_values=self.inputs(pixels)))
            rows_of_group.append(rows)
            raw += outputs.logits, outputs.pred_boxes
        raw = on_host(*raw)
        answers: list[Prediction] = [[] for _ in batch.sample_ids]
        for rows, logits, boxes in zip(rows_of_group, raw[::2], raw[1::2], strict=True):
            for row, (corners, scores, labels) in zip(
                rows, post_processed(self._processor, logits, boxes), strict=True
            ):
                answers[row] = box_answer(corners, scores, labels, self._found)
        return answers


def post_processed(processor: Any, logits: Tensor, boxes: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Give what a processor makes of each image's output, in fractions of the image: corners, scores, labels.

    On the host: it selects by masks, and on a device each image of a batch would be waited for.
    """
    outputs, unit = SimpleNamespace(logits=logits, pred_boxes=boxes), [(1, 1)] * len(logits)
    for result in processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=unit):
        yield result["boxes"], result["scores"], result["labels"]


def box_answer(corners: Tensor, scores: Tensor, labels: Tensor, found: ClassOfLabel) -> Prediction:
    """Write boxes down, the surest first: `corners [N, 4]` are x0, y0, x1, y1 in fractions of the image; on the host.

    What lies outside of the image is cut off; boxes of no area and labels without a class are left out.
    """
    class_of_label = torch.tensor([-1 if number is None else number for number in (*found, None)])
    classes = class_of_label[labels.clamp(max=len(found))]
    corners = corners.float().clamp(0, 1)
    usable = (classes >= 0) & (corners[:, 2:] > corners[:, :2]).all(dim=1)
    order = scores.masked_fill(~usable, -1).argsort(descending=True, stable=True)[: min(int(usable.sum()), MOST_BOXES)]
    return corners_to_answer(corners[order], scores[order], classes[order])


def load_detector(found: Loading) -> ObjectDetector:
    """Load a detector for a task's classes; raises CheckpointError, UsageError."""
    network = load_network(found)
    labels = match_labels(network_labels_of(network.config), found.spec.classes.names, type(network).__name__)
    processor = load_image_processor(found.folder)
    return ObjectDetector(network, find_tower(processor, found.digest, WHOLE_IMAGE), processor, labels)

"""Maps scored through the task, and answers that are all right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from harness.answers import IGNORED, encode_label_map
from harness.protocols import DataContext
from harness.sample import Dataset, Outcome, Sample
from tasks.segmentation.task import coco_segmentation

MakeContext = Callable[..., DataContext]


PQ_NAMES = ("PQ", "SQ", "RQ", "PQ-Th", "PQ-St")


def scored(data: Dataset, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> dict[str, float | None]:
    with coco_segmentation.scorer(data, Path()) as scorer:
        scorer.prepare(samples)
        found = scorer.score(samples, outcomes)
    return {name: None if s is None else s.value for name, s in found.items()}


def perfect(sample: Sample) -> Outcome:
    labels = sample.target.label_map()
    return Outcome(sample.sample_id, encode_label_map(np.where(labels == IGNORED, 0, labels).astype(np.uint16)))

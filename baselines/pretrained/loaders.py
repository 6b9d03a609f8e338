"""Which function loads which kind of network; importing this imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from baselines.pretrained.architectures import (
    CLASSIFIER,
    DETECTOR,
    GROUNDING_DETECTOR,
    OWL_DETECTOR,
    SEGMENTER,
    TASK_SEGMENTER,
    TEXT_SEGMENTER,
    UNIVERSAL_SEGMENTER,
)
from baselines.pretrained.grounding_detector import load_grounding
from baselines.pretrained.image_classifier import load_classifier
from baselines.pretrained.object_detector import load_detector
from baselines.pretrained.owl_detector import load_owl
from baselines.pretrained.segmenter import load_segmenter
from baselines.pretrained.text_segmenter import load_text_segmenter
from harness.protocols import Learner
from harness.sample import TaskSpec

Load = Callable[[Path, str, TaskSpec, str], Learner]
"""Called with the folder, the weights' digest, the task and the class of transformers that reads the network."""

LOADERS: Mapping[str, Load] = MappingProxyType(
    {
        CLASSIFIER.name: load_classifier,
        DETECTOR.name: load_detector,
        OWL_DETECTOR.name: load_owl,
        GROUNDING_DETECTOR.name: load_grounding,
        SEGMENTER.name: load_segmenter,
        UNIVERSAL_SEGMENTER.name: load_segmenter,
        TASK_SEGMENTER.name: load_segmenter,
        TEXT_SEGMENTER.name: load_text_segmenter,
    }
)
"""By the name of the kind."""

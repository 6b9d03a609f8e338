"""What loads each kind of network: functions that import torch only when they are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from baselines.pretrained.settings import read_pretrained_settings
from harness.protocols import BuildContext, Learner
from harness.sample import TaskSpec


@dataclass(frozen=True)
class Loading:
    """A checkpoint's folder and digest, the class of transformers that reads it, and what it is built for."""

    folder: Path
    digest: str
    auto_class: str
    spec: TaskSpec
    context: BuildContext


def captioner(found: Loading) -> Learner:
    """Load a network that writes captions."""
    from baselines.pretrained.transformers_captioner import load_captioner

    settings = read_pretrained_settings(found.context.options.settings)
    return load_captioner(found.folder, found.digest, settings, found.context.decode, found.auto_class)


def classifier(found: Loading) -> Learner:
    """Load a network that names classes."""
    from baselines.pretrained.image_classifier import load_classifier

    return load_classifier(found.folder, found.digest, found.spec, found.auto_class)


def detector(found: Loading) -> Learner:
    """Load a network that finds the objects of its own classes."""
    from baselines.pretrained.object_detector import load_detector

    return load_detector(found.folder, found.digest, found.spec, found.auto_class)


def owl_detector(found: Loading) -> Learner:
    """Load OWL-ViT or OWLv2."""
    from baselines.pretrained.owl_detector import load_owl

    return load_owl(found.folder, found.digest, found.spec, found.auto_class)


def grounding_detector(found: Loading) -> Learner:
    """Load a Grounding DINO."""
    from baselines.pretrained.grounding_detector import load_grounding

    return load_grounding(found.folder, found.digest, found.spec, found.auto_class)


def segmenter(found: Loading) -> Learner:
    """Load a network that tells the class of each pixel."""
    from baselines.pretrained.segmenter import load_segmenter

    return load_segmenter(found.folder, found.digest, found.spec, found.auto_class)


def text_segmenter(found: Loading) -> Learner:
    """Load CLIPSeg."""
    from baselines.pretrained.text_segmenter import load_text_segmenter

    return load_text_segmenter(found.folder, found.digest, found.spec, found.auto_class)

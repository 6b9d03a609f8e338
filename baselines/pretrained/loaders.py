"""What loads each kind of network: functions that import torch only when they are called."""

from __future__ import annotations

from baselines.pretrained.transformers_loading import Loading
from harness.protocols import Learner


def captioner(found: Loading) -> Learner:
    """Load a network that writes captions."""
    from baselines.pretrained.transformers_captioner import load_captioner

    return load_captioner(found)


def classifier(found: Loading) -> Learner:
    """Load a network that names classes."""
    from baselines.pretrained.image_classifier import load_classifier

    return load_classifier(found)


def detector(found: Loading) -> Learner:
    """Load a network that finds the objects of its own classes."""
    from baselines.pretrained.object_detector import load_detector

    return load_detector(found)


def owl_detector(found: Loading) -> Learner:
    """Load OWL-ViT or OWLv2."""
    from baselines.pretrained.owl_detector import load_owl

    return load_owl(found)


def grounding_detector(found: Loading) -> Learner:
    """Load a Grounding DINO."""
    from baselines.pretrained.grounding_detector import load_grounding

    return load_grounding(found)


def segmenter(found: Loading) -> Learner:
    """Load a network that tells the class of each pixel."""
    from baselines.pretrained.segmenter import load_segmenter

    return load_segmenter(found)


def text_segmenter(found: Loading) -> Learner:
    """Load CLIPSeg."""
    from baselines.pretrained.text_segmenter import load_text_segmenter

    return load_text_segmenter(found)

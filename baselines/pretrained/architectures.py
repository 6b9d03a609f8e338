"""What a transformers checkpoint is good for, by the class that its config.json names. Imports no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from baselines.pretrained import loaders
from baselines.pretrained.transformers_loading import Loading
from harness.answers import BOXES, CAPTIONS, CHOICES, LABELS, MAPS
from harness.errors import CheckpointError, UsageError
from harness.protocols import Learner

CONFIG_NAME = "config.json"


@dataclass(frozen=True)
class ArchitectureKind:
    """A kind of network: the kind of its answers, and the transformers class that reads it.

    `fused` says whether language takes part. `example` is a repository of this kind, `load` builds a learner of one.
    """

    name: str
    answers: str
    auto_class: str
    fused: bool
    example: str
    load: Callable[[Loading], Learner]


CAPTIONER = ArchitectureKind(
    "captioner", CAPTIONS, "AutoModelForImageTextToText", True,
    "Salesforce/blip-image-captioning-base", loaders.captioner,
)  # fmt: skip
CLASSIFIER = ArchitectureKind(
    "classifier", LABELS, "AutoModelForImageClassification", False,
    "google/vit-base-patch16-224", loaders.classifier,
)  # fmt: skip
DETECTOR = ArchitectureKind(
    "detector", BOXES, "AutoModelForObjectDetection", False, "facebook/detr-resnet-50", loaders.detector,
)  # fmt: skip
OWL_DETECTOR = ArchitectureKind(
    "text-guided detector", BOXES, "AutoModelForZeroShotObjectDetection", True,
    "google/owlvit-base-patch32", loaders.owl_detector,
)  # fmt: skip
GROUNDING_DETECTOR = ArchitectureKind(
    "grounding detector", BOXES, "AutoModelForZeroShotObjectDetection", True,
    "IDEA-Research/grounding-dino-tiny", loaders.grounding_detector,
)  # fmt: skip
SEGMENTER = ArchitectureKind(
    "segmenter", MAPS, "AutoModelForSemanticSegmentation", False,
    "nvidia/segformer-b0-finetuned-ade-512-512", loaders.segmenter,
)  # fmt: skip
UNIVERSAL_SEGMENTER = ArchitectureKind(
    "universal segmenter", MAPS, "AutoModelForUniversalSegmentation", False,
    "facebook/mask2former-swin-tiny-coco-panoptic", loaders.segmenter,
)  # fmt: skip
TASK_SEGMENTER = ArchitectureKind(
    "task-conditioned segmenter", MAPS, "AutoModelForUniversalSegmentation", True,
    "shi-labs/oneformer_coco_swin_large", loaders.segmenter,
)  # fmt: skip
TEXT_SEGMENTER = ArchitectureKind(
    "text-guided segmenter", MAPS, "CLIPSegForImageSegmentation", True,
    "CIDAS/clipseg-rd64-refined", loaders.text_segmenter,
)  # fmt: skip

_BY_CLASS = (
    (re.compile(r"(OwlViT|Owlv2)ForObjectDetection"), OWL_DETECTOR),
    (re.compile(r"(MM)?GroundingDinoForObjectDetection"), GROUNDING_DETECTOR),
    (re.compile(r"CLIPSegForImageSegmentation"), TEXT_SEGMENTER),
    (re.compile(r"OneFormerForUniversalSegmentation"), TASK_SEGMENTER),
    (re.compile(r"MaskFormerForInstanceSegmentation|Mask2FormerForUniversalSegmentation"), UNIVERSAL_SEGMENTER),
    (re.compile(r"\w+ForSemanticSegmentation"), SEGMENTER),
    (re.compile(r"(?!OmDetTurbo|PPOCR|PPDocLayout)\w+ForObjectDetection"), DETECTOR),
    (re.compile(r"\w+ForImageClassification\w*"), CLASSIFIER),
    (re.compile(r"\w+For(ConditionalGeneration|CausalLM|VisionText2Text)|VisionEncoderDecoderModel"), CAPTIONER),
)
ARCHITECTURE_KINDS = tuple(dict.fromkeys(kind for _, kind in reversed(_BY_CLASS)))


def kinds_of_answer(kind: ArchitectureKind) -> tuple[str, ...]:
    """Every kind of answer that a kind of network gives: what writes captions also says how likely a text is as one."""
    return (kind.answers, CHOICES) if kind.answers == CAPTIONS else (kind.answers,)


ANSWERS = tuple(dict.fromkeys(answers for kind in ARCHITECTURE_KINDS for answers in kinds_of_answer(kind)))
"""Every kind of answer that some network gives."""


def read_kind(folder: Path, model: str) -> ArchitectureKind:
    """Read what kind of network lies in a folder; raises CheckpointError, or UsageError for one that is not taken."""
    path = folder / CONFIG_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = [str(name) for name in content.get("architectures") or ()]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"{path} is not a transformers configuration ({type(error).__name__}: {error}). "
            "Wanted what save_pretrained writes; fetch the checkpoint again."
        ) from error
    if not names and "architecture" in content:
        raise UsageError(
            f"'{model}' is a checkpoint of timm ({content['architecture']}), not of transformers. "
            f"Name it as {model.replace('hf:', 'timm:', 1)}."
        )
    kind = architecture_kind_of(names)
    if kind is None:
        raise UsageError(f"'{model}' is {' and '.join(names) or 'of no named architecture'} ({path}). {served()}")
    return kind


def architecture_kind_of(architectures: list[str]) -> ArchitectureKind | None:
    """Find the kind of a network by the names of its classes; None for one that is not served."""
    return next((kind for name in architectures for form, kind in _BY_CLASS if form.fullmatch(name)), None)


def served() -> str:
    """Say which networks are served, with an example for each kind of answer, as the end of an error message."""
    first = {kind.answers: kind for kind in reversed(ARCHITECTURE_KINDS)}
    examples = ", ".join(f"{kind.name}s (hf:{kind.example})" for kind in reversed(first.values()))
    return f"Served are {examples} and their kin; CLIP is taken through open_clip."


def check_answers(kind: ArchitectureKind, wanted: str, model: str) -> None:
    """Refuse a kind of answer that a network does not give; raises UsageError naming models that do."""
    if wanted in ("", *kinds_of_answer(kind)):
        return
    raise UsageError(_other_answers(kind, wanted, model))


def _other_answers(kind: ArchitectureKind, wanted: str, model: str) -> str:
    others = " or ".join(
        f"hf:{other.example} (a {other.name})" for other in ARCHITECTURE_KINDS if wanted in kinds_of_answer(other)
    )
    given = " and ".join(kinds_of_answer(kind))
    return f"Model '{model}' is a {kind.name} and answers with {given}, not with {wanted}. " + (
        f"For {wanted} take such as {others}." if others else f"No model of transformers answers with {wanted}."
    )

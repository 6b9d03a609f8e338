"""Models taken whole: those that read class texts follow them, and classifiers say how wrong they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from timm.models import save_for_hf

from baselines.pretrained.timm_model import parse_timm_name
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.protocols import BuildContext, HasSampleLosses, ReadsText
from harness.sample import Batch, TaskSpec

from .taking import OBJECTS, REGIONS, Folders, answers, build, classes, fitted, label_maps, photographs

SHAPES = photographs([(96, 60), (60, 96), (80, 80)])
SQUARES = photographs([(80, 80)] * 5)


@dataclass(frozen=True)
class Label:
    """Stands for the task's own target."""

    label: int


@pytest.mark.parametrize("name", ["grounding_dino", "owlvit", "owlv2", "clipseg"])
def test_answers_follow_the_texts_and_come_back(name: str, checkpoint: Folders) -> None:
    known = classes(*(REGIONS if name == "clipseg" else OBJECTS))
    learner = build(checkpoint(name), known)
    assert isinstance(learner, ReadsText) and learner.reads == ("classes",)
    first = answers(learner, SHAPES)
    learner.reword(known.texts)
    assert answers(learner, SHAPES) == first
    rotated = [*known.texts[1:], known.texts[0]]
    with torch.inference_mode():
        learner.reword(rotated)
    changed = answers(learner, SHAPES)
    assert changed != first
    as_built = build(checkpoint(name), type(known)(known.names, tuple(rotated)))
    if name == "clipseg":
        for one, other in zip(label_maps(changed), label_maps(answers(as_built, SHAPES)), strict=True):
            assert (one == other).all()
    else:
        assert changed == answers(as_built, SHAPES)
    learner.reword(known.texts)
    assert answers(learner, SHAPES) == first


@pytest.mark.parametrize("name", ["grounding_dino", "owlvit", "clipseg"])
def test_a_class_may_get_more_texts_than_it_had(name: str, checkpoint: Folders) -> None:
    """The first class the most of them, so that every text after its own stands elsewhere than before."""
    known = classes(*(REGIONS if name == "clipseg" else OBJECTS))
    texts = ((*known.texts[0], "a thing", "a zyxw"), *known.texts[1:])
    learner = build(checkpoint(name), known)
    first = answers(learner, SHAPES)
    learner.reword(texts)
    as_built = build(checkpoint(name), type(known)(known.names, texts))
    assert answers(learner, SHAPES) == answers(as_built, SHAPES)
    learner.reword(known.texts)
    assert answers(learner, SHAPES) == first


@pytest.mark.parametrize("name", ["detr", "segformer"])
def test_closed_label_sets_read_nothing(name: str, checkpoint: Folders) -> None:
    learner = build(checkpoint(name), classes(*(OBJECTS if name == "detr" else REGIONS)))
    assert not getattr(learner, "reads", ())


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny network of timm with labels of its own, one of which means no class of the task."""
    torch.manual_seed(5)
    network = timm.create_model("test_resnet", num_classes=4)
    for parameter in network.parameters():
        parameter.data.mul_(2) if parameter.ndim > 1 else None
    folder = tmp_path_factory.mktemp("timm")
    save_for_hf(
        network, folder, {"num_classes": 4, "label_names": ["cat", "dog", "fox", "gnu"]}, safe_serialization=True
    )

    context = BuildContext(ModelOptions(), TrainOptions(), DecodeOptions(), 0, Path("unused"))
    spec = TaskSpec("image-classification", (), classes=classes("dog", "fox", "cat"))
    return parse_timm_name(f"timm:{folder}").build(spec, context)


def test_the_loss_of_a_classifier_is_minus_the_log_of_its_answer(classifier: Any) -> None:
    assert isinstance(classifier, HasSampleLosses) and not getattr(classifier, "reads", ())
    pixels = fitted(classifier, SQUARES)
    targets = tuple(Label(row % 3) for row in range(5))
    batch = Batch(tuple("abcde"), classifier.vision(pixels), (None,) * 5, targets)
    losses = classifier.losses(batch)
    answered = np.array(answers(classifier, SQUARES))
    assert losses.shape == (5,)
    np.testing.assert_allclose(losses, -np.log(answered[range(5), [0, 1, 2, 0, 1]]), rtol=1e-4)
    one = classifier.losses(Batch(("a",), classifier.vision(pixels[3:4]), (None,), targets[3:4]))
    torch.testing.assert_close(one[0], losses[3], atol=1e-4, rtol=1e-5)


def test_losses_too_large_for_a_probability_keep_their_gradient(classifier: Any) -> None:
    """A class that is e^-500 likely: as a float its probability is 0, whose log is of no use to an attack."""
    pixels = fitted(classifier, SQUARES[:1])
    visual = classifier.vision(pixels).requires_grad_()
    logits = classifier.logits(visual).detach()
    least = int(logits[0, :3].argmin())
    right = (2, 0, 1)[least]  # cat, dog and fox as the task numbers them
    far = 500 / float(logits[0, :3].max() - logits[0, least])
    plain, classifier.logits = classifier.logits, lambda given: plain(given) * far
    try:
        loss = classifier.losses(Batch(("a",), visual, (None,), (Label(right),)))
        (slope,) = torch.autograd.grad(loss.sum(), visual)
    finally:
        del classifier.logits
    wanted = (logits[0, :3] * far).double()
    assert loss.item() == pytest.approx(float(wanted.logsumexp(0) - wanted[least]), rel=1e-4)
    assert loss.item() > 104  # -log of the smallest float
    assert bool(torch.isfinite(slope).all()) and bool(slope.any())


def test_a_class_without_a_label_has_no_finite_loss_and_hands_no_gradient_on(classifier: Any) -> None:
    visual = classifier.vision(fitted(classifier, SQUARES[:1])).requires_grad_()
    loss = classifier.losses(Batch(("a",), visual, (None,), (Label(7),)))
    (slope,) = torch.autograd.grad(loss.sum(), visual)
    assert loss.item() == torch.inf and not slope.any()


def test_towers_of_checkpoints_take_float_pixels(classifier: Any) -> None:
    pixels = fitted(classifier, SQUARES)
    floats = pixels.float().requires_grad_()
    visual = classifier.vision(floats)
    assert visual.requires_grad
    assert torch.equal(visual, classifier.vision(pixels))
    batch = Batch(tuple("abcde"), visual, (None,) * 5, tuple(Label(0) for _ in range(5)))
    (slope,) = torch.autograd.grad(classifier.losses(batch).sum(), floats)
    assert bool((slope.flatten(1).abs().sum(dim=1) > 0).all())


@pytest.mark.parametrize("name", ["grounding_dino", "owlvit", "owlv2", "clipseg"])
@pytest.mark.parametrize("text", ["", "!", ". .", "zyxw"])
def test_texts_without_words_are_read_too(name: str, text: str, checkpoint: Folders) -> None:
    """As after a perturbation that leaves nothing of them: scores stay numbers."""
    known = classes(*(REGIONS if name == "clipseg" else OBJECTS))
    learner = build(checkpoint(name), known)
    for texts in ([(text,)] * len(known), [(text,), *known.texts[1:]], [*known.texts[:-1], (text,)]):
        learner.reword(texts)
        found = answers(learner, SHAPES)
        if name != "clipseg":
            assert all(0 <= box[1] <= 1 for boxes in found for box in boxes)

"""Losses of single samples: what they are worth, that each is its sample's own, and that they reach the pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines import catalog
from baselines.heads.box_head import BoxHead
from baselines.heads.class_scorers import LinearScorer
from baselines.heads.label_head import LabelHead, MeanPool, label_losses
from baselines.heads.map_head import MapHead
from baselines.heads.set_box_head import SetBoxHead
from baselines.learners.generative import GenerativeLearner
from harness.answers import IGNORED, LABELS, MAPS
from harness.protocols import HasSampleLosses
from harness.sample import Batch, Classes
from tests.baselines.learners import test_reading
from tests.baselines.models.test_discriminative import (
    COUNT,
    FUSED,
    NAMES,
    TASKS,
    Target,
    batch_of,
    box_target,
    label_target,
    losses_of,
    spec_of,
)

from .conftest import Captions, random_batch, train_steps

Make = test_reading.Make
make = test_reading.make
ALL_SEEN = Classes(NAMES, (), (True,) * len(NAMES))
ONE_UNSEEN = Classes(NAMES, (), (True, True, True, True, False))
GRID = (4, 4)


def part_of(batch: Batch, rows: list[int]) -> Batch:
    assert batch.visual is not None and batch.targets is not None
    return Batch(
        tuple(batch.sample_ids[row] for row in rows),
        batch.visual[rows],
        tuple(batch.texts[row] for row in rows),
        tuple(batch.targets[row] for row in rows),
    )


def slope_of(learner: Any, batch: Batch, row: int | None = None) -> Tensor:
    """Gradient of the losses, or of one, by the visual tokens."""
    assert batch.visual is not None
    leaf = batch.visual.detach().clone().requires_grad_()
    losses = learner.losses(replace(batch, visual=leaf))
    (slope,) = torch.autograd.grad(losses.sum() if row is None else losses[row], leaf)
    return slope


@pytest.mark.parametrize("model", [*FUSED, catalog.probe], ids=lambda model: model.name)
@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("control", [None, "C6"])
def test_a_loss_is_its_samples_own(model: Any, kind: str, control: str | None, make: Make) -> None:
    if kind not in model.answers or (control is not None and (kind != LABELS or not model.fused)):
        return
    spec = spec_of(kind)
    learner = make(model, spec, control)
    assert isinstance(learner, HasSampleLosses)
    losses_of(learner, spec, 3)
    batch = batch_of(learner, spec, with_targets=True)
    together = learner.losses(batch)
    assert together.shape == (COUNT,) and together.dtype == torch.float32
    assert bool(torch.isfinite(together).all())
    for rows in ([5], [11, 0, 3, 4, 1, 2, 9]):
        torch.testing.assert_close(learner.losses(part_of(batch, rows)), together[rows], atol=1e-4, rtol=1e-5)
    slope = slope_of(learner, batch, row=5).flatten(1).abs().sum(dim=1)
    assert slope[5] > 0 and not slope[:5].any() and not slope[6:].any()


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("control", [None, "C0", "C1", "C2", "C3", "C4", "C5", "C6"])
def test_the_loss_of_a_label_is_what_its_answer_says(control: str | None, beside: bool, make: Make) -> None:
    """-log p of the right class; a class without training images is one like the others."""
    spec = spec_of(LABELS, beside=beside)
    learner = make(catalog.film, spec, control)
    losses_of(learner, spec, 3)
    targets = tuple(replace(label_target(row), label=row % len(NAMES)) for row in range(COUNT))
    batch = replace(batch_of(learner, spec), targets=targets)
    answers = learner.predict(replace(batch, targets=None))
    wanted = [-math.log(answer[target.label]) for answer, target in zip(answers, targets, strict=True)]
    np.testing.assert_allclose(learner.losses(batch).detach(), wanted, rtol=1e-4)


def test_several_labels_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [2.0, -1.0]])
    targets = [Target(0, (1, 0), (), (), "0"), Target(1, (0, 1), (), (), "1")]
    losses = label_losses(logits, targets, multilabel=True)
    assert losses[0].item() == pytest.approx((math.log(2) + math.log(4)) / 2)  # sigmoid(log 3) = 3 / 4
    assert label_losses(torch.tensor([[0.0, math.log(3.0)]]), [targets[1]], multilabel=False).item() == pytest.approx(
        -math.log(3 / 4)
    )


def test_the_mean_is_the_training_loss_where_every_class_is_seen() -> None:
    torch.manual_seed(0)
    features = torch.randn(COUNT, 16, 8)
    labels = [label_target(row) for row in range(COUNT)]
    for several in (False, True):
        head = LabelHead(MeanPool(), LinearScorer(8, len(NAMES)), replace(ALL_SEEN, multilabel=several))
        logits = head(features)
        torch.testing.assert_close(head.losses(logits, labels).mean(), head.loss(logits, labels))
    maps = MapHead(LinearScorer(8, len(NAMES)), 8, GRID, ALL_SEEN, refine=True)
    raw = maps(features)
    torch.testing.assert_close(maps.losses(raw, labels).mean(), maps.loss(raw, labels))  # as many pixels in each


@pytest.mark.parametrize("head_class", [BoxHead, SetBoxHead])
def test_the_loss_of_boxes_is_that_of_the_image_alone(head_class: Any) -> None:
    torch.manual_seed(0)
    shape = GRID if head_class is BoxHead else (3, 1)
    head = head_class(LinearScorer(8, len(NAMES)), 8, shape, ALL_SEEN)
    raw = head(torch.randn(4, 16, 8))
    targets = [box_target(row) for row in range(4)]
    alone = [head.loss((raw[0][row : row + 1], raw[1][row : row + 1]), [targets[row]]) for row in range(4)]
    torch.testing.assert_close(head.losses(raw, targets), torch.stack(alone))
    assert len(targets[0].boxes) == 0 and alone[0].item() > 0, "an image without objects has a loss too"


def test_pixels_that_nobody_asks_about_do_not_count() -> None:
    class Half(Target):
        def label_map(self) -> np.ndarray:
            labels = np.full((8, 8), IGNORED, dtype=np.uint16)
            labels[:, :4] = 1
            return labels

    class Nothing(Target):
        def label_map(self) -> np.ndarray:
            return np.full((8, 8), IGNORED, dtype=np.uint16)

    head = MapHead(LinearScorer(8, len(NAMES)), 8, GRID, ALL_SEEN, refine=False)
    logits = torch.randn(2, len(NAMES), 8, 8)
    targets = [kind(0, (), (), (), name) for name, kind in (("half", Half), ("nothing", Nothing))]
    losses = head.losses(logits, targets)
    right = logits[0, :, :, :4].log_softmax(dim=0)[1]
    assert losses[0].item() == pytest.approx(-right.mean().item(), rel=1e-5)
    assert losses[1].item() == 0


def test_a_moved_map_is_not_taken_for_the_one_before() -> None:
    """Maps are remembered by image, and a moved image has another."""

    @dataclass(frozen=True)
    class Moved:
        image_id: str
        affines: tuple[int, ...] = ()

        def label_map(self) -> np.ndarray:
            return np.full((8, 8), len(self.affines), dtype=np.uint16)

    head = MapHead(LinearScorer(8, len(NAMES)), 8, GRID, ALL_SEEN, refine=False)
    logits = torch.randn(1, len(NAMES), 8, 8)
    for affines in ((), (1,), (1, 2), ()):
        wanted = -logits[0].log_softmax(dim=0)[len(affines)].mean()
        torch.testing.assert_close(head.losses(logits, [Moved("1", affines)])[0], wanted)


@pytest.mark.parametrize("kind", [LABELS, MAPS])
def test_an_unseen_class_takes_part(kind: str) -> None:
    head: Any = (
        LabelHead(MeanPool(), LinearScorer(8, len(NAMES)), ONE_UNSEEN)
        if kind == LABELS
        else MapHead(LinearScorer(8, len(NAMES)), 8, GRID, ONE_UNSEEN, refine=False)
    )
    logits = head(torch.randn(2, 16, 8))
    unseen = [replace(label_target(row), label=4, corner=4) for row in range(2)]
    assert bool(torch.isfinite(head.losses(logits, unseen)).all())
    higher = logits.clone()
    higher[:, 4] += 1.0  # the right class where it is asked for
    if kind == LABELS:
        assert bool((head.losses(higher, unseen) < head.losses(logits, unseen)).all())
        seen = [label_target(row) for row in range(2)]
        assert bool((head.losses(higher, seen) > head.losses(logits, seen)).all())


@pytest.mark.parametrize("model", ["cross_attention_lora", "prefix", "cnn_lstm", "cnn_transformer", "text_only"])
def test_the_loss_of_a_caption_is_that_of_its_words(model: str, build: Any) -> None:
    """For one image with one reference it is the training loss; neighbours pad, and padding does not count."""
    learner = build(getattr(catalog, model))
    assert isinstance(learner, GenerativeLearner) and isinstance(learner, HasSampleLosses)
    learner.eval()
    batch = random_batch(learner, 7)
    assert batch.targets is not None
    lengths = [11, 3, 8, 2, 5, 11, 4]
    words = [target.references[1].split()[:length] for target, length in zip(batch.targets, lengths, strict=True)]
    assert [len(caption) for caption in words] == lengths, "of several lengths, or nothing would be padded"
    batch = replace(batch, targets=tuple(Captions((" ".join(caption), "another one")) for caption in words))
    assert batch.targets is not None
    together = learner.losses(batch)
    assert together.shape == (7,) and together.dtype == torch.float32
    for row in range(7):
        first = (Captions(batch.targets[row].references[:1]),)
        visual = None if batch.visual is None else batch.visual[row : row + 1]
        alone = Batch(batch.sample_ids[row : row + 1], visual, (None,), first)
        torch.testing.assert_close(learner.losses(alone)[0], together[row], atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(learner.loss(alone, torch.Generator()), together[row], atol=1e-4, rtol=1e-5)
    if batch.visual is not None:
        train_steps(learner, 3)  # some operators hand nothing on before they are trained
        assert bool((slope_of(learner, batch).flatten(1).abs().sum(dim=1) > 0).all())


def test_towers_take_float_pixels_and_hand_gradients_on(make: Make) -> None:
    tower = make(catalog.probe, spec_of(LABELS)).vision
    size = tower.preprocessing.size
    pixels = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    floats = pixels.float().requires_grad_()
    tokens = tower(floats)
    assert torch.equal(tokens, tower(pixels))
    (slope,) = torch.autograd.grad(tokens.square().sum(), floats)
    assert bool((slope.flatten(1).abs().sum(dim=1) > 0).all())


def test_a_step_up_the_slope_makes_the_loss_higher(make: Make) -> None:
    """From pixels on: what an attack does."""
    spec = spec_of(LABELS)
    learner = make(catalog.film, spec)
    losses_of(learner, spec, 5)
    size = learner.vision.preprocessing.size
    generator = torch.Generator().manual_seed(0)
    pixels = (torch.rand(COUNT, 3, size, size, generator=generator) * 255).requires_grad_()
    batch = batch_of(learner, spec, with_targets=True)

    def losses(seen: Tensor) -> Tensor:
        found: Tensor = learner.losses(replace(batch, visual=learner.vision(seen)))
        return found

    before = losses(pixels)
    (slope,) = torch.autograd.grad(before.sum(), pixels)
    after = losses((pixels + 2.0 * slope.sign()).clamp(0, 255))
    assert (after > before).float().mean() > 0.8


def test_training_is_not_touched_by_asking_for_losses(make: Make) -> None:
    """Weights after some steps are the same to the bit whether losses were asked for in between."""
    spec = spec_of(MAPS)
    states = []
    for asked in (False, True):
        learner = make(catalog.class_embedding, spec)
        for _ in range(2):
            losses_of(learner, spec, 2)
            if asked:
                learner.losses(batch_of(learner, spec, with_targets=True))
        states.append(learner.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize("head_class", [BoxHead, SetBoxHead])
def test_objects_of_an_unseen_class_count(head_class: Any) -> None:
    """In training they cannot; an attack asks about every class."""
    torch.manual_seed(0)
    shape = GRID if head_class is BoxHead else (3, 1)
    head = head_class(LinearScorer(8, len(NAMES)), 8, shape, ONE_UNSEEN)
    everything = head_class(LinearScorer(8, len(NAMES)), 8, shape, ALL_SEEN)
    raw = head(torch.randn(4, 16, 8))
    targets = [replace(box_target(row), labels=(4,) * len(box_target(row).boxes)) for row in range(4)]
    losses = head.losses(raw, targets)
    assert bool(torch.isfinite(losses).all())
    torch.testing.assert_close(losses, everything.losses(raw, targets))
    leaf = raw[0].detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(head.losses((leaf, raw[1]), targets).sum(), leaf)
    assert bool(slope[..., 4].any())


def test_certain_absence_is_not_nan() -> None:
    """What a linear probe says of classes that it was not trained on is minus infinity."""
    logits = torch.tensor([[0.0, -torch.inf]], requires_grad=True)
    absent, present = (
        label_losses(logits, [Target(0, (1, there), (), (), "0")], multilabel=True)[0] for there in (0, 1)
    )
    assert absent.item() == pytest.approx(math.log(2) / 2)
    assert present.item() == pytest.approx((math.log(2) + 100) / 2)
    (slope,) = torch.autograd.grad(absent, logits)
    assert bool(torch.isfinite(slope).all())

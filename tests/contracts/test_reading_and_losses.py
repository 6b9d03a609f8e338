"""What every installed pair promises to text perturbations and to attacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.answers import CAPTIONS, CHOICES, LABELS
from harness.protocols import HasLossParts, HasMeanLoss, HasSampleLosses, ReadsText, SupportsFit
from harness.sample import Batch

from . import test_pairs
from .test_pairs import Made, assert_alike

recipes = test_pairs.recipes
made = test_pairs.made
ROWS = (5, 2, 11, 30, 8, 17, 23)
STEP = 2.0
"""Of grey levels, 0..255."""


def batch_of(made: Made, rows: Sequence[int] = ROWS, pixels: Tensor | None = None) -> Batch:
    """Some samples with their targets, from cached tokens or from pixels."""
    batch = made.visual_tokens.batch(list(rows), with_targets=True)
    return batch if pixels is None else replace(batch, visual=made.learner.vision(pixels))


def pixels_of(made: Made, rows: Sequence[int] = ROWS) -> Tensor:
    """The images as the learner's preprocessing fits them, uint8."""
    assert made.visual_tokens.images is not None
    return torch.from_numpy(made.visual_tokens.images.read(list(rows)))


def predicted(made: Made, batch: Batch | None = None) -> list[Any]:
    with torch.inference_mode():
        asked = replace(batch or batch_of(made), targets=None)
        answers: list[Any] = made.learner.predict(asked)
    return answers


def reads_of(made: Made) -> tuple[str, ...]:
    return tuple(made.learner.reads) if isinstance(made.learner, ReadsText) else ()


def rotated(made: Made) -> list[tuple[str, ...]]:
    """Give each class the texts of the next, and other words beside."""
    texts = made.spec.classes.texts
    return [tuple(f"{text} zyxw" for text in texts[(index + 1) % len(texts)]) for index in range(len(texts))]


def slope_of(learner: Any, leaf: Tensor, losses: Tensor) -> Tensor:
    (slope,) = torch.autograd.grad(losses.sum(), leaf)
    return slope


def test_what_is_read_decides_what_moves_the_answers(made: Made) -> None:
    """Texts of classes and texts beside images, each moves those that say that they read it, and no other."""
    reads, texts = reads_of(made), made.spec.classes.texts
    assert set(reads) <= {"text", "classes"}
    assert made.model.fused or not reads or made.learner.vision is None, "un-fused is what sees or reads, not both"
    if made.losses and made.model.fused and made.spec.answers not in (CAPTIONS, CHOICES):
        assert reads, "what is fused and trained for classes reads something"
    batch = batch_of(made)
    first = predicted(made)
    if isinstance(made.learner, ReadsText) and texts:
        made.learner.reword(texts)
        # Not to the last bit here: a dual encoder has remembered the texts of its classes since training, read in
        # another order. One that was loaded, as for a sweep, reads them in this one.
        for one, other in zip(first, predicted(made), strict=True):
            assert_alike(made.spec.answers, one, other)
        first = predicted(made)
        made.learner.reword(texts)
        assert predicted(made) == first
        with torch.inference_mode():  # as a sweep does it
            made.learner.reword(rotated(made))
        moved = predicted(made) != first
        made.learner.reword(texts)
        assert predicted(made) == first
        assert moved == ("classes" in reads)
    if any(batch.texts):
        other = replace(batch, texts=tuple(f"zyxw {text}" for text in (*batch.texts[1:], batch.texts[0])))
        assert (predicted(made, other) != first) == ("text" in reads)


def test_losses_are_finite_and_each_samples_own(made: Made) -> None:
    if not isinstance(made.learner, HasSampleLosses):
        assert isinstance(made.learner, SupportsFit) or not any(vars(made.learner.parameter_groups()).values())
        return
    made.learner.eval()
    losses = made.learner.losses(batch_of(made))
    assert losses.shape == (len(ROWS),)
    assert bool(torch.isfinite(losses).all())
    for index, row in enumerate(ROWS):
        torch.testing.assert_close(made.learner.losses(batch_of(made, [row]))[0], losses[index], atol=1e-4, rtol=1e-4)
    if made.spec.answers == LABELS:
        right = [target.label for target in batch_of(made).targets or ()]
        answered = torch.tensor(predicted(made), dtype=torch.float64)[range(len(ROWS)), right]
        torch.testing.assert_close(losses.detach().double(), -answered.log(), atol=1e-3, rtol=1e-3)


def test_a_step_along_the_gradient_makes_the_loss_higher(made: Made) -> None:
    """From float pixels on, with what a sweep has left behind of inference mode."""
    learner: Any = made.learner
    if learner.vision is None or not isinstance(learner, HasSampleLosses):
        return
    learner.eval()
    with torch.no_grad():
        assert torch.equal(learner.vision(pixels_of(made).float()), learner.vision(pixels_of(made)))
    if isinstance(learner, ReadsText) and made.spec.classes.texts:
        learner.reword(made.spec.classes.texts)
    leaf = pixels_of(made).float().requires_grad_()
    before = learner.losses(batch_of(made, pixels=leaf))
    slope = slope_of(learner, leaf, before)
    assert slope.dtype == torch.float32 and bool(torch.isfinite(slope).all())
    if not bool(slope.any()):
        pytest.fail("no gradient reaches the pixels")
    with torch.no_grad():
        attacked = (leaf + STEP * slope.sign()).clamp(0, 255)
        after = learner.losses(batch_of(made, pixels=attacked))
    assert (after > before).float().mean() > 0.5
    assert after.mean() > before.mean()


def test_a_loss_said_to_be_a_mean_over_samples_is_one(made: Made) -> None:
    """In training mode without dropout; then memory may be spared in micro-batches, and it stays the same training."""
    learner: Any = made.learner
    if not made.losses:
        return

    def loss(rows: Sequence[int]) -> float:
        torch.manual_seed(0)
        return float(learner.loss(batch_of(made, rows), torch.Generator().manual_seed(0)).detach())

    learner.train()
    whole, parts = loss(ROWS), [ROWS[:2], ROWS[2:]]
    mean = sum(len(rows) * loss(rows) for rows in parts) / len(ROWS)
    learner.eval()
    if isinstance(learner, HasMeanLoss) and learner.loss_is_mean_over_samples:
        assert mean == pytest.approx(whole, rel=1e-4)


def test_parts_of_a_loss_added_up_over_shares_of_a_batch_are_that_loss_and_its_gradient(made: Made) -> None:
    """With the counts of all shares, as `train.processes` adds them up; of one reference each."""
    learner: Any = made.learner
    if not (made.losses and isinstance(learner, HasLossParts) and learner.loss_has_parts):
        return

    def batch(rows: Sequence[int]) -> Batch:
        found = batch_of(made, rows)
        assert found.targets is not None
        if all(getattr(target, "references", ()) for target in found.targets):
            return replace(found, targets=[replace(t, references=t.references[:1]) for t in found.targets])
        return found

    def gradient(loss: Tensor) -> Tensor:
        weights = [w for _, w in (*groups.language, *groups.vision, *groups.new)]
        slopes = torch.autograd.grad(loss, weights, allow_unused=True)
        return torch.cat(
            [torch.zeros(w.numel()) if s is None else s.flatten() for w, s in zip(weights, slopes, strict=True)]
        )

    groups = learner.parameter_groups()
    learner.train()
    torch.manual_seed(0)
    whole = learner.loss(batch(ROWS), torch.Generator().manual_seed(0))
    shares = [learner.loss_parts(batch(rows), torch.Generator().manual_seed(0)) for rows in (ROWS[:2], ROWS[2:])]
    counts = [sum(share[place].count for share in shares) or 1 for place in range(len(shares[0]))]
    together = sum(part.total / count for share in shares for part, count in zip(share, counts, strict=True))
    learner.eval()
    assert float(together.detach()) == pytest.approx(float(whole.detach()), rel=1e-4)
    difference, slope = (
        gradient(together - whole),
        gradient(learner.loss(batch(ROWS), torch.Generator().manual_seed(0))),
    )
    assert float(difference.norm()) <= 1e-4 * float(slope.norm())

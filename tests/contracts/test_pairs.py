"""What every installed model promises to every task that it serves, to text perturbations and to attacks."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from harness.answers import BOXES, CAPTIONS, CHOICES, LABELS, MAPS, SHORT_ANSWERS, decode_label_map
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.predict import predict_all
from harness.protocols import (
    BuildContext,
    Derived,
    HasLossParts,
    HasMeanLoss,
    HasSampleLosses,
    Learner,
    Model,
    ReadsText,
    SupportsFit,
)
from harness.sample import Batch, OnDemand, Sample, TaskSpec

from . import pairs
from .conftest import COUNT
from .pairs import Made, fit, seen_by

recipes = pairs.recipes
opened = pairs.opened
made = pairs.made
ROWS = (5, 2, 11, 30, 8, 17, 23)
STEP = 2.0
"""Of grey levels, 0..255."""


def answers(learner: Any, visual_tokens: VisualTokens, batch_size: int) -> list[Any]:
    return [outcome.prediction for outcome in predict_all(learner, visual_tokens, batch_size, lambda *_: None)]


def few(visual_tokens: VisualTokens, indices: Sequence[int]) -> VisualTokens:
    """Some of the samples, in another order."""
    chosen = tuple(visual_tokens.samples[index] for index in indices)
    if visual_tokens.images is None:
        return replace(visual_tokens, samples=chosen)
    images = replace(
        visual_tokens.images, samples=chosen, rows=tuple(visual_tokens.images.rows[index] for index in indices)
    )
    return replace(visual_tokens, samples=chosen, images=images)


def check_caption(answer: Any, classes: int) -> None:
    assert isinstance(answer, str)
    assert answer == answer.strip()


def check_label(answer: Any, classes: int) -> None:
    assert len(answer) == classes
    assert all(isinstance(value, float) and 0 <= value <= 1 for value in answer)
    assert sum(answer) == pytest.approx(1, abs=1e-4)


def check_boxes(answer: Any, classes: int) -> None:
    for label, score, x, y, width, height in answer:
        assert label == int(label) and 0 <= label < classes
        assert 0 <= score <= 1
        assert min(x, y) >= 0 and min(width, height) > 0
        assert max(x + width, y + height) <= 1 + 1e-5


def check_map(answer: Any, classes: int) -> None:
    labels = decode_label_map(answer)
    assert labels.ndim == 2 and min(labels.shape) > 1
    assert labels.max() < classes


def check_short_answer(answer: Any, classes: int) -> None:
    """Words, or a log-probability for each option: of Scenes's first questions, yes and no."""
    if not isinstance(answer, str):
        assert answer and all(isinstance(value, float) and value <= 0 for value in answer)


def check_choices(answer: Any, classes: int) -> None:
    assert len(answer) == 2
    assert all(isinstance(score, float) and math.isfinite(score) for score in answer)


CHECKS = {
    CAPTIONS: check_caption, LABELS: check_label, BOXES: check_boxes, MAPS: check_map,
    SHORT_ANSWERS: check_short_answer, CHOICES: check_choices,
}  # fmt: skip


def assert_alike(kind: str, one: Any, other: Any) -> None:
    """Equal within what single precision leaves open: the order of a sum depends on the size of a batch."""
    if kind == CAPTIONS or isinstance(one, str):
        assert one == other
    elif kind in (LABELS, SHORT_ANSWERS, CHOICES):
        assert one == pytest.approx(other, abs=1e-3 if kind == CHOICES else 1e-5)
    elif kind == MAPS:
        assert (decode_label_map(one) != decode_label_map(other)).mean() < 2e-3
    else:
        assert len(one) == len(other)
        assert furthest_pair(one, other) < 1e-4


def furthest_pair(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> float:
    """The greatest difference when each box is put beside its like: nearly equal scores may change places."""
    if not one:
        return 0.0
    apart = np.abs(np.asarray(one)[:, None] - np.asarray(other)[None]).max(axis=-1)
    return float(apart[linear_sum_assignment(np.minimum(apart, 1.0))].max(initial=0.0))


class Unseen:
    """A target that nobody may look at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a target's '{name}' was looked at while predicting")


def test_recipes_are_json_and_free_of_torch(recipes: dict[str, Any]) -> None:
    assert recipes["torch"] is False
    found = {name: entry for name, entry in recipes["found"].items() if "recipe" in entry}
    assert len(found) >= 50
    assert all(entry["recipe"] for entry in found.values())
    assert len({json.dumps(entry["recipe"], sort_keys=True) for entry in found.values()}) >= 20, (
        "they tell models apart"
    )


def test_it_fits_the_protocol_and_its_loss_goes_down(made: Made) -> None:
    assert isinstance(made.model, Model)
    assert isinstance(made.learner, Learner)
    assert isinstance(made.learner, torch.nn.Module)
    assert json.dumps(dict(made.model.recipe(made.context.options)), allow_nan=False)
    groups = vars(made.learner.parameter_groups())
    named = [id(parameter) for group in groups.values() for _, parameter in group]
    assert len(set(named)) == len(named), "each weight stands in one group"
    assert set(named) == {id(p) for p in made.learner.parameters() if p.requires_grad}
    if isinstance(made.learner, SupportsFit):
        assert not named
        return
    assert all(math.isfinite(loss) for loss in made.losses)
    assert made.losses[-1] < made.losses[0] if named else made.losses == []


def test_answers_have_the_stated_shape_and_are_each_images_own(made: Made) -> None:
    """Batches of 1, 7 and 32; other neighbours in another order; and targets that raise when they are looked at."""
    kind, classes = made.spec.answers, len(made.spec.classes)
    blinded = replace(made.visual_tokens, samples=tuple(replace(s, target=Unseen()) for s in made.samples))
    together = answers(made.learner, blinded, COUNT)
    assert len(together) == COUNT
    for answer in together:
        CHECKS[kind](answer, classes)
        assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    chosen = [29, 3, 17, 0, 31, 8, 12]
    for size in (1, 7):
        for index, answer in zip(chosen, answers(made.learner, few(blinded, chosen), size), strict=True):
            assert_alike(kind, answer, together[index])


def test_no_target_reaches_predict(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[Batch] = []
    own = made.learner.predict
    monkeypatch.setattr(type(made.learner), "predict", lambda self, batch: batches.append(batch) or own(batch))
    answers(made.learner, few(made.visual_tokens, [0, 1, 2]), 2)
    assert [len(batch) for batch in batches] == [2, 1]
    assert all(batch.targets is None for batch in batches)


def spec_without_samples(made: Made) -> TaskSpec:
    """The spec that a model is loaded with, whose training samples nobody may read."""

    def refuse() -> Sequence[Sample]:
        raise AssertionError("a training sample was read to build what is trained already")

    return made.task.spec(made.data, OnDemand(refuse))


def known_alone(context: BuildContext) -> BuildContext:
    """What a model is loaded with: what it has derived, as it lies beside its checkpoint."""
    return replace(context, derived=Derived(json.loads(json.dumps(context.derived.to_json()))))


def test_the_seed_decides_weights_and_answers(made: Made, cache: Path) -> None:
    torch.manual_seed(99)  # whatever was drawn before
    again: Any = made.model.build(spec_without_samples(made), known_alone(made.context))
    assert again.state_dict().keys() == made.before.keys()
    assert all(torch.equal(value, made.before[name]) for name, value in again.state_dict().items())
    visual_tokens = seen_by(again, made.samples, cache)
    assert fit(again, visual_tokens) == made.losses
    assert answers(again, few(visual_tokens, [5, 2]), 2) == answers(made.learner, few(made.visual_tokens, [5, 2]), 2)
    if not made.losses:
        return
    other: Any = made.model.build(made.spec, replace(made.context, seed=4))
    assert any(not torch.equal(value, made.before[name]) for name, value in other.state_dict().items())


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

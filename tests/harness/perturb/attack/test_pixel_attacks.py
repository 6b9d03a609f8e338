"""Attacks on pixels: the known optimum of a linear loss, networks, and promises about batches and side effects."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from harness.condition import Part
from harness.errors import UsageError
from harness.perturb.attack.apgd import checkpoints
from harness.perturb.attack.catalog import ATTACKS, PixelAttack
from harness.perturb.attack.found import Found
from harness.perturb.attack.pgd import pgd
from harness.perturb.attack.pixel_attack import ball_on
from harness.perturb.attack.projection import Ball, lengths
from harness.perturb.attack.request import Attack, AttackOptions, epsilon
from harness.perturb.attack.square import bump, square, square_share
from harness.perturb.attack.victim import black_box_losses, generators, pixels_of, sample_losses, victim_of
from harness.perturb.perturbation import Perturbation
from harness.sample import Batch

from .learners import SIDE, Label, Linear, OnlyAnswers, Pixels, Reader, Trained, request_for

CHEAP = AttackOptions(pgd_steps=10, apgd_steps=15, queries=60, gate_samples=4, gate_steps=(5, 30))
KINDS = [(method, norm) for method in ("pgd", "apgd", "square") for norm in ("linf", "l2")]


def attack(method: str, norm: str, options: AttackOptions = CHEAP) -> PixelAttack:
    return PixelAttack(f"{method}-{norm}", "", method, norm, options)


def run(method: str, victim: Any, clean: torch.Tensor, ball: Ball, rngs: Any, budget: int) -> Found:
    from harness.perturb.attack.apgd import apgd

    if method == "square":
        return square(victim.query, clean, ball, rngs, budget)
    follow = pgd if method == "pgd" else apgd
    return follow(victim.gradient, victim.query, (clean, ball.random_point(clean, rngs)), ball, budget)


def test_all_attacks_fit_the_protocol_and_have_names_of_their_own() -> None:
    assert [a.name for a in ATTACKS] == [
        "pgd-linf", "pgd-l2", "apgd-linf", "apgd-l2", "square-linf", "square-l2", "text-attack", "joint-attack",
    ]  # fmt: skip
    assert all(isinstance(a, Attack) and isinstance(a, Perturbation) and a.family == "attack" for a in ATTACKS)
    assert {a.modality for a in ATTACKS} == {"image", "text", "image+text"}
    assert epsilon("linf", 1, 999) == 0.5 / 255
    assert [epsilon("l2", s, 448) for s in (1, 5)] == [0.5, 8.0]
    with pytest.raises(UsageError, match="severities 1 to 5, not 6"):
        epsilon("l2", 6, 224)


@pytest.mark.parametrize("method", ["pgd", "apgd"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_worst_image_of_a_linear_loss_is_found(method: str, norm: str) -> None:
    weights = torch.from_numpy(np.random.default_rng(0).standard_normal(3 * SIDE * SIDE).astype(np.float32))
    pixels = np.full((3, 3, SIDE, SIDE), 128, dtype=np.uint8)
    request = request_for(pixels, [Label(n) for n in range(3)])
    victim, clean = victim_of(Linear(weights), request, slice(0, 3)), pixels_of(request, slice(0, 3))
    assert clean is not None
    ball = Ball(norm, 0.1 if norm == "linf" else 1.0)
    found = run(method, victim, clean, ball, generators(Part("x", 1), request, slice(0, 3)), 30)
    direction = weights.sign() if norm == "linf" else weights / weights.norm()
    wanted = clean + ball.eps * direction.view(1, 3, SIDE, SIDE)
    risen = 0.1 * weights.abs().sum() if norm == "linf" else weights.norm()
    torch.testing.assert_close(found.losses - found.before, risen.expand(3), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.pixels, wanted, atol=2e-3 if norm == "l2" else 1e-5, rtol=0)


@pytest.mark.parametrize(("method", "norm"), KINDS)
def test_the_result_is_in_the_ball_and_the_loss_is_the_one_that_is_said(
    method: str, norm: str, trained: Trained
) -> None:
    request = request_for(trained.pixels[:6], trained.labels[:6])
    rows = slice(0, 6)
    victim, clean = victim_of(trained.learner(), request, rows), pixels_of(request, rows)
    assert clean is not None
    ball = Ball(norm, 8 / 255 if norm == "linf" else 1.0)
    found = run(method, victim, clean, ball, generators(Part("x", 5), request, rows), 40)
    change = found.pixels - clean
    largest = change.abs().max() if norm == "linf" else lengths(change).max()
    assert 0.5 * ball.eps < largest <= ball.eps + 1e-5
    assert found.pixels.min() >= 0 and found.pixels.max() <= 1
    torch.testing.assert_close(victim.query(found.pixels), found.losses, atol=1e-5, rtol=1e-4)
    trace = torch.stack(found.trace)
    assert (trace.diff(dim=0) >= 0).all(), "the worst loss so far never falls"
    assert (found.losses >= found.before).all()
    assert found.losses.mean() > 1.2 * found.before.mean()


def test_apgd_is_no_weaker_than_pgd_with_as_many_steps_and_square_is(trained: Trained) -> None:
    request = request_for(trained.pixels[:24], trained.labels[:24], batch_size=24)
    rows = slice(0, 24)
    victim, clean = victim_of(trained.learner(), request, rows), pixels_of(request, rows)
    assert clean is not None
    for ball in (Ball("linf", 8 / 255), Ball("l2", 0.5)):
        losses = {
            method: run(method, victim, clean, ball, generators(Part("x", 5), request, rows), 50).losses.mean()
            for method in ("pgd", "apgd", "square")
        }
        assert losses["apgd"] >= 0.995 * losses["pgd"]
        assert losses["square"] < losses["pgd"]


def test_steps_are_halved_at_the_published_checkpoints() -> None:
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(3) == [1, 2, 3]


def test_squares_shrink_as_published_and_bumps_have_length_1() -> None:
    shares = [square_share(n, 10_000) for n in (0, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)]
    assert shares == [0.8 / 2**n for n in range(10)]
    for side in (1, 3, 4, 7, 40):
        shape = bump(side, torch.zeros(1))
        assert shape.shape == (side, side)
        assert float(shape.norm()) == pytest.approx(1.0, abs=1e-5)
    around, middle, far = 1 / 4 + 1 / 9, 1 + 1 / 4 + 1 / 9, 1 / 9
    upper = torch.tensor([[far, around, around, around], [far, around, middle, around]])
    torch.testing.assert_close(bump(4, torch.zeros(1)), torch.cat([upper, -upper]) / (upper.norm() * 2**0.5))


@pytest.mark.parametrize(("method", "norm"), KINDS)
def test_neither_batch_nor_order_changes_the_result(method: str, norm: str, trained: Trained) -> None:
    learner = trained.learner()
    options = AttackOptions(pgd_steps=5, apgd_steps=5, queries=20, gate_samples=2, gate_steps=(2,))
    one = attack(method, norm, options).predict(learner, request_for(trained.pixels[:7], trained.labels[:7]), 3)
    other = attack(method, norm, options).predict(
        learner, request_for(trained.pixels[:7], trained.labels[:7], batch_size=2), 3
    )
    np.testing.assert_allclose(one.predictions, other.predictions, atol=2e-4)
    again = attack(method, norm, options).predict(
        learner, request_for(trained.pixels[:7], trained.labels[:7], seed=1), 3
    )
    assert not np.allclose(one.predictions, again.predictions, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("method", "norm"), KINDS)
def test_a_whole_attack_leaves_no_trace_and_says_what_it_did(method: str, norm: str, trained: Trained) -> None:
    learner = trained.learner()
    learner.layers[0].requires_grad_(False)
    before = [p.requires_grad for p in learner.parameters()]
    weights = {name: value.clone() for name, value in learner.state_dict().items()}
    torch.manual_seed(5)
    np.random.seed(5)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()
    request = request_for(trained.pixels[:8], trained.labels[:8])
    with torch.no_grad():
        result = attack(method, norm).predict(learner, request, 5)
    assert torch.equal(torch.get_rng_state(), states[0]) and np.random.get_state()[1].tolist() == states[1]
    assert [p.requires_grad for p in learner.parameters()] == before
    assert all(p.grad is None for p in learner.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in learner.state_dict().items())
    assert len(result.predictions) == 8 and result.skipped is None
    notes = json.loads(json.dumps(result.notes, allow_nan=False))
    assert notes["loss_after"] > notes["loss_before"] and notes["samples"] == 8
    assert (notes["gates"]["black_box"] is None) == (method == "square")
    assert "loss" not in notes, "the loss is the model's own"


def test_without_gradients_only_square_attacks(trained: Trained) -> None:
    request = request_for(trained.pixels[:4], trained.labels[:4])
    for learner in (trained.learner("rounding"), OnlyAnswers(trained.learner())):
        result = attack("pgd", "linf").predict(learner, request, 5)
        assert result.skipped is not None and "take square-linf" in result.skipped
        assert result.predictions == []
        found = attack("square", "linf").predict(learner, request, 5)
        assert found.skipped is None and found.notes["loss_after"] > found.notes["loss_before"]
        assert ("loss" in found.notes) == isinstance(learner, OnlyAnswers)
    assert found.notes["loss"].startswith("-log of the probability")
    same = attack("square", "linf").predict(trained.learner(), request, 5)
    np.testing.assert_allclose(found.predictions, same.predictions, atol=1e-4)  # -log p is the cross-entropy


def test_losses_from_answers_lie_where_the_pixels_do() -> None:
    class Even(torch.nn.Module):
        """Answers without a look: values are nowhere on the device `meta`."""

        def predict(self, batch: Batch) -> list[list[float]]:
            return [[0.5, 0.5]] * len(batch)

    batch = Batch(("a", "b"), torch.zeros(2, 1, 4, device="meta"), (None, None), targets=(Label(0), Label(1)))
    assert black_box_losses(Even(), batch).device.type == "meta"
    there = black_box_losses(Even(), replace(batch, visual=torch.zeros(2, 1, 4)))
    np.testing.assert_allclose(there, -np.log([0.5, 0.5]), rtol=1e-6)


def test_what_cannot_be_attacked_is_skipped(trained: Trained) -> None:
    blind = attack("square", "l2").predict(Reader("text"), request_for(None, [Label(0)]), 1)
    assert blind.skipped == "the model sees no image"
    mute = OnlyAnswers(Linear(torch.ones(3 * SIDE * SIDE)))
    found = attack("square", "l2").predict(mute, request_for(trained.pixels[:2], trained.labels[:2]), 1)
    assert found.skipped is not None and "no probabilities" in found.skipped
    none = attack("pgd", "l2").predict(trained.learner(), request_for(trained.pixels[:0], []), 1)
    assert none.skipped == "there is no sample to attack"


def test_losses_that_are_not_finite_stay_out_of_means(trained: Trained) -> None:
    learner = trained.learner()
    own = learner.losses
    learner.losses = lambda batch: torch.where(  # type: ignore[method-assign]
        torch.tensor([i == "s1" for i in batch.sample_ids]), torch.inf, own(batch)
    )
    result = attack("pgd", "linf").predict(learner, request_for(trained.pixels[:4], trained.labels[:4]), 3)
    notes = json.loads(json.dumps(result.notes, allow_nan=False))
    assert notes["not_finite"] == 1 and notes["loss_after"] > notes["loss_before"]


def test_padding_is_no_part_of_an_image(trained: Trained) -> None:
    """Wide and high images in a square: only what they cover may change, by the whole radius."""
    weights = torch.from_numpy(np.random.default_rng(0).standard_normal(3 * SIDE * SIDE).astype(np.float32))
    learner = Linear(weights)
    learner.vision = Pixels("pad")
    pixels = np.zeros((2, 3, SIDE, SIDE), dtype=np.uint8)
    pixels[0, :, : SIDE // 2], pixels[1, :, :, : SIDE // 4] = 128, 128
    request = request_for(pixels, [Label(0)] * 2, sizes=((40, 20), (10, 40)))
    inside = torch.from_numpy(pixels > 0)
    for method, norm in KINDS:
        ball = ball_on(Ball(norm, 0.1 if norm == "linf" else 0.5), learner, request, slice(0, 2))
        victim, clean = victim_of(learner, request, slice(0, 2)), pixels_of(request, slice(0, 2))
        assert clean is not None
        found = run(method, victim, clean, ball, generators(Part("x", 1), request, slice(0, 2)), 30)
        change = found.pixels - clean
        assert not change[~inside].any() and change[inside].any()
        if method != "square":
            cut = (weights.view(1, 3, SIDE, SIDE) * inside).flatten(1)
            risen = 0.1 * cut.abs().sum(dim=1) if norm == "linf" else 0.5 * cut.norm(dim=1)
            torch.testing.assert_close(found.losses - found.before, risen, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(("method", "norm"), KINDS)
def test_whole_grey_levels_when_asked_for(method: str, norm: str, trained: Trained) -> None:
    request = request_for(trained.pixels[:4], trained.labels[:4])
    learner, seen = trained.learner(), list[torch.Tensor]()
    learner.vision.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    options = replace(CHEAP, quantise=True)
    result = attack(method, norm, options).predict(learner, request, 5)
    levels = seen[-1]
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    if norm == "linf":
        change = (levels - torch.from_numpy(trained.pixels[:4])).abs().max()
        assert change == pytest.approx(8, abs=1e-3)
    assert result.notes["pixels"] == "in whole grey levels"
    logits = learner.logits(Batch(("",) * 4, learner.vision(levels), (None,) * 4))
    wanted = torch.nn.functional.cross_entropy(logits, torch.tensor([t.label for t in trained.labels[:4]]))
    assert result.notes["loss_after"] == pytest.approx(wanted.item(), rel=1e-4)
    half = attack(method, "linf", options).predict(trained.learner(), request, 1)
    assert half.notes["loss_after"] == pytest.approx(half.notes["loss_before"]), "half a grey level is none"


def test_losses_come_in_batches(trained: Trained) -> None:
    learner = Linear(torch.ones(3 * SIDE * SIDE))
    request = request_for(trained.pixels[:7], trained.labels[:7])
    victim, clean = victim_of(learner, request, slice(0, 7)), pixels_of(request, slice(0, 7))
    assert clean is not None
    losses = sample_losses(learner, clean, victim.batch, 3)
    assert learner.sizes == [3, 3, 1]
    wanted = clean.flatten(1).sum(dim=1) + torch.tensor([float(label.label) for label in trained.labels[:7]])
    torch.testing.assert_close(losses.detach(), wanted)

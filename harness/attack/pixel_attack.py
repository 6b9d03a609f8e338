"""Attacks a model's pixels batch by batch, behind the gates, and lets it answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.attack.apgd import apgd
from harness.attack.attack import (
    LOWER_EFFORT,
    PGD,
    SQUARE,
    AttackOptions,
    AttackRequest,
    AttackResult,
    PixelAttack,
    epsilon,
)
from harness.attack.found import Found
from harness.attack.gates import Climb, Trial, check_gates
from harness.attack.pgd import pgd
from harness.attack.projection import Ball
from harness.attack.square import square
from harness.attack.victim import Victim, cannot_query, generators, pixels_of, prepared, slices, victim_of
from harness.condition import Part
from harness.protocols import Attackable, Learner
from harness.sample import Prediction

BLIND = "the model sees no image"
_INSTEAD = "take square-linf, which needs none"


def attack_pixels(attack: PixelAttack, learner: Learner, request: AttackRequest, severity: int) -> AttackResult:
    """Attack all samples of a request; skipped where that says nothing about the model."""
    part = Part(attack.name, severity)
    with prepared(learner, request):
        reason = cannot_climb(learner, request, part) if attack.method != SQUARE else _cannot_search(learner, request)
        if reason is not None:
            return AttackResult([], skipped=reason)
        ball = ball_for(attack.norm, request, severity)
        notes: dict[str, Any] = {"norm": ball.norm, "eps": ball.eps, **_budget(attack)}
        if attack.method != SQUARE:
            notes |= gate_notes(attack.method, learner, request, (part, ball), attack.options)
        predictions: list[Prediction] = []
        losses = []
        for rows in slices(len(request.samples), request.batch_size):
            victim, clean = victim_of(learner, request, rows), pixels_of(request, rows)
            assert clean is not None
            found = _attacked(attack, victim, clean, ball, generators(part, request, rows))
            predictions += victim.predict(found.pixels)
            losses.append((found.before, found.losses))
        return AttackResult(predictions, notes | loss_notes(losses))


def cannot_climb(learner: Learner, request: AttackRequest, part: Part) -> str | None:
    """Say why an attack by gradients is out of the question, None where it is not."""
    if learner.vision is None or request.pixels is None:
        return BLIND
    if not request.samples:
        return "there is no sample to attack"
    if not isinstance(learner, Attackable):
        return f"the model gives no losses to climb by their gradient; {_INSTEAD}"
    rows = slice(0, min(8, len(request.samples)))
    victim, clean = victim_of(learner, request, rows), pixels_of(request, rows)
    assert clean is not None
    near = Ball("linf", 8 / 255).random_extreme(clean, generators(part, request, rows, "gradient"))
    if not any(bool(victim.gradient(pixels)[1].any()) for pixels in (clean, near)):
        return f"the model's losses have no gradient by its pixels; {_INSTEAD}"
    return None


def _cannot_search(learner: Learner, request: AttackRequest) -> str | None:
    if learner.vision is None or request.pixels is None:
        return BLIND
    return cannot_query(learner, request) if request.samples else "there is no sample to attack"


def ball_for(norm: str, request: AttackRequest, severity: int) -> Ball:
    """The ball of a severity for the request's pixels."""
    assert request.pixels is not None
    return Ball(norm, epsilon(norm, severity, request.pixels.shape[-1]))


def gate_notes(
    method: str, learner: Learner, request: AttackRequest, where: tuple[Part, Ball], options: AttackOptions
) -> dict[str, Any]:
    """Examine an attack on the first samples; what fails is noted as a lower-effort attack."""
    part, ball = where
    rows = slice(0, min(options.gate_samples, len(request.samples)))
    victim, clean = victim_of(learner, request, rows), pixels_of(request, rows)
    assert clean is not None

    def draw(purpose: str) -> Sequence[np.random.Generator]:
        return generators(part, request, rows, f"gate {purpose}")

    steps = options.pgd_steps if method == PGD else options.apgd_steps
    trial = Trial(victim, clean, ball, _climb(method), steps, draw)
    report = check_gates(trial, options.gate_steps, options.queries)
    notes: dict[str, Any] = {"gates": {"samples": rows.stop, **report.to_json()}}
    return notes if report.passed else {**notes, "effort": LOWER_EFFORT}


def loss_notes(losses: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Mean losses before and after, over the samples where both are finite, and for how many the loss rose."""
    before, after = (torch.cat([pair[at].double().cpu() for pair in losses]) for at in (0, 1))
    finite = torch.isfinite(before) & torch.isfinite(after)
    means = [float(values[finite].mean()) if bool(finite.any()) else None for values in (before, after)]
    return {
        "loss_before": means[0],
        "loss_after": means[1],
        "raised": int((after > before).sum()),
        "samples": len(before),
        "not_finite": int((~finite).sum()),
    }


def _climb(method: str) -> Climb:
    follow: Callable[..., Found] = pgd if method == PGD else apgd

    def climb(victim: Victim, clean: Tensor, ball: Ball, rngs: Sequence[np.random.Generator], steps: int) -> Found:
        return follow(victim.gradient, victim.query, (clean, ball.random_point(clean, rngs)), ball, steps)

    return climb


def _attacked(
    attack: PixelAttack, victim: Victim, clean: Tensor, ball: Ball, rngs: Sequence[np.random.Generator]
) -> Found:
    if attack.method == SQUARE:
        return square(victim.query, clean, ball, rngs, attack.options.queries)
    return _climb(attack.method)(victim, clean, ball, rngs, _budget(attack)["steps"])


def _budget(attack: PixelAttack) -> dict[str, int]:
    if attack.method == SQUARE:
        return {"queries": attack.options.queries}
    return {"steps": attack.options.pgd_steps if attack.method == PGD else attack.options.apgd_steps}

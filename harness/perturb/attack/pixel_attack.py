"""Attacks a model's pixels batch by batch, behind the gates, and lets it answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.condition import Part
from harness.perturb.attack.apgd import apgd
from harness.perturb.attack.found import Found
from harness.perturb.attack.pgd import pgd
from harness.perturb.attack.projection import Ball, quantised
from harness.perturb.attack.request import (
    APGD,
    LOWER_EFFORT,
    PGD,
    SQUARE,
    AttackOptions,
    AttackRequest,
    AttackResult,
    MethodicalAttack,
    epsilon,
)
from harness.perturb.attack.square import square
from harness.perturb.attack.strength_checks import Climb, Trial, check_gates
from harness.perturb.attack.victim import (
    Victim,
    cannot_query,
    generators,
    loss_kind,
    pixels_of,
    prepared,
    shown,
    slices,
    victim_of,
)
from harness.protocols import HasSampleLosses, Learner
from harness.sample import Prediction

BLIND = "the model sees no image"
_INSTEAD = "take square-linf, which needs none"


def attack_pixels(attack: MethodicalAttack, learner: Learner, request: AttackRequest, severity: int) -> AttackResult:
    """Attack all samples of a request; skipped where that says nothing about the model."""
    part = Part(attack.name, severity)
    with prepared(learner, request):
        reason = cannot_climb(learner, request, part) if attack.method != SQUARE else _cannot_search(learner, request)
        if reason is not None:
            return AttackResult([], skipped=reason)
        ball = ball_for(attack.norm, request, severity)
        notes: dict[str, Any] = {"norm": ball.norm, "eps": ball.eps, **_budget(attack), **loss_kind(learner)}
        notes |= gate_notes(attack.method, learner, request, (part, ball), attack.options)
        predictions: list[Prediction] = []
        losses, flat = [], 0
        for rows in slices(len(request.samples), request.batch_size):
            victim, clean = victim_of(learner, request, rows), pixels_of(request, rows)
            assert clean is not None
            flat += 0 if attack.method == SQUARE else _flat(victim, clean)
            found = _attacked(attack, victim, clean, ball_on(ball, learner, request, rows), (part, request, rows))
            predictions += victim.predict(found.pixels)
            losses.append((found.before, found.losses))
        if attack.method != SQUARE:
            notes["without_gradient"] = flat
        return AttackResult(predictions, notes | loss_notes(losses))


def cannot_climb(learner: Learner, request: AttackRequest, part: Part) -> str | None:
    """Say why an attack by gradients is out of the question, None where it is not."""
    if learner.vision is None or request.pixels is None:
        return BLIND
    if not request.samples:
        return "there is no sample to attack"
    if not isinstance(learner, HasSampleLosses):
        return f"the model gives no losses to climb by their gradient; {_INSTEAD}"
    rows = slice(0, min(8, len(request.samples)))
    victim, clean = victim_of(learner, request, rows), pixels_of(request, rows)
    assert clean is not None
    near = Ball("linf", 8 / 255).random_extreme(clean, generators(part, request, rows, "gradient"))
    if not any(bool(victim.gradient(pixels)[1].any()) for pixels in (clean, near)):
        return f"the model's losses have no gradient by its pixels; {_INSTEAD}"
    return None


def _flat(victim: Victim, clean: Tensor) -> int:
    """How many clean images have no gradient at all, as where a sure answer has left single precision."""
    return int((~victim.gradient(clean)[1].flatten(1).any(dim=1)).sum())


def _cannot_search(learner: Learner, request: AttackRequest) -> str | None:
    if learner.vision is None or request.pixels is None:
        return BLIND
    return cannot_query(learner, request) if request.samples else "there is no sample to attack"


def ball_for(norm: str, request: AttackRequest, severity: int) -> Ball:
    """The ball of a severity for the request's pixels."""
    assert request.pixels is not None
    return Ball(norm, epsilon(norm, severity, request.pixels.shape[-1]))


def ball_on(ball: Ball, learner: Learner, request: AttackRequest, rows: slice) -> Ball:
    """The ball around some samples: what the tower pads their images with stays as it is."""
    return replace(ball, inside=shown(learner, request, rows))


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

    steps = _budget_of(method, options)
    trial = Trial(victim, clean, ball_on(ball, learner, request, rows), _climb(method), steps, draw)
    if method == SQUARE:
        report = check_gates(trial, (max(1, steps // 4),), None)
    else:
        report = check_gates(trial, options.gate_steps, options.gate_queries)
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
        if method == SQUARE:
            return square(victim.query, clean, ball, rngs, steps)
        return follow(victim.gradient, victim.query, (clean, ball.random_point(clean, rngs)), ball, steps)

    return climb


def _attacked(
    attack: MethodicalAttack, victim: Victim, clean: Tensor, ball: Ball, drawn: tuple[Part, AttackRequest, slice]
) -> Found:
    """Attack one batch, in whole grey levels where that is asked for."""
    found = _climb(attack.method)(victim, clean, ball, generators(*drawn), _budget_of(attack.method, attack.options))
    if attack.options.quantise:
        found.pixels = quantised(found.pixels, clean)
        found.losses = victim.query(found.pixels)
    return found


def _budget(attack: MethodicalAttack) -> dict[str, Any]:
    """What the attack may do, for its notes."""
    unit = "queries" if attack.method == SQUARE else "steps"
    levels = {"pixels": "in whole grey levels"} if attack.options.quantise else {}
    return {unit: _budget_of(attack.method, attack.options), **levels}


def _budget_of(method: str, options: AttackOptions) -> int:
    return {PGD: options.pgd_steps, APGD: options.apgd_steps, SQUARE: options.queries}[method]

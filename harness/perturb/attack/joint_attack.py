"""Attacks what a model sees and what it reads: an edit of the texts, then steps of PGD, in turn."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.condition import Part
from harness.perturb.attack.pgd import pgd
from harness.perturb.attack.pixel_attack import ball_for, ball_on, cannot_climb, gate_notes, loss_notes
from harness.perturb.attack.projection import Ball, quantised
from harness.perturb.attack.request import PGD, AttackRequest, AttackResult, NormedAttack
from harness.perturb.attack.text_attack import TextState, Writer, cannot_edit
from harness.perturb.attack.victim import generators, pixels_of, prepared, slices, victim_of
from harness.protocols import Learner


def attack_jointly(attack: NormedAttack, learner: Learner, request: AttackRequest, severity: int) -> AttackResult:
    """As many rounds as the severity says, which share the steps of PGD; skipped unless both can be attacked."""
    part = Part(attack.name, severity)
    with prepared(learner, request):
        reason = cannot_edit(learner, request) or cannot_climb(learner, request, part)
        if reason is not None:
            return AttackResult([], skipped=reason)
        ball = ball_for(attack.norm, request, severity)
        steps = -(-attack.options.pgd_steps // severity)
        gates = gate_notes(PGD, learner, request, (part, ball), attack.options)
        writer = Writer(learner, request, part, attack.options)
        state = TextState([sample.text for sample in request.samples], request.class_texts)
        before = writer.losses(state, None)
        pixels = _starts(learner, request, part, ball)
        for round_number in range(severity):
            writer.edit(state, pixels, round_number)
            _climb(writer, state, (pixels, ball), steps)
        if attack.options.quantise:
            clean = pixels_of(request, slice(0, len(pixels)))
            assert clean is not None
            pixels = quantised(pixels, clean.cpu())
        after = writer.losses(state, pixels)
        notes = {"norm": ball.norm, "eps": ball.eps, "rounds": severity, "steps": steps * severity, **gates}
        predictions = writer.predict(state, pixels)
        return AttackResult(predictions, {**notes, **writer.notes(state), **loss_notes([(before, after)])})


def _starts(learner: Learner, request: AttackRequest, part: Part, ball: Ball) -> Tensor:
    """A random point of the ball around each image `[N, 3, S, S]`, kept in main memory."""
    parts = []
    for rows in slices(len(request.samples), request.batch_size):
        clean = pixels_of(request, rows)
        assert clean is not None
        around = ball_on(ball, learner, request, rows)
        parts.append(around.random_point(clean, generators(part, request, rows)).cpu())
    return torch.cat(parts)


def _climb(writer: Writer, state: TextState, where: tuple[Tensor, Ball], steps: int) -> None:
    """Go on from the pixels so far, under the texts so far; the pixels are written to."""
    pixels, ball = where
    request = writer.request
    for rows in slices(len(request.samples), request.batch_size):
        victim, clean = victim_of(writer.learner, request, rows, state.texts), pixels_of(request, rows)
        assert clean is not None
        points = clean, pixels[rows].to(clean.device)
        around = ball_on(ball, writer.learner, request, rows)
        pixels[rows] = pgd(victim.gradient, victim.query, points, around, steps).pixels.cpu()

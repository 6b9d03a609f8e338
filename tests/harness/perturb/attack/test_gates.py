"""Gates: an honest network passes them, whatever hides its gradients does not, and each one can fail by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from harness.condition import Part
from harness.perturb.attack.catalog import PixelAttack
from harness.perturb.attack.found import Found
from harness.perturb.attack.projection import Ball
from harness.perturb.attack.request import LOWER_EFFORT, AttackOptions
from harness.perturb.attack.strength_checks import GateReport, Trial, check_gates
from harness.perturb.attack.victim import generators, pixels_of, victim_of

from .learners import SIDE, Label, Linear, Network, Trained, request_for

OPTIONS = AttackOptions(gate_samples=8, pgd_steps=20, apgd_steps=30, queries=300)


def attack(method: str, norm: str) -> PixelAttack:
    return PixelAttack(f"{method}-{norm}", "", method, norm, OPTIONS)


class Saturated(Network):
    """Its logits are so large that single precision knows no gradient of most losses."""

    def logits(self, batch: Any) -> torch.Tensor:
        return super().logits(batch) * 1e4


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("method", ["pgd", "apgd"])
def test_an_honest_network_passes_the_gates_and_one_that_hides_does_not(
    method: str, norm: str, trained: Trained
) -> None:
    request = request_for(trained.pixels[:8], trained.labels[:8], batch_size=8)
    honest = attack(method, norm).predict(trained.learner(), request, 5)
    assert honest.notes["gates"]["passed"], honest.notes["gates"]
    assert "effort" not in honest.notes
    assert honest.notes["gates"]["unbounded"]["numbers"]["accuracy"] == 0.0
    assert honest.notes["gates"]["black_box"]["numbers"].keys() == {
        "loss_square", "accuracy_square", "loss", "accuracy",
    }  # fmt: skip
    masked = attack(method, norm).predict(trained.learner("steps"), request, 5)
    assert not masked.notes["gates"]["passed"]
    assert masked.notes["effort"] == LOWER_EFFORT


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square_has_gates_of_its_own_and_sees_through_a_mask(norm: str, trained: Trained) -> None:
    request = request_for(trained.pixels[:8], trained.labels[:8], batch_size=8)
    for hide in ("", "rounding"):
        notes = attack("square", norm).predict(trained.learner(hide), request, 5).notes
        assert notes["gates"]["passed"], notes["gates"]
        assert notes["gates"]["black_box"] is None
        assert notes["gates"]["more_steps"]["numbers"].keys() >= {"loss_75_steps", "loss_300_steps"}


def test_saturation_is_caught(trained: Trained) -> None:
    """Losses that are 0 in single precision rise nowhere near: no attack by the loss says anything."""
    learner = Saturated()
    learner.load_state_dict(trained.state)
    request = request_for(trained.pixels[:8], trained.labels[:8], batch_size=8)
    result = attack("pgd", "linf").predict(learner.eval(), request, 5)
    assert result.skipped is not None and "no gradient" in result.skipped
    found = attack("square", "linf").predict(learner, request, 5)
    assert found.notes["effort"] == LOWER_EFFORT
    assert not found.notes["gates"]["noise"]["passed"]


def test_images_without_a_gradient_are_counted(trained: Trained) -> None:
    learner = trained.learner()
    own = learner.losses
    learner.losses = lambda batch: own(batch) * torch.tensor([float(i != "s2") for i in batch.sample_ids])  # type: ignore[method-assign]
    request = request_for(trained.pixels[:8], trained.labels[:8], batch_size=3)
    assert attack("pgd", "linf").predict(learner, request, 5).notes["without_gradient"] == 1
    assert attack("apgd", "l2").predict(trained.learner(), request, 5).notes["without_gradient"] == 0
    assert "without_gradient" not in attack("square", "l2").predict(learner, request, 5).notes


def report_of(trained: Trained, climb: Any, learner: Any = None, *, eps: float = 8 / 255, **changes: Any) -> GateReport:
    request = request_for(trained.pixels[:8], trained.labels[:8], batch_size=8, **changes)
    rows = slice(0, 8)
    clean = pixels_of(request, rows)
    assert clean is not None
    return check_gates(
        Trial(
            victim_of(learner or trained.learner(), request, rows), clean, Ball("linf", eps), climb, 10,
            lambda purpose: generators(Part("x", 5), request, rows, purpose),
        ),
        (5, 20), 60,
    )  # fmt: skip


def along_the_gradient(sign: float) -> Any:
    """One step to the edge of the ball, up or down the slope."""

    def climb(victim: Any, clean: torch.Tensor, ball: Ball, rngs: Sequence[np.random.Generator], steps: int) -> Found:
        pixels = ball.project(clean + sign * ball.eps * ball.steepest(victim.gradient(clean)[1]), clean)
        return Found(pixels, victim.query(pixels))

    return climb


def test_an_attack_that_does_nothing_fails_three_gates(trained: Trained) -> None:
    report = report_of(trained, lambda victim, clean, ball, rngs, steps: Found(clean, victim.query(clean)))
    assert report.black_box is not None
    assert not report.unbounded.passed and not report.black_box.passed and not report.noise.passed
    assert report.more_steps.passed and not report.passed


def test_an_attack_that_gets_weaker_with_more_steps_is_caught(trained: Trained) -> None:
    ways = {5: along_the_gradient(1.0), 10: along_the_gradient(1.0), 20: along_the_gradient(-1.0)}
    report = report_of(trained, lambda *given: ways[given[-1]](*given))
    assert not report.more_steps.passed
    assert report.noise.passed and report.black_box is not None and report.black_box.passed


def test_a_higher_mean_loss_does_not_hide_that_square_fools_more(trained: Trained) -> None:
    """All the harm on one sample: the mean loss is enormous, and the other answers stay right."""

    def one_only(
        victim: Any, clean: torch.Tensor, ball: Ball, rngs: Sequence[np.random.Generator], steps: int
    ) -> Found:
        pixels = along_the_gradient(1.0)(victim, clean, Ball("linf", 1.0), rngs, steps).pixels
        pixels[1:] = clean[1:]
        return Found(pixels, victim.query(pixels))

    learner = trained.learner()
    own = learner.losses
    learner.losses = lambda batch: torch.where(  # type: ignore[method-assign]
        torch.tensor([i == "s0" for i in batch.sample_ids]), own(batch) * 100, own(batch)
    )
    report = report_of(trained, one_only, learner, eps=0.3)
    assert report.black_box is not None
    numbers = report.black_box.numbers
    assert numbers["loss_square"] < numbers["loss"]  # type: ignore[operator]
    assert numbers["accuracy_square"] < 0.75 < numbers["accuracy"]  # type: ignore[operator]
    assert not report.black_box.passed


@pytest.mark.parametrize(("left", "passes"), [(0.0, True), (0.05, True), (0.3, False)])
def test_answers_that_are_no_labels_must_become_worthless(left: float, passes: bool, trained: Trained) -> None:
    """A score that is 0.8 on clean images, 0.01 on grey ones, and `left` on all others."""
    clean = trained.pixels[:8].astype(np.float32) / 255
    learner = Linear(torch.ones(3 * SIDE * SIDE))
    sums = clean.reshape(8, -1).sum(axis=1)

    def score(answers: Sequence[float], targets: Sequence[Label]) -> float:
        assert len(answers) == len(targets) == 8
        found = np.array(answers)
        if np.allclose(found, sums, rtol=1e-4):
            return 0.8
        return 0.01 if np.allclose(found, 1.5 * SIDE * SIDE, rtol=1e-4) else left

    gate = report_of(trained, along_the_gradient(1.0), learner, score=score).unbounded
    assert gate.passed is passes
    assert gate.numbers["score_before"] == 0.8 and gate.numbers["score_grey_image"] == 0.01
    assert gate.numbers["score"] == left
    without = report_of(trained, along_the_gradient(1.0), learner).unbounded
    assert without.passed and without.numbers["score"] is None

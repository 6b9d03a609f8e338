"""Four gates that an attack must pass before its score says anything about robustness.

Athalye et al. 2018 (arXiv 1802.00420) and Carlini et al. 2019 (arXiv 1902.06705): a model that hides its gradients
looks robust against an attack that needs them. Without bounds an attack must succeed; more steps must not help the
defender; an attack that sees no gradient must not be stronger; and random noise must be weaker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from harness.attack.attack import LINF
from harness.attack.found import Found
from harness.attack.projection import Ball
from harness.attack.square import square
from harness.attack.victim import Victim

_SLACK = 0.05
"""Two runs of an attack start at other points: a difference of this share of the rise is no difference."""


class Climb(Protocol):
    """An attack that follows gradients."""

    def __call__(
        self, victim: Victim, clean: Tensor, ball: Ball, rngs: Sequence[np.random.Generator], steps: int
    ) -> Found:
        """Take so many steps within the ball around the clean images."""
        ...


@dataclass(frozen=True)
class Trial:
    """An attack to be examined: the samples, the ball of its severity, and how many steps it takes.

    `draw` gives one generator a sample for a purpose.
    """

    victim: Victim
    clean: Tensor
    ball: Ball
    climb: Climb
    steps: int
    draw: Callable[[str], Sequence[np.random.Generator]]


@dataclass(frozen=True)
class Gate:
    """Whether a gate was passed, and the mean losses (and accuracy) by which that was decided."""

    passed: bool
    numbers: Mapping[str, float | None]


@dataclass(frozen=True)
class GateReport:
    """All four gates."""

    unbounded: Gate
    more_steps: Gate
    black_box: Gate
    noise: Gate

    @property
    def passed(self) -> bool:
        """Whether all of them were passed."""
        return all(gate.passed for gate in (self.unbounded, self.more_steps, self.black_box, self.noise))

    def to_json(self) -> dict[str, Any]:
        """Lay out for notes; numbers that are not finite are left out as null."""
        return {"passed": self.passed, **asdict(self)}


def check_gates(trial: Trial, other_steps: Sequence[int], queries: int) -> GateReport:
    """Run the attack without bounds, with other numbers of steps, beside Square and beside random noise."""
    victim, clean = trial.victim, trial.clean
    before = victim.query(clean)
    counted = torch.isfinite(before)
    start = _mean(before, counted)
    by_steps = {
        steps: _mean(victim.query(_climbed(trial, trial.ball, steps).pixels), counted)
        for steps in sorted({*other_steps, trial.steps})
    }
    own = by_steps[trial.steps]
    slack = _SLACK * max(own - start, 0.0)
    blind = square(victim.query, clean, trial.ball, trial.draw("square"), queries)
    black_box = _mean(victim.query(blind.pixels), counted)
    noise = _mean(victim.query(trial.ball.random_extreme(clean, trial.draw("noise"))), counted)
    losses = list(by_steps.values())
    return GateReport(
        unbounded=_unbounded(trial, counted, start),
        more_steps=Gate(
            all(more >= fewer - slack for fewer, more in pairwise(losses)),
            {f"loss_{steps}_steps": _json(loss) for steps, loss in by_steps.items()},
        ),
        black_box=Gate(black_box <= own + slack, {"loss_square": _json(black_box), "loss": _json(own)}),
        noise=Gate(noise < own, {"loss_noise": _json(noise), "loss": _json(own)}),
    )


def _unbounded(trial: Trial, counted: Tensor, start: float) -> Gate:
    """Without bounds any image can be shown: no answer may stay right, and no other image may be worse."""
    victim, clean = trial.victim, trial.clean
    diameter = 1.0 if trial.ball.norm == LINF else math.sqrt(clean[0].numel())
    pixels = _climbed(trial, Ball(trial.ball.norm, diameter), trial.steps).pixels
    reached = _mean(victim.query(pixels), counted)
    grey = _mean(victim.query(torch.full_like(clean, 0.5)), counted)
    other = _mean(victim.query(clean.roll(1, dims=0)), counted)
    accuracy = victim.accuracy(pixels)
    return Gate(
        reached > max(start, grey, other) and not accuracy,
        {
            "loss_before": _json(start), "loss": _json(reached), "loss_grey_image": _json(grey),
            "loss_other_image": _json(other), "accuracy": accuracy,
        },
    )  # fmt: skip


def _climbed(trial: Trial, ball: Ball, steps: int) -> Found:
    return trial.climb(trial.victim, trial.clean, ball, trial.draw(f"{ball.eps} {steps} steps"), steps)


def _mean(losses: Tensor, counted: Tensor) -> float:
    return float(losses[counted].double().mean()) if bool(counted.any()) else math.nan


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None

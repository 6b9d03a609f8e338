"""Four gates that an attack must pass before its score says anything about robustness.

Athalye et al. 2018 (arXiv 1802.00420) and Carlini et al. 2019 (arXiv 1902.06705): a model that hides its gradients
looks robust against an attack that needs them. Without bounds an attack must succeed; more steps must not help the
defender; an attack that sees no gradient must not be stronger; and random noise must be weaker. Square, which is that
other attack, has the other three, with queries for steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from harness.perturb.attack.found import Found
from harness.perturb.attack.projection import Ball
from harness.perturb.attack.request import LINF
from harness.perturb.attack.square import square
from harness.perturb.attack.victim import Victim

_SLACK = 0.05
"""Two runs of an attack start at other points: a difference of this share of the rise is no difference."""
_WORTHLESS = 0.1
"""Share of its clean score by which answers that are no labels count as worthless."""


class Climb(Protocol):
    """An attack with a budget of steps, or of queries."""

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
class StrengthCheck:
    """Whether a gate was passed, and the mean losses and the scores by which that was decided."""

    passed: bool
    numbers: Mapping[str, float | None]


@dataclass(frozen=True)
class GateReport:
    """All gates; an attack without gradients is not compared with itself."""

    unbounded: StrengthCheck
    more_steps: StrengthCheck
    black_box: StrengthCheck | None
    noise: StrengthCheck

    @property
    def passed(self) -> bool:
        """Whether all of them were passed."""
        gates = (self.unbounded, self.more_steps, self.black_box, self.noise)
        return all(gate.passed for gate in gates if gate is not None)

    def to_json(self) -> dict[str, Any]:
        """Lay out for notes; numbers that are not finite are left out as null."""
        return {"passed": self.passed, **asdict(self)}


@dataclass(frozen=True)
class _Harm:
    """Mean loss under attacked pixels, and the accuracy that is left where answers are labels."""

    loss: float
    accuracy: float | None

    def is_less_than(self, other: _Harm, slack: float, samples: int) -> bool:
        """Whether it is clearly less: by more than the slack in loss, or by more than one sample in accuracy."""
        if self.loss < other.loss - slack:
            return True
        if self.accuracy is None or other.accuracy is None:
            return False
        return round((self.accuracy - other.accuracy) * samples) > 1

    def to_json(self, name: str) -> dict[str, float | None]:
        found = {f"loss{name}": _json(self.loss)}
        return found if self.accuracy is None else {**found, f"accuracy{name}": self.accuracy}


@dataclass(frozen=True)
class _Judge:
    """Measures what attacked pixels do; `counted` are the samples whose clean loss is finite."""

    trial: Trial
    counted: Tensor

    def loss(self, pixels: Tensor) -> float:
        """Mean over the counted samples."""
        losses = self.trial.victim.query(pixels)[self.counted].double()
        return float(losses.mean()) if len(losses) else math.nan

    def harm(self, pixels: Tensor) -> _Harm:
        """Loss and accuracy."""
        return _Harm(self.loss(pixels), self.trial.victim.accuracy(pixels))

    def climbed(self, ball: Ball, steps: int) -> Tensor:
        """Pixels that the attack finds."""
        trial = self.trial
        return trial.climb(trial.victim, trial.clean, ball, trial.draw(f"{ball.eps} {steps} steps"), steps).pixels


def check_gates(trial: Trial, other_steps: Sequence[int], queries: int | None) -> GateReport:
    """Run the attack without bounds, with other numbers of steps, beside Square and beside random noise.

    `queries` are what Square may ask; None for Square itself.
    """
    victim, clean, ball = trial.victim, trial.clean, trial.ball
    judge = _Judge(trial, torch.isfinite(victim.query(clean)))
    start = judge.loss(clean)
    by_steps = {n: judge.harm(judge.climbed(ball, n)) for n in sorted({*other_steps, trial.steps})}
    own = by_steps[trial.steps]
    noise = judge.loss(ball.random_extreme(clean, trial.draw("noise")))
    slack = _SLACK * max(own.loss - start, 0.0)
    return GateReport(
        unbounded=_unbounded(judge, start),
        more_steps=_more_steps(by_steps, slack, len(clean)),
        black_box=None if queries is None else _black_box(judge, own, slack, queries),
        noise=StrengthCheck(noise < own.loss, {"loss_noise": _json(noise), "loss": _json(own.loss)}),
    )


def _more_steps(by_steps: Mapping[int, _Harm], slack: float, samples: int) -> StrengthCheck:
    """More steps must not do less harm."""
    weaker = any(more.is_less_than(fewer, slack, samples) for fewer, more in pairwise(by_steps.values()))
    numbers = {name: v for n, harm in by_steps.items() for name, v in harm.to_json(f"_{n}_steps").items()}
    return StrengthCheck(not weaker and all(math.isfinite(harm.loss) for harm in by_steps.values()), numbers)


def _black_box(judge: _Judge, own: _Harm, slack: float, queries: int) -> StrengthCheck:
    """Square must not do more harm."""
    trial = judge.trial
    found = square(trial.victim.query, trial.clean, trial.ball, trial.draw("square"), queries)
    blind = judge.harm(found.pixels)
    weaker = own.is_less_than(blind, slack, len(trial.clean)) or not math.isfinite(blind.loss)
    return StrengthCheck(not weaker, {**blind.to_json("_square"), **own.to_json("")})


def _unbounded(judge: _Judge, start: float) -> StrengthCheck:
    """Without bounds any image can be shown: no answer may stay right, and no other image may be worse.

    Answers that are labels must all be wrong. Other ones must be worthless by the task's quick score, where that is
    known: a tenth of the clean score, or no more than a grey image brings.
    """
    trial, clean = judge.trial, judge.trial.clean
    diameter = 1.0 if trial.ball.norm == LINF else math.sqrt(clean[0].numel())
    pixels = judge.climbed(replace(trial.ball, eps=diameter), trial.steps)
    grey, reached = torch.full_like(clean, 0.5), judge.harm(pixels)
    losses = {
        "loss_before": start,
        "loss_grey_image": judge.loss(grey),
        "loss_other_image": judge.loss(clean.roll(1, 0)),
    }
    scores: dict[str, float | None] = {}
    worthless = reached.accuracy == 0.0
    if reached.accuracy is None:
        victim = trial.victim
        scores = {
            "score_before": victim.score(clean),
            "score_grey_image": victim.score(grey),
            "score": victim.score(pixels),
        }
        worthless = _is_worthless(*scores.values())
    passed = worthless and reached.loss > max(losses.values())
    return StrengthCheck(passed, {**{name: _json(v) for name, v in losses.items()}, **reached.to_json(""), **scores})


def _is_worthless(before: float | None, grey: float | None, after: float | None) -> bool:
    if before is None or grey is None or after is None:
        return True  # the task's score is not known: losses decide alone
    return after <= max(_WORTHLESS * before, grey)


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None

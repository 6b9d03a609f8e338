"""How often verdicts on claim fusion-gain are wrong, in simulated studies of which the truth is known.

    uv run python -m tests.benchmarks.bench_verdicts [--studies 500]

A study is a fused model and its controls C0 to C4, five seeds each, on the same 1,000 samples with right and wrong
answers: samples differ in how hard they are, seeds in how good they turn out, and all models share both in part. Its
records are made up and judged by the code of `bench verdict`. Worlds are planted: no gain at all; a gain over all
controls but one (of capacity where it is C1, of pretraining where C2, …); a gain over all of half, once and twice the
difference that such a study finds in 4 of 5 cases; a loss. Printed are shares of verdicts with 95 % intervals (Wilson).
Exits with 1 where a claim without truth is supported, or a gain denied, in more than 5 % of the studies beyond chance.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.judge.verdict.accuracy import judge
from harness.judge.verdict.verdict import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict
from harness.stats.intervals import wilson
from tests.benchmarks.simulated_populations import logistic
from tests.harness.judge.verdict.made_up_records import LADDER, MODALITY, World

SEEDS, SAMPLES, MARGIN = 5, 1000, 0.01
EASE_SD, SEED_SD, QUALITY = 1.5, 0.1, 1.0
"""Of log odds: how much samples differ in difficulty, and seeds of one model in quality; the fused model's mean."""
MOST_WRONG = 0.05


@dataclass(frozen=True)
class Planted:
    """A world: by how much the fused model is truly better than each control, in top-1."""

    name: str
    gain: float
    less: Mapping[str, float] = field(default_factory=dict)
    wrong: str | None = None
    """The verdict that would be false."""

    def of(self, control: str) -> float:
        """The true gain over a control."""
        return self.less.get(control, self.gain)


def quality_for(gain: float) -> float:
    """The log odds at which a model's true top-1 is lower by `gain` than the fused model's, by bisection."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)

    def truth(quality: float) -> float:
        spread = np.hypot(EASE_SD, SEED_SD)
        return float((weights * logistic(quality + spread * nodes)).sum() / weights.sum())

    wanted, low, high = truth(QUALITY) - gain, -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if truth(middle) < wanted else (low, middle)
    return (low + high) / 2


def study(planted: Planted, source: np.random.Generator) -> Verdict:
    """Make up one study of a world and judge it."""
    ease = EASE_SD * source.standard_normal((1, SAMPLES))
    luck = source.random((SEEDS, SAMPLES))

    def answers(quality: float) -> np.ndarray:
        chance = logistic(quality + ease + SEED_SD * source.standard_normal((SEEDS, 1)))
        own = source.random((SEEDS, SAMPLES))
        shared = source.random((SEEDS, SAMPLES)) < 0.5  # half of what is left to luck is the same for all models
        right: np.ndarray = (np.where(shared, luck, own) < chance).astype(float)
        return right

    world = World()
    world.sweep(world.add("fused", None, answers(quality_for(0.0))), MODALITY)
    for control in LADDER:
        world.add("fused", control, answers(quality_for(planted.of(control))))
    evidence = world.evidence(margin=MARGIN)
    return judge(evidence, evidence.heads()[0])


def worlds(detectable: float) -> list[Planted]:
    """Planted worlds; `detectable` is the difference that one comparison of such a study finds in 4 of 5 cases."""
    alike = [Planted(f"{c} is as good as the model", 2 * detectable, {c: 0.0}, SUPPORTED) for c in LADDER]
    return [
        Planted("no gain over any control", 0.0, wrong=SUPPORTED),
        *alike,
        Planted("a loss of the detectable difference", -detectable, wrong=SUPPORTED),
        Planted("a gain of the margin", MARGIN, wrong=NOT_SUPPORTED),
        Planted("a gain of half the detectable difference", detectable / 2, wrong=NOT_SUPPORTED),
        Planted("a gain of the detectable difference", detectable, wrong=NOT_SUPPORTED),
        Planted("a gain of twice the detectable difference", 2 * detectable, wrong=NOT_SUPPORTED),
    ]


def detectable_difference(source: np.random.Generator) -> float:
    """Ask 20 studies what one comparison would find in 4 of 5 cases; their mean."""
    found = []
    for _ in range(20):
        verdict = study(Planted("", 0.0), source)
        widths = [n.high - n.low for n in verdict.numbers if n.high is not None and n.low is not None]
        found.append(float(np.mean(widths)) / 2 * (1 + 0.84 / 1.96))
    return float(np.mean(found))


def main() -> int:
    """Print a row a world; returns 1 where false verdicts are too many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=500)
    studies = parser.parse_args().studies
    source = np.random.default_rng(0)
    detectable = detectable_difference(source)
    print(f"{studies} studies a world, {SEEDS} seeds, {SAMPLES} samples; detectable difference {detectable:.3f}\n")
    print(
        "| planted world | supported | not supported | inconclusive | false, 95 % interval |\n|---|---:|---:|---:|---:|"
    )
    failed = False
    for planted in worlds(detectable):
        counts = Counter(study(planted, source).outcome for _ in range(studies))
        shares = " | ".join(f"{counts[o] / studies:.3f}" for o in (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE))
        low, high = wilson(counts[planted.wrong or ""], studies)
        failed |= low > MOST_WRONG
        print(f"| {planted.name} | {shares} | {low:.3f} to {high:.3f} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

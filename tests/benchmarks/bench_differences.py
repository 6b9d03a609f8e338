"""How often the interval of a difference holds the truth, and how rare small p are where there is no difference.

    uv run python -m tests.benchmarks.bench_differences [--experiments 2000]

Two models alike answer the same samples with the same seeds. Scores are normal with effects of seeds, of samples and of
both together; or right and wrong answers, of samples of one image with what these share; or metrics that are no means.
Printed: how often the 95 % interval holds 0, how often p is at most .01 and .001, and half the interval's width. Exits
with 1 where an interval holds the truth in less than 93 % or p is small more than twice as often as it says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.stats.contributions import contributions
from harness.stats.difference import Difference, paired_difference, weighted_difference
from tests.benchmarks import simulated_populations as simulated

POOL = 20_000
LEAST_HELD, MOST_SMALL = 0.93, 2.0
Draw = Callable[[np.random.Generator], tuple[Difference, float]]
"""One experiment: what was found, and the truth."""


@dataclass(frozen=True)
class Case:
    """A kind of experiment, and by how much fewer of them are made."""

    name: str
    draw: Draw
    fewer: int = 1


def normal(seed_sd: float, sample_sd: float, rest_sd: float, seeds: int, samples: int) -> Draw:
    """Differences with crossed effects, around no difference."""

    def draw(source: np.random.Generator) -> tuple[Difference, float]:
        values = seed_sd * source.standard_normal((seeds, 1)) + sample_sd * source.standard_normal((1, samples))
        values = values + rest_sd * source.standard_normal((seeds, samples))
        return weighted_difference((1.0,), (values,), range(samples)), 0.0

    return draw


def answers(quality: float, ease_sd: float, seed_sd: float, seeds: int, samples: int, share: int = 1) -> Draw:
    """Right and wrong answers of two models alike; `share` samples of one image are as hard as each other."""

    def draw(source: np.random.Generator) -> tuple[Difference, float]:
        ease = np.repeat(ease_sd * source.standard_normal((1, samples // share)), share, axis=1)
        chance = simulated.logistic(quality + ease + seed_sd * source.standard_normal((2, seeds, 1)))
        right = (source.random((2, seeds, samples)) < chance).astype(float)
        return paired_difference(right[0], right[1], [n // share for n in range(samples)]), 0.0

    return draw


def metric(name: str, one: simulated.Score, other: simulated.Score, pool: int, samples: int) -> Draw:
    """A metric of two models on images drawn from a pool; the truth is the mean difference of such draws."""
    source = np.random.default_rng(0)
    known = [_scores(name, (one, other), source.integers(0, pool, samples)) for _ in range(300)]
    truth = float(np.mean([a.value - b.value for a, b in known]))

    def draw(source: np.random.Generator) -> tuple[Difference, float]:
        a, b = (contributions(s) for s in _scores(name, (one, other), source.integers(0, pool, samples)))
        return paired_difference(a[None], b[None], range(samples)), truth

    return draw


def _scores(name: str, models: tuple[simulated.Score, simulated.Score], places: simulated.Draw) -> list:
    return [found for model in models if (found := model(places)[name]) is not None]


def cases() -> list[Case]:
    """All kinds of experiments."""
    found = [
        Case(f"normal, {s} seeds of sd {sd}, {n} samples", normal(sd, 0.3, 0.5, s, n))
        for s, n in ((1, 48), (1, 500), (2, 200), (3, 200), (5, 200), (5, 48), (10, 200))
        for sd in ((0.0,) if s == 1 else (0.0, 0.02, 0.2))
    ]
    found.append(Case("normal, 5 seeds, no effect but both together", normal(0.0, 0.0, 0.5, 5, 200)))
    for accuracy, quality in ((50, 0.0), (85, 2.0), (97, 4.0)):
        for seeds, sd, n in ((1, 0.0, 48), (1, 0.0, 500), (5, 0.0, 200), (5, 0.3, 200)):
            found.append(Case(f"top-1 near {accuracy} %, {seeds} seeds, {n}", answers(quality, 1.0, sd, seeds, n)))
    found.append(Case("top-1, 4 questions an image, 5 seeds", answers(1.0, 2.0, 0.2, 5, 400, 4)))
    label = [simulated.labels(POOL, 2.2, seed) for seed in (0, 1)]
    unseen = [simulated.labels(POOL, 2.2, seed, unseen=4) for seed in (0, 1)]
    found += [
        Case("macro-F1 of 200", metric("macro-F1", label[0], label[1], POOL, 200), 10),
        Case("ECE of 200", metric("ECE", label[0], label[1], POOL, 200), 10),
        Case("ECE of 1000", metric("ECE", label[0], label[1], POOL, 1000), 10),
        Case("H of 200", metric("H", unseen[0], unseen[1], POOL, 200), 10),
        Case("mIoU of 200", metric("mIoU", simulated.label_maps(3000), simulated.label_maps(3000, 1), 3000, 200), 10),
        Case("AP of 100", metric("AP", simulated.boxes(3000), simulated.boxes(3000, 1), 3000, 100), 20),
        Case("CIDEr of 200", metric("CIDEr", simulated.captions(5000), simulated.captions(5000, 1), 5000, 200), 10),
    ]
    return found


def main() -> None:
    """Print the figures of all cases; exit with 1 where a limit is broken."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--experiments", type=int, default=2000)
    experiments, broken = options.parse_args().experiments, []
    print(f"{'':48}{'held':>7}{'p<=.01':>9}{'p<=.001':>9}{'half':>9}{'of':>7}")
    for case in cases():
        source, count = np.random.default_rng(1), max(1, experiments // case.fewer)
        found = [case.draw(source) for _ in range(count)]
        held = float(np.mean([d.low <= truth <= d.high for d, truth in found]))
        p = np.array([2 * min(d.p_at_least(truth), 1 - d.p_at_least(truth)) for d, truth in found])
        small = [float((p <= alpha).mean()) for alpha in (0.01, 0.001)]
        half = float(np.mean([d.reach for d, _ in found]))
        print(f"{case.name:48}{held:7.3f}{small[0]:9.4f}{small[1]:9.4f}{half:9.4f}{count:7}", flush=True)
        noise = 3 * np.sqrt(0.01 / count)
        if held < LEAST_HELD - 2 * np.sqrt(0.05 / count) or small[0] > MOST_SMALL * 0.01 + noise:
            broken.append(case.name)
    for name in broken:
        print(f"BROKEN: {name}")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()

"""How often intervals hold the truth, how often tables rank falsely, and what 10,000 resamples cost.

    uv run python -m tests.benchmarks.bench_intervals [--experiments 1000] [--only coverage,errors,seeds,ranks,speed]

An experiment draws a test set of 200 images and goes through what the runner goes through: statistics of a metric, then
`harness.stats.estimates.estimate` with 1,000 resamples. *Held* is how often its interval holds the expected score of
such a
test set, averaged over as many other sets: mIoU, AP and macro-F1 of few images are not those of many, and an interval
can only speak of the first. *Population* is how often it holds the score of the whole population. Limits: 93-97 % held;
standard errors from samples' contributions 0.9 to 1.15 of the true ones;
not more than 5 % of tables with any false rank, and what 1,000 tables can miss that by; 20 s for 10,000 resamples.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np

from harness.stats.contributions import contributions
from harness.stats.estimates import estimate
from harness.stats.proportions import proportion
from harness.stats.rank_intervals import Contender, rank_intervals
from harness.stats.sample_scores import SampleScores
from harness.stats.seed_variance import combine_seeds, shared_sampling
from tests.benchmarks import simulated_populations as simulated
from tests.harness.stats.single_metrics import bootstrap

POOL, IMAGES, RESAMPLES = 20_000, 200, 1000
LOW, HIGH, LEAST_FALSE = 0.93, 0.97, 0.05
CLAIMED = (0.9, 1.15)
LONGEST_SECONDS = 20.0


@dataclass(frozen=True)
class Case:
    """A metric in a population; `limits` are those of coverage, None where it is shown for comparison only."""

    name: str
    population: Callable[[], simulated.Score]
    metric: str
    limits: tuple[float, float] | None = (LOW, HIGH)
    images: int = IMAGES


CASES = (
    Case("accuracy near 2 %", lambda: simulated.labels(POOL, -2.7), "top-1"),
    Case("accuracy", lambda: simulated.labels(POOL, 2.2), "top-1"),
    Case("accuracy near 98 %", lambda: simulated.labels(POOL, 7.4), "top-1"),
    Case("macro-F1, 10 classes", lambda: simulated.labels(POOL, 2.2), "macro-F1"),
    Case("top-1 of unseen classes", lambda: simulated.labels(POOL, 2.2, unseen=4), "unseen-top-1"),
    Case("H of seen and unseen", lambda: simulated.labels(POOL, 2.2, unseen=4), "H"),
    Case("mIoU, 12 classes", lambda: simulated.label_maps(POOL), "mIoU"),
    Case("AP, 20 categories", lambda: simulated.boxes(POOL // 4), "AP"),
    Case("CIDEr", lambda: simulated.captions(POOL), "CIDEr"),
    Case("questions, by image", lambda: simulated.grouped(POOL, 0.8), "top-1"),
    Case("questions near 98 %, by image", lambda: simulated.grouped(POOL, 5.2), "top-1"),
    Case("questions, wrongly by item", lambda: simulated.grouped(POOL, 0.8, by_image=False), "top-1", None),
    *(
        Case(f"{name} of {images} images", population, metric, None, images)
        for images in (5, 10, 30)
        for name, population, metric in (
            ("accuracy", lambda: simulated.labels(POOL, 2.2), "top-1"),
            ("balanced-accuracy", lambda: simulated.labels(POOL, 2.2), "balanced-accuracy"),
            ("macro-F1", lambda: simulated.labels(POOL, 2.2), "macro-F1"),
            ("ECE", lambda: simulated.labels(POOL, 2.2), "ECE"),
            ("mIoU", lambda: simulated.label_maps(POOL), "mIoU"),
            ("CIDEr", lambda: simulated.captions(POOL), "CIDEr"),
            ("AP", lambda: simulated.boxes(POOL // 4), "AP"),
        )
    ),
    Case("CIDEr of 20 images", lambda: simulated.captions(POOL), "CIDEr", None, 20),
    Case("mIoU of 40 images", lambda: simulated.label_maps(POOL), "mIoU", None, 40),
)


def main() -> None:
    """Run what is asked for, print the figures, and fail when a limit is broken."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--experiments", type=int, default=1000)
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--only", default="coverage,errors,seeds,ranks,speed")
    asked = options.parse_args()
    print(f"python -m tests.benchmarks.bench_intervals {' '.join(sys.argv[1:])}")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    parts = {"coverage": coverage, "errors": errors, "seeds": seeds, "ranks": ranks, "speed": speed}
    broken = []
    with ProcessPoolExecutor(asked.processes) as pool:
        for name in asked.only.split(","):
            broken += parts[name](pool, asked.experiments)
    for line in broken:
        print(f"BROKEN: {line}")
    sys.exit(bool(broken))


def coverage(pool: ProcessPoolExecutor, experiments: int) -> list[str]:
    """How often intervals of single runs hold the truth."""
    print(f"{experiments} experiments, {IMAGES} images, {RESAMPLES} resamples")
    print(f"{'':32}{'held':>7}{'low':>7}{'high':>7}  population   score  error  width/2/1.96    s")
    broken = []
    for number, case in enumerate(CASES):
        start = time.perf_counter()
        jobs = [(number, 1_000 * part + side, experiments // 10) for part in range(10) for side in (0, 1)]
        done = list(pool.map(_experiments, *zip(*jobs, strict=True)))
        truth = np.concatenate([values for values, _, _ in done[::2]]).mean()
        values, low, high = (np.concatenate(parts) for parts in zip(*done[1::2], strict=True))
        whole = pool.submit(_population_value, number).result()
        held, below, above = _held(low, high, float(truth))
        print(
            f"{case.name:32}{held:7.3f}{below:7.3f}{above:7.3f}{_held(low, high, whole)[0]:12.3f}{truth:8.3f}"
            f"{values.std():7.4f}{(high - low).mean() / 3.92:14.4f}{time.perf_counter() - start:5.0f}",
            flush=True,
        )
        broken += _judge(case.name, held, case.limits)
    return broken


def errors(pool: ProcessPoolExecutor, experiments: int) -> list[str]:
    """Standard errors that contributions of samples claim, over how far scores of test sets are apart."""
    print(f"\n{experiments} experiments, {IMAGES} images: claimed standard error over the true one")
    broken = []
    for number in (n for n, case in enumerate(CASES) if case.limits and case.name.count("questions") == 0):
        done = [*pool.map(_claimed_errors, [number] * 10, range(10), [experiments // 10] * 10)]
        values, claimed = (np.concatenate(parts) for parts in zip(*done, strict=True))
        ratio = float(np.sqrt(np.mean(claimed**2)) / values.std(ddof=1))
        print(f"{CASES[number].name:32}{ratio:7.3f}", flush=True)
        if not CLAIMED[0] <= ratio <= CLAIMED[1]:
            broken.append(f"{CASES[number].name}: {ratio:.3f} of the true error, wanted {CLAIMED[0]} to {CLAIMED[1]}")
    return broken


def _claimed_errors(number: int, part: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of `count` test sets, and the standard errors that contributions claim for one in five of them."""
    case, source = CASES[number], np.random.default_rng([number, 2, part])
    drawn = [_score(number)(source.integers(0, _size(case), case.images))[case.metric] for _ in range(count)]
    statistics = [one for one in drawn if one is not None]
    claimed = [contributions(one).std(ddof=1) / case.images**0.5 for one in statistics[:: min(5, len(statistics))]]
    return np.array([one.value for one in statistics]), np.array(claimed)


@cache
def _score(number: int) -> simulated.Score:
    return CASES[number].population()


def _experiments(number: int, seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores and intervals of test sets; scores alone where the seed is even, for the truth."""
    case, source = CASES[number], np.random.default_rng([number, seed])
    found: list[tuple[float, float, float]] = []
    for _ in range(count):
        statistics = _score(number)(source.integers(0, _size(case), case.images))[case.metric]
        assert statistics is not None
        if seed % 2 == 0:
            found.append((statistics.value, 0.0, 0.0))
        elif (e := estimate(statistics, RESAMPLES)) is not None and e.interval is not None:
            found.append((e.value, *e.interval))
    values, low, high = np.array(found).T
    return values, low, high


def _population_value(number: int) -> float:
    statistics = _score(number)(np.arange(_size(CASES[number])))[CASES[number].metric]
    assert statistics is not None
    return float(statistics.value)


def _size(case: Case) -> int:
    return POOL // 4 if case.metric == "AP" else POOL


def seeds(pool: ProcessPoolExecutor, experiments: int) -> list[str]:
    """How often intervals over seeds hold the expected score of a new seed on new images."""
    print(f"\n{experiments} experiments of several seeds on one test set of {IMAGES}; by the sd of seeds' log odds")
    print(f"{'':32}{'held':>7}{'low':>7}{'high':>7}   width   held without stored scores, width")
    broken = []
    for count, seed_sd, limits in ((5, 0.0, (LOW, 1.0)), (5, 0.3, (LOW, HIGH)), (5, 1.0, (LOW, HIGH)), (3, 0.3, None)):
        jobs = [(part, experiments // 10, count, seed_sd) for part in range(10)]
        both = np.concatenate(list(pool.map(_seed_experiments, *zip(*jobs, strict=True))))
        truth = simulated.expected_share(0.3, seed_sd)
        (held, *tails), (plain, *_) = (_held(both[:, s, 0], both[:, s, 1], truth) for s in (0, 1))
        widths = (both[:, :, 1] - both[:, :, 0]).mean(axis=0)
        name = f"top-1 of {count} seeds, sd {seed_sd}"
        print(f"{name:32}{held:7.3f}{tails[0]:7.3f}{tails[1]:7.3f}{widths[0]:8.3f}{plain:9.3f}{widths[1]:8.3f}")
        broken += _judge(name, held, limits) + _judge(f"{name}, no scores", plain, (LOW, 1.0) if limits else None)
    return broken


def _seed_experiments(part: int, count: int, seeds: int, seed_sd: float) -> np.ndarray:
    """[count, 2, 2] low and high, with stored scores of samples and without."""
    source, found = np.random.default_rng([1, part, int(10 * seed_sd), seeds]), []
    for _ in range(count):
        right, _ = simulated.seeded_answers(source, np.array([0.3]), IMAGES, seeds, seed_sd)
        contender = _contender(right[0])
        with_scores = combine_seeds(contender.seeds, shared_sampling(contender.scores, "top-1"))
        found.append([(e.low, e.high) for e in (with_scores, combine_seeds(contender.seeds))])
    return np.array(found)


@dataclass(frozen=True)
class Tables:
    """Tables of 12 models: how they are scored, over how many seeds, and how far those are apart."""

    name: str
    metric: str = "top-1"
    seeds: int = 1
    seed_sd: float = 0.0
    levels: tuple[float, ...] = (0.0,)  # of quality; as many models of each
    keep: bool = True  # the scores of samples
    images: int = 500


LEVELS = (0.0, 0.2, 0.5, 1.5)
TABLES = (
    Tables("alike, top-1, 1 seed"),
    Tables("alike, top-1, 1 seed, 30 images", images=30),
    Tables("alike, macro-F1, 1 seed", "macro-F1"),
    Tables("alike, 5 seeds", seeds=5),
    Tables("alike, 5 seeds that differ", seeds=5, seed_sd=0.5),
    Tables("alike, 3 seeds that differ", seeds=3, seed_sd=0.5),
    Tables("alike, 5 seeds, scores lost", seeds=5, seed_sd=0.5, keep=False),
    Tables("4 levels, 1 seed", levels=LEVELS),
    Tables("4 levels, 5 seeds", seeds=5, levels=LEVELS),
    Tables("4 levels, 5 seeds that differ", seeds=5, seed_sd=0.3, levels=LEVELS),
    Tables("4 levels, 5 seeds, scores lost", seeds=5, seed_sd=0.3, levels=LEVELS, keep=False),
)


def ranks(pool: ProcessPoolExecutor, experiments: int) -> list[str]:
    """How many tables rank any two models falsely, and how many of those that differ are told apart."""
    print(f"\n{experiments} tables of 12 models, alike or of the levels {LEVELS} (log odds), 500 images")
    print(f"{'':34}{'tables with a false rank':>26}{'ranks that a model may have, of 12':>36}")
    broken = []
    for number, table in enumerate(TABLES):
        count = experiments // (50 if table.metric != "top-1" else 10)
        done = np.concatenate(list(pool.map(_tables, [number] * 10, range(10), [count] * 10)))
        wrong, wide = done.mean(axis=0)
        print(f"{table.name:34}{wrong:26.3f}{wide:36.1f}", flush=True)
        most = LEAST_FALSE + 1.645 * np.sqrt(LEAST_FALSE * (1 - LEAST_FALSE) / len(done))
        broken += [f"{table.name}: {wrong:.3f} of tables have a false rank, more than {most:.3f}"] * bool(wrong > most)
    return broken


def _tables(number: int, part: int, count: int) -> np.ndarray:
    """[count, 2] whether any rank is false, a model having all ranks of its level; how many ranks a model may have."""
    table, source = TABLES[number], np.random.default_rng([2, number, part])
    quality = np.repeat(table.levels, 12 // len(table.levels))
    true = np.stack([1 + (quality[:, None] < quality).sum(axis=1), (quality[:, None] <= quality).sum(axis=1)], axis=1)
    found = []
    for _ in range(count):
        right, _ = simulated.seeded_answers(source, quality, table.images, table.seeds, table.seed_sd)
        labels = source.choice(10, table.images, p=simulated.zipf(10))
        models = [
            _contender(own, table.keep) if table.metric == "top-1" else _of_f1(own[0], labels, source) for own in right
        ]
        found_ranks = np.array([(rank.best, rank.worst) for rank in rank_intervals(models, table.metric)])
        false = (found_ranks[:, 0] > true[:, 0]) | (found_ranks[:, 1] < true[:, 1])
        found.append((false.any(), (found_ranks[:, 1] - found_ranks[:, 0] + 1).mean()))
    return np.array(found, dtype=np.float64)


def _contender(right: np.ndarray, keep: bool = True) -> Contender:
    """A model whose seeds [S, N] are right or wrong."""
    estimates = [e for own in right if (e := estimate(proportion(own), RESAMPLES)) is not None]
    ids = tuple(map(str, range(right.shape[1])))
    scores = [SampleScores(ids, ids, {"top-1": own.astype(np.float64)}) if keep else None for own in right]
    return Contender(tuple(estimates), tuple(scores), tuple(range(len(right))))


def _of_f1(right: np.ndarray, labels: np.ndarray, source: np.random.Generator) -> Contender:
    """One seed that is right or wrong [N], and where it is wrong says any other class."""
    from harness.metrics.labels.classification import classification_statistics

    said = np.where(right, labels, (labels + source.integers(1, 10, len(labels))) % 10)
    statistics = classification_statistics(np.eye(10)[said], labels, [str(n) for n in range(10)])["macro-F1"]
    found = estimate(statistics, RESAMPLES // 5)
    assert found is not None
    ids = tuple(map(str, range(len(labels))))
    return Contender((found,), (SampleScores(ids, ids, {"macro-F1": contributions(statistics)}),), (0,))


def speed(pool: ProcessPoolExecutor, experiments: int) -> list[str]:
    """What 10,000 resamples of 1,000 images cost."""
    from harness.metrics.boxes.detection import DetectionTruth, evaluate_detections
    from tests.benchmarks.bench_detection_metrics import make_input

    print("\n10,000 resamples of 1,000 images, in one thread")
    broken = []

    def timed(name: str, statistics: simulated.Statistics | None) -> Iterator[str]:
        assert statistics is not None
        wall, used = time.perf_counter(), time.process_time()
        low, high = bootstrap(statistics, 10_000)[:2]
        wall, used = time.perf_counter() - wall, time.process_time() - used
        print(f"{name:48}{wall:7.2f} s wall{used:7.2f} s processor   {statistics.value:.4f} [{low:.4f}, {high:.4f}]")
        if wall > LONGEST_SECONDS:
            yield f"{name}: {wall:.1f} s, more than {LONGEST_SECONDS:.0f}"

    for detections in (20_000, 100_000):
        instances, found = make_input(1000, 80, 7200, detections)
        scores = evaluate_detections(DetectionTruth.whole(instances), found)
        scores.matched.rankings("all")
        broken += timed(f"AP, 80 categories, {detections} detections", scores.statistics()["AP"])
    broken += timed("CIDEr, 5 references", simulated.captions(1000)(np.arange(1000))["CIDEr"])
    broken += timed("mIoU, 12 classes", simulated.label_maps(1000)(np.arange(1000))["mIoU"])
    return broken


def _held(low: np.ndarray, high: np.ndarray, truth: float) -> tuple[float, float, float]:
    """How often intervals hold the truth, and how often they lie below and above it."""
    return float(((low <= truth) & (truth <= high)).mean()), float((high < truth).mean()), float((low > truth).mean())


def _judge(name: str, held: float, limits: tuple[float, float] | None) -> Sequence[str]:
    if limits is None or limits[0] <= held <= limits[1]:
        return ()
    return (f"{name}: the intervals hold {held:.3f}, wanted {limits[0]} to {limits[1]}",)


if __name__ == "__main__":
    main()

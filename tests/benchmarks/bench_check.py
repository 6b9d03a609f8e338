"""False alarms, power and speed of `bench check` on simulated runs.

    uv run --no-sync python tests/benchmarks/bench_check.py [--pairs 500] [--plantings 100]

Wanted: with nothing changed at most 1 % of whole runs regressed; a 5-point drop, a 30 % slow-down and a 20 % growth of
memory found in at least 95 % of plantings; 200 rows compared within 5 s, reading included. Exits with 1 otherwise.

What is made up: each process's noise of latency is normal with a standard deviation of its own, so that over processes
it has Student's tails with 5 degrees of freedom, and blocks spread as much as the process strays (seen on two loaded
cores: three times as much). `hidden` has the same tails and blocks that show nothing of them; it has no limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.judge.check.baseline import read_baseline, write_baseline
from harness.judge.check.change import ACCURACY, IMPROVED, LATENCY, MEMORY, REGRESSED, Limits
from harness.judge.check.gate import Gate, run_gate
from harness.judge.check.measured import Latency, Measured, MeasuredSubject, read_measured
from harness.record import Efficiency, Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.records.store import Store
from harness.records.table_names import scores_name
from harness.stats.sample_scores import SampleScores

METRIC, MACHINE, TASK = "top-1", "a machine", "image-classification"
MOST_ALARMS, LEAST_FOUND, MOST_SECONDS = 0.01, 0.95, 5.0
CONDITIONS, PERTURBED, SAMPLES = 12, 100, 1000
Generator = np.random.Generator
Scores = dict[str, np.ndarray]


@dataclass(frozen=True)
class Noise:
    """Standard deviations of logarithms over processes; `hidden`: blocks do not tell how far a process strays."""

    latency: float
    memory: float = 0.01
    tails: float | None = 5.0
    hidden: bool = False


def main() -> None:
    """Print all figures; exit with 1 where a limit is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--plantings", type=int, default=100)
    wish = parser.parse_args()
    broken = []
    for name, pairs in (("visible", wish.pairs), ("hidden", max(1, wish.pairs // 5))):
        alarms, changed = false_alarms(pairs, name == "hidden")
        print(f"nothing changed, tails {name}: {alarms} of {pairs} runs regressed, {changed} had any row changed")
        broken += [name] * (name == "visible" and alarms > MOST_ALARMS * pairs)
    for kind in (ACCURACY, LATENCY, MEMORY):
        found = power(kind, wish.plantings)
        print(f"planted in {kind}: found in {found} of {wish.plantings}")
        broken += [kind] * (found < LEAST_FOUND * wish.plantings)
    for subjects, most in ((50, MOST_SECONDS), (200, None)):
        seconds, own, rows = gate_seconds(subjects)
        what = f"{subjects} models, {rows} rows of the gate, {CONDITIONS} conditions each"
        print(f"{what}: {seconds:.2f} s, of them {own:.2f} s on a core")
        broken += ["speed"] * (most is not None and seconds > most)
    print(f"broken: {', '.join(broken)}" if broken else "all within their limits")
    sys.exit(bool(broken))


def false_alarms(pairs: int, hidden: bool = False, seed: int = 0) -> tuple[int, int]:
    """Count runs of 60 to 200 rows with nothing changed that regressed, and those with any row called changed."""
    generator = np.random.default_rng([seed, hidden])
    alarms = changed = 0
    for _ in range(pairs):
        gate = run_gate(*unchanged_runs(int(generator.integers(15, 51)), generator, hidden), Limits())
        alarms += gate.exit_code == 1
        changed += gate.count(REGRESSED) + gate.count(IMPROVED) > 0
    return alarms, changed


def unchanged_runs(subjects: int, generator: Generator, hidden: bool = False) -> tuple[list[Measured], list[Measured]]:
    """Make two runs of four rows a model: every machine is quiet or busy, every model noisier or less so."""
    noises = [Noise(float(np.exp(generator.uniform(*np.log((0.015, 0.06))))), hidden=hidden) for _ in range(2)]
    runs: tuple[list[Measured], list[Measured]] = ([], [])
    for place in range(subjects):
        factor = float(np.exp(generator.uniform(*np.log((0.5, 2.0)))))
        scores = unchanged_scores(generator)
        for run, noise, own in zip(runs, noises, scores, strict=True):
            run.append(measured(place, own, replace(noise, latency=noise.latency * factor), generator))
    return runs


def unchanged_scores(generator: Generator) -> tuple[Scores, Scores]:
    """Make a model's answers twice: identical, or each sample right with a probability of its own both times."""
    n = int(generator.choice([48, 200, SAMPLES]))
    sizes = {"": n, **{f"fog-{severity}": PERTURBED for severity in range(1, CONDITIONS + 1)}}
    sure = float(generator.choice([0.02, 0.1, 0.5]))  # the smaller, the fewer answers differ
    chances = {label: generator.beta(sure, 0.7 * sure, size) for label, size in sizes.items()}
    before = {label: (generator.random(len(p)) < p).astype(float) for label, p in chances.items()}
    if generator.random() < 0.3:
        return before, before
    return before, {label: (generator.random(len(p)) < p).astype(float) for label, p in chances.items()}


def power(kind: str, plantings: int, seed: int = 0) -> int:
    """Count the plantings, one among 60 rows that did not change, that are called regressed."""
    generator = np.random.default_rng([seed, len(kind)])
    return sum(_found(kind, generator) for _ in range(plantings))


def _found(kind: str, generator: Generator) -> bool:
    noise, planted = Noise(0.02, tails=None), 7
    before, now = [], []
    for place in range(61):
        old, new = churned(generator, drop=0.05 if kind == ACCURACY and place == planted else 0.0)
        before.append(measured(place, old, noise, generator))
        now.append(measured(place, new, noise, generator))
    if kind == LATENCY:
        now[planted] = slower(now[planted], 1.30)
    if kind == MEMORY:
        now[planted] = replace(now[planted], memory_bytes=int((now[planted].memory_bytes or 0) * 1.20))
    label = now[planted].subject.label
    gate = run_gate(before, now, Limits())
    return any(row.outcome == REGRESSED and row.change.kind == kind and row.change.label == label for row in gate.rows)


def churned(generator: Generator, drop: float) -> tuple[Scores, Scores]:
    """Make answers before and now: 1 to 2 % of samples change in either direction, then `drop` become wrong."""
    before = (generator.random(SAMPLES) < 0.7).astype(float)
    now = before.copy()
    count = int(SAMPLES * generator.uniform(0.01, 0.02))
    for value in (0.0, 1.0):
        now[generator.choice(np.flatnonzero(before != value), count, replace=False)] = value
    now[generator.choice(np.flatnonzero(now == 1.0), int(SAMPLES * drop), replace=False)] = 0.0
    return {"": before}, {"": now}


def slower(row: Measured, factor: float) -> Measured:
    """Take longer for each call."""
    assert row.latency is not None
    blocks = tuple(block * factor for block in row.latency.blocks)
    return replace(row, latency=replace(row.latency, ratio=row.latency.ratio * factor, blocks=blocks))


def measured(place: int, scores: Scores, noise: Noise, generator: Generator) -> Measured:
    """Make what is known of one model."""
    tables = {label: table(values) for label, values in scores.items()}
    memory = _stray(noise.memory, noise.tails, generator)
    return Measured(
        subject=MeasuredSubject(TASK, "scenes", "test", f"model-{place}", ""),
        seed=0,
        fingerprint=f"{place:016x}",
        status="ok",
        data_digest="d1",
        signature="top-1:1",
        machine=MACHINE,
        metric=METRIC,
        score=Estimate(float(scores[""].mean()), 0.0, 1.0, len(scores[""])),
        latency=latency(2.0 + place, noise, generator),
        memory_bytes=int(6e8 * np.exp(memory[0])),
        conditions={label: "ok" for label in scores if label},
        scores=tables,
    )


def table(values: np.ndarray) -> SampleScores:
    """Name the samples."""
    ids = tuple(f"{n:06}" for n in range(len(values)))
    return SampleScores(ids, ids, {METRIC: values})


def latency(ratio: float, noise: Noise, generator: Generator) -> Latency:
    """Time one process: its own stray, and ten blocks around it."""
    stray, deviation = _stray(noise.latency, noise.tails, generator)
    blocks = stray + generator.normal(0, 0.01 if noise.hidden else deviation, 10)
    return Latency(float(ratio * np.exp(np.median(blocks))), tuple(ratio * np.exp(blocks)), 1)


def _stray(deviation: float, tails: float | None, generator: Generator) -> tuple[float, float]:
    """Draw by how much a process strays, and the deviation that it was drawn with."""
    own = deviation if tails is None else deviation * np.sqrt((tails - 2) / generator.chisquare(tails))
    return float(generator.normal(0, own)), float(own)


def gate_seconds(subjects: int) -> tuple[float, float, int]:
    """Time a gate from a baseline and a results folder on disk: wall seconds, CPU seconds, and its number of rows."""
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        baseline, results = Path(folder) / "baseline", Path(folder) / "results"
        runs = [[], []]  # type: list[list[Measured]]
        for place in range(subjects):
            for run, own in zip(runs, large_scores(generator), strict=True):
                run.append(measured(place, own, Noise(0.02), generator))
        write_baseline(baseline, runs[0], {})
        store_run(Store(str(results)), runs[1])
        started, own = time.perf_counter(), time.process_time()
        gate = compare(baseline, results)
        return time.perf_counter() - started, time.process_time() - own, len(gate.rows)


def compare(baseline: Path, results: Path) -> Gate:
    """Read both sides and compare, as the command does."""
    current = read_measured(Store(str(results)), {TASK: (METRIC,)})
    return run_gate(read_baseline(baseline), current, Limits())


def large_scores(generator: Generator) -> tuple[Scores, Scores]:
    """Make a model's answers twice, a tenth of them anew."""
    sizes = {"": SAMPLES, **{f"fog-{severity}": PERTURBED for severity in range(1, CONDITIONS + 1)}}
    before = {label: generator.integers(0, 2, size).astype(float) for label, size in sizes.items()}
    renew: Callable[[np.ndarray], np.ndarray] = lambda v: np.where(  # noqa: E731
        generator.random(len(v)) < 0.1, generator.integers(0, 2, len(v)), v
    )
    return before, {label: renew(values) for label, values in before.items()}


def store_run(store: Store, rows: list[Measured]) -> None:
    """Write records, robustness records and sample scores as a run leaves them."""
    for row in rows:
        store.write_record(record(row))
        store.write_sample_scores(scores_name(TASK, row.fingerprint), row.scores[""])
        if row.conditions:
            store.write_robustness(robustness(row))
            for label in row.conditions:
                store.write_sample_scores(scores_name(TASK, row.fingerprint, label), row.scores[label])


def record(row: Measured) -> RunRecord:
    """Make the record that `row` is read from."""
    assert row.latency is not None
    calibrated = {"version": 1, "ratio": row.latency.ratio, "blocks": list(row.latency.blocks)}
    return RunRecord(
        fingerprint=row.fingerprint, task=row.subject.task, data=row.subject.data, data_digest=row.data_digest,
        split=row.subject.split, model=row.subject.model, control=None, seed=row.seed, status=row.status, error=None,
        metrics={METRIC: row.score}, signature=row.signature, device=row.machine, provenance={}, cell={},
        efficiency=Efficiency(peak_memory_bytes=row.memory_bytes, notes={"calibrated_latency": calibrated}),
        created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def robustness(row: Measured) -> RobustnessRecord:
    """Make its robustness record."""
    scores = tuple(
        PerturbedScore("f", *label.rsplit("-", 1)[:1], int(label.rsplit("-", 1)[1]), "weather", "image", status)
        for label, status in row.conditions.items()
    )
    return RobustnessRecord(
        fingerprint=row.fingerprint, task=row.subject.task, data=row.subject.data, data_digest=row.data_digest,
        split=row.subject.split, model=row.subject.model, control=None, seed=row.seed, metric=METRIC, signature="s",
        chance=0.0, limit=None, shortest_px=224, device=row.machine, scores=scores, provenance={}, created="",
    )  # fmt: skip


if __name__ == "__main__":
    main()

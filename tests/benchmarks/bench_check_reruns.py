"""False alarms of `bench check` over real re-runs of the smoke configuration.

    uv run --no-sync python tests/benchmarks/bench_check_reruns.py [--runs 10] [--task image-classification]

Runs the same configuration once for the baseline and N times more, each into a folder of its own; beside every second
re-run a process keeps each core busy. Prints the outcomes of each re-run and how far latency and memory stray where
nothing changed. Wanted: no regressed row; exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.judge.check.change import LATENCY, MEMORY, REGRESSED, JudgedChange, Limits
from harness.judge.check.gate import Gate
from harness.judge.check.run_gate import check_results, update_baseline
from harness.report.gate_tables import headline

_OUTCOMES = ("regressed", "missing", "improved", "inconclusive", "unchanged")


def main() -> None:
    """Run, check and print; exit with 1 where a row regressed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--task", default="image-classification")
    parser.add_argument("--model", default="all")
    parser.add_argument("--perturb", default=None, help="A grid such as smoke. [default: clean only]")
    wish = parser.parse_args()
    options = ["--task", wish.task, "--model", wish.model]
    options += ["--perturb", wish.perturb] if wish.perturb else []
    alarms = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        run(options, root / "first")
        print(update_baseline(root / "baseline", str(root / "first"), None), flush=True)
        for number in range(1, wish.runs + 1):
            loaded = number % 2 == 0
            started = time.perf_counter()
            with busy_cores(os.cpu_count() or 1 if loaded else 0):
                run(options, root / f"run-{number}")
            gate = check_results(root / "baseline", str(root / f"run-{number}"), None, Limits())
            alarms += gate.count(REGRESSED)
            where = "loaded" if loaded else "as it is"
            print(f"\nre-run {number}, machine {where}, {time.perf_counter() - started:.0f} s: {headline(gate)}")
            report(gate)
    print(f"\n{alarms} regressed rows in {wish.runs} re-runs where nothing changed, wanted 0")
    sys.exit(alarms > 0)


def run(options: Sequence[str], results: Path) -> None:
    """Run the smoke profile into a fresh folder; raises CalledProcessError with what it said."""
    command = [str(Path(sys.executable).with_name("bench")), "run", *options, "--profile", "smoke"]
    done = subprocess.run([*command, "--results", str(results)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:], sep="\n", file=sys.stderr)
        done.check_returncode()


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Keep `count` cores busy by processes that do nothing else."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def report(gate: Gate) -> None:
    """Print outcomes by kind, how ratios of costs stray, and every row that is called changed."""
    kinds = list(dict.fromkeys(row.change.kind for row in gate.rows))
    for kind in kinds:
        rows = [row for row in gate.rows if row.change.kind == kind]
        counts = {outcome: sum(row.outcome == outcome for row in rows) for outcome in _OUTCOMES}
        shown = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        print(f"  {kind:<10} {shown}{spread(rows) if kind in (LATENCY, MEMORY) else ''}")
        for note, count in noted(rows).items():
            print(f"             {count} x {note}")
    for row in gate.rows:
        if row.outcome in ("regressed", "improved", "missing"):
            change = row.change
            loss = "" if change.loss is None else f"{change.loss:+.3f}"
            print(f"  {row.outcome}: {change.label} {change.kind} {loss} p adjusted {row.adjusted_p} {change.note}")
    sys.stdout.flush()


def noted(rows: Sequence[JudgedChange]) -> dict[str, int]:
    """Count the notes."""
    notes = [row.change.note for row in rows if row.change.note]
    return {note: notes.count(note) for note in dict.fromkeys(notes)}


def spread(rows: Sequence[JudgedChange]) -> str:
    """Say how the logarithms of now / before stray."""
    logs = [math.log1p(row.change.loss) for row in rows if row.change.loss is not None]
    if len(logs) < 2:
        return ""
    far = max(logs, key=abs)
    return f"; log ratios: median {statistics.median(logs):+.3f}, sd {statistics.stdev(logs):.3f}, furthest {far:+.3f}"


if __name__ == "__main__":
    main()

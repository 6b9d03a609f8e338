"""Whole commands against plain scripts that read the same files: seconds, of all processors too, and peak memory.

    uv run python -m tests.benchmarks.bench_whole_commands [--only detection,captions,maps,labels] [--size N]
        [--repeats 3] [--alone]

Each is a process of its own, from its start to its end, with the programs that it starts; they run in turn, and the
table has medians. Seconds on the clock, and what share of the script's they are, say something on a quiet machine
alone; CPU seconds on a busy one. Ours makes its intervals too, which the scripts have none of. Sizes are those of
COCO's val2017 (5,000 images), ADE20K's (2,000 maps) and ImageNet's (50,000 images). `--alone` leaves the scripts out,
for larger sizes. Wanted of the seconds on the clock, on two processors: detection at most 1/6 of the script's, and
600 MB; captions 1/4, and 1/2 with an empty cache; maps and probabilities 1/2.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.metrics.captions.java import find_java
from tests.benchmarks.whole_commands import WHOLE_COMMANDS, WholeCommand

SIZES = {"detection": 5000, "captions": 5000, "maps": 2000, "labels": 50_000}
_BENCH = "from harness.cli.main import main; main()"
_SCRIPT, _EMPTY = "script", "bench score, empty cache"


class Cost(NamedTuple):
    """What a process took, and what it said."""

    seconds: float  # of all processors, user and system
    wall: float  # seconds on the clock
    megabytes: float  # at most, resident, of the largest process
    said: str


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(SIZES))
    parser.add_argument("--size", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", action="store_true")
    wanted = parser.parse_args()
    print("| what | samples | command | s | share | CPU s | share | peak MB |\n|---|---|---|---|---|---|---|---|")
    for name in wanted.only.split(","):
        size = wanted.size or SIZES[name]
        with tempfile.TemporaryDirectory() as folder:
            case = WHOLE_COMMANDS[name](Path(folder), size)
            costs = measure(case, Path(folder) / "cache", wanted.repeats, alone=wanted.alone)
        for command, cost in costs.items():
            shown = " | ".join(_shown(cost[of], costs.get(_SCRIPT, {}).get(of)) for of in ("wall", "seconds"))
            print(f"| {name} | {size:,} | {command} | {shown} | {cost['megabytes']:.0f} |", flush=True)


def _shown(seconds: float, of_script: float | None) -> str:
    return f"{seconds:.1f} | {'–' if of_script is None else f'{seconds / of_script:.3f}'}"


def measure(case: WholeCommand, cache: Path, repeats: int, *, alone: bool) -> dict[str, dict[str, float]]:
    """Medians of what is measured, by its name in `Cost`, of each command; they run in turn."""
    every = commands(case)
    if alone:
        del every[_SCRIPT]
    if case.cached:
        run(every["bench score"], cache)
    costs: dict[str, list[Cost]] = {name: [] for name in every}
    for _ in range(repeats):
        for name, command in every.items():
            if name == _EMPTY:
                shutil.rmtree(cache, ignore_errors=True)
            costs[name].append(run(command, cache))
    return {
        name: {of: statistics.median(getattr(cost, of) for cost in own) for of in ("wall", "seconds", "megabytes")}
        for name, own in costs.items()
    }


def commands(case: WholeCommand) -> dict[str, list[str]]:
    """The script and our command, as it is used and without intervals; with a cache also where that is empty."""
    score = [sys.executable, "-c", _BENCH, "score", *case.score, "--format", "json"]
    found = {_SCRIPT: [sys.executable, "-c", case.script, *case.arguments]}
    if case.cached:
        found[_EMPTY] = score
    return {**found, "bench score": score, "bench score --resamples 0": [*score, "--resamples", "0"]}


def run(command: Sequence[str], cache: Path, environment: Mapping[str, str] = os.environ) -> Cost:
    """Run a process to its end; raises CalledProcessError where it fails."""
    paths = f"{find_java().parent}:{environment['PATH']}"  # for the Java of pycocoevalcap
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, stdout=told, env={**environment, "BENCH_CACHE": str(cache), "PATH": paths})
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        said = told.read().decode()
    if process.returncode or not said:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024, said)


if __name__ == "__main__":
    main()

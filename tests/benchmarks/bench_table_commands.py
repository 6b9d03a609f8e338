"""Seconds of the commands that read stored records, on folders of 1,000 and 5,000 records, and of the command line.

    uv run --no-sync python tests/benchmarks/bench_table_commands.py [--runs 5] [--only leaderboard] [--keep FOLDER]

The records are those of results/seeds (a fused model and seven controls, five seeds each, with what 978 samples score
and two robustness records of five) under other settings: 1,000 are 25 settings, 200 rows of one table; 5,000 are such
1,000 on five data sets. Wanted of whole commands, median of the runs: `bench leaderboard` <= 3 s on 1,000 and <= 10 s
on 5,000 records; `bench list models` and `bench --help` <= .4 s above a Python that does nothing, which runs between
them. Exits with 1 where a limit is broken; the other commands have none.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.records.folder import Folder
from harness.records.packed import PackedFolder
from harness.storage.digest import with_digest, without_digest

SOURCE = Path(__file__).parents[2] / "results" / "seeds"
TASK = "image-classification"
IN_A_TABLE = 1000
BENCH = str(Path(sys.executable).parent / "bench")
LIMITS = {"leaderboard 1000": 3.0, "leaderboard 5000": 10.0, "list models": 0.4, "--help": 0.4}


def main() -> None:
    """Print all figures; exit with 1 where a limit is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", type=Path)
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-tables-") as temporary:
        root = wish.keep or Path(temporary)
        commands = {name: command for name, command in _commands(root).items() if wish.only in name}
        for size in (1000, 5000):
            if any(name.endswith(f" {size}") for name in commands) and not (root / str(size)).is_dir():
                synthetic_results(root / str(size), size)
        broken = [name for name, command in commands.items() if not _timed(name, command, wish.runs)]
    print(f"broken: {', '.join(broken)}" if broken else "all within their limits")
    sys.exit(bool(broken))


def synthetic_results(root: Path, count: int) -> None:
    """Write a results folder of `count` records with their tables of sample scores and robustness records."""
    folder = PackedFolder(Folder(str(SOURCE)))
    names = folder.names(f"{TASK}/records/*.json")
    records = [without_digest(json.loads(folder.read_bytes(name))) for name in names]
    for number in range(count):
        turn, source = divmod(number, len(records))
        record = records[source]
        copy = other_settings(record, turn, number // IN_A_TABLE)
        write(root, f"records/{copy['fingerprint']}.json", with_digest(copy))
        scores = folder.read_bytes(f"{TASK}/scores/{record['fingerprint']}.parquet")
        write(root, f"scores/{copy['fingerprint']}.parquet", scores)
        sweep = f"{TASK}/robustness/{record['fingerprint']}.json"
        if folder.exists(sweep):
            perturbed = without_digest(json.loads(folder.read_bytes(sweep)))
            same = {key: copy[key] for key in ("fingerprint", "data", "data_digest")}
            write(root, f"robustness/{copy['fingerprint']}.json", with_digest({**perturbed, **same}))


def other_settings(record: dict[str, Any], turn: int, table: int) -> dict[str, Any]:
    """A record as if it were trained for `turn` steps more, on the data set `table`, by the code of the others."""
    copy = json.loads(json.dumps(record))
    copy["fingerprint"] = hashlib.sha256(f"{record['fingerprint']} {turn}".encode()).hexdigest()[:16]
    copy["data_digest"] = hashlib.sha256(f"{record['data_digest']} {table}".encode()).hexdigest()
    copy["cell"]["training"]["data"]["digest"] = copy["data_digest"]
    copy["cell"]["training"]["train"]["steps"] += turn
    return dict(copy)


def write(root: Path, name: str, content: bytes) -> None:
    """Write a file of the task."""
    path = root / TASK / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _commands(root: Path) -> dict[str, list[str]]:
    results = {f"{size}": ["--results", str(root / str(size))] for size in (1000, 5000)}
    found = {f"leaderboard {size}": [BENCH, "leaderboard", *given] for size, given in results.items()}
    given = results["1000"]
    return {
        "list models": [BENCH, "list", "models"],
        "--help": [BENCH, "--help"],
        **found,
        "verdict 1000": [BENCH, "verdict", *given],
        "compare 1000": [BENCH, "compare", "class-embedding", "class-embedding[C2]", *given],
        "report 1000": [BENCH, "report", *given, "--out", str(root / "report.html")],
        "check --update 1000": [BENCH, "check", str(root / "baseline"), *given, "--update"],
        "check 1000": [BENCH, "check", str(root / "baseline"), *given],
    }


def _timed(name: str, command: Sequence[str], runs: int) -> bool:
    """Print the median of some runs, beside and above an empty Python's; whether it keeps to its limit."""
    seconds, empty = [], []
    for _ in range(runs):
        empty.append(_seconds([sys.executable, "-c", "pass"]))
        seconds.append(_seconds(command))
    own, plain, most = statistics.median(seconds), statistics.median(empty), LIMITS.get(name)
    above = own - (plain if name in ("list models", "--help") else 0.0)
    limit = "" if most is None else f", limit {most:g} s"
    print(f"{name}: {own:.2f} s, an empty Python {plain:.2f} s, {own - plain:.2f} s above it{limit}", flush=True)
    return most is None or above <= most


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1, 3):  # 1, 3: what was judged is not fine
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

"""Mutates the inputs of every reader and the files of every store, seeded: the right value or a BenchError, no more.

By hand: `python -m tests.fuzz.test_fuzz --inputs 10000 --seed 1` prints the figures of docs/fuzzing.md. A finding is
repeated by its line: `--only TARGET --number N --seed S`.
"""

from __future__ import annotations

import argparse
import atexit
import copy
import json
import random
import shutil
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BenchError
from harness.storage.digest import with_digest, without_digest

from .targets import TARGETS, Target

pytestmark = pytest.mark.slow


ODD: tuple[Any, ...] = (
    None, True, "", "x", "0", -1, 0, 1, 0.5, 1e308, -1e-300, float("nan"), float("inf"), 2**63, 2**70, [], {}, [[]],
    [None], {"a": 1}, "\ud800", "é\u0301", "\x00", "../../x", "/etc/hostname", "a" * 5000, [1] * 50, "=1+1", "\x1b[2J",
)  # fmt: skip


BYTES = (b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b",", b"{", b"[" * 3000, b"9" * 5000, b"-", b"nan")


@dataclass
class Figures:
    """What came of a number of inputs."""

    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def add(self, target: str, number: int, outcome: str, told: str = "") -> None:
        self.outcomes[outcome] += 1
        if outcome in ("traceback", "silent change"):
            self.findings.append(f"--only {target} --number {number} --seed {self.seed}: {outcome}: {told}")


def mutated_json(draw: random.Random, content: Any) -> Any:
    """Change one to three places: another value, a key gone, an element twice."""
    content = copy.deepcopy(content)
    for _ in range(draw.randint(1, 3)):
        node, place = content, None
        while isinstance(node, dict | list) and node and (place is None or draw.random() < 0.8):
            parent, place = node, draw.choice(list(node) if isinstance(node, dict) else range(len(node)))
            node = node[place]
        if place is None:
            return draw.choice(ODD)
        action = draw.random()
        if action < 0.2:
            del parent[place]
        elif action < 0.3 and isinstance(parent, list):
            parent.append(copy.deepcopy(node))
        else:
            parent[place] = copy.deepcopy(draw.choice(ODD))
    return content


def mutated_bytes(draw: random.Random, content: bytes) -> bytes:
    """Flip bits, cut, repeat, or put odd bytes in, at one to four places."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data) + 1)
        action = draw.random()
        if action < 0.4 and at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        elif action < 0.55:
            del data[at:]
        elif action < 0.7:
            del data[at : at + draw.randint(1, 20)]
        elif action < 0.85:
            data[at:at] = draw.choice(BYTES)
        else:
            data[at:at] = data[at : at + draw.randint(1, 40)]
    return bytes(data)


def mutate(target: Target, draw: random.Random, folder: Path) -> None:
    path = draw.choice(sorted(p for p in folder.glob(target.mutated) if p.is_file()))
    content = path.read_bytes()
    if target.reseal:
        inner = mutated_json(draw, without_digest(json.loads(content)))
        if isinstance(inner, dict):
            try:
                path.write_bytes(with_digest(inner))
                return
            except ValueError:  # NaN has no JSON, so nobody seals it
                pass
    if path.suffix == ".json" and draw.random() < 0.7:
        path.write_text(json.dumps(mutated_json(draw, json.loads(content))), encoding="utf-8")
        return
    path.write_bytes(mutated_bytes(draw, content))


def try_one(target: Target, number: int, figures: Figures) -> None:
    draw = random.Random(f"{figures.seed} {target.name} {number}")
    with tempfile.TemporaryDirectory(prefix="bench-fuzz-") as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name, "f")
        shutil.copytree(template(target), folder)
        before = target.read(folder) if target.unchanged else None
        mutate(target, draw, folder)
        try:
            after = target.read(folder)
        except BenchError as error:
            figures.add(target.name, number, "refused" if str(error).strip() else "traceback", "an empty message")
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            figures.add(target.name, number, "traceback", f"{type(error).__name__} in {place.filename}:{place.lineno}")
        else:
            silent = target.unchanged and repr(after) != repr(before)
            figures.add(target.name, number, "silent change" if silent else "read", repr(after)[:200])


TEMPLATES: dict[str, Path] = {}
"""Folders made once in a process, by target."""


def template(target: Target) -> Path:
    if target.name not in TEMPLATES:
        folder = Path(tempfile.mkdtemp(prefix="bench-fuzz-template-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        target.make(folder)
        target.read(folder)
        TEMPLATES[target.name] = folder
    return TEMPLATES[target.name]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_mutated_inputs_are_read_or_refused(target: Target) -> None:
    """A hundred inputs of each, or six seconds: two minutes in all."""
    figures = Figures(seed=0)
    for number in range(100):
        try_one(target, number, figures)
        if time.monotonic() - figures.started > 6:
            break
    assert figures.findings == []


def main() -> None:
    """Try many inputs and print the figures as a table of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=None)
    parser.add_argument("--number", type=int, default=None)
    asked = parser.parse_args()
    targets = [target for target in TARGETS if asked.only in (None, target.name)]
    each = -(-asked.inputs // len(targets))
    print("| target | inputs | read | refused | tracebacks | silent changes | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    total, findings, started = Counter[str](), [], time.monotonic()
    for target in targets:
        figures = Figures(asked.seed)
        for number in range(each) if asked.number is None else [asked.number]:
            try_one(target, number, figures)
        total += figures.outcomes
        findings += figures.findings
        print(row(target.name, figures.outcomes, time.monotonic() - figures.started), flush=True)
    print(row("all", total, time.monotonic() - started))
    print("\n".join(["", *findings]))


def row(name: str, found: Counter[str], seconds: float) -> str:
    counts = [found[kind] for kind in ("read", "refused", "traceback", "silent change")]
    return f"| {name} | {sum(counts):,} | {' | '.join(f'{n:,}' for n in counts)} | {seconds:.0f} |"


if __name__ == "__main__":
    main()

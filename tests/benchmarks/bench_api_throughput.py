"""How many samples a second an api model answers, against what the server can do for a bare client; and memory.

    uv run python tests/benchmarks/bench_api_throughput.py [SAMPLES] [CONCURRENCY] [SECONDS A REQUEST]

The loopback server runs in a process of its own and takes so many seconds for each request, as a model does. The bare
client sends bodies that are ready, by as many threads, and reads the replies. Both are asked in turn, with fresh
caches. Wanted: at least 0.9 of the bare client's rate with 5,000 samples at 32 at once, and memory that does not grow.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

from baselines.api.image_bytes import png_bytes
from baselines.api.model import parse_api_name
from baselines.prompts.prompt import RenderedPrompt
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.predict import answer_split
from harness.measure.machine import describe_machine
from harness.protocols import BuildContext
from harness.sample import Sample, TaskSpec

_SERVER = """
import sys, time
sys.path.insert(0, {root!r})
from tests.chat_server import ChatServer
server = ChatServer(seconds={seconds})
server.keeps = False
print(server.name, flush=True)
time.sleep(36000)
"""
ROOT = Path(__file__).parents[2]
IMAGES, SIDE_PX, PAIRS = 64, 96, 3


def main() -> None:
    """Time both clients and print the ratio."""
    given = [*sys.argv[1:], *("5000", "32", "0.2")[len(sys.argv) - 1 :]]
    samples, concurrency, seconds = int(given[0]), int(given[1]), float(given[2])
    json.dump(measure(samples, concurrency, seconds), sys.stdout, indent=1)
    print()


def measure(samples: int, concurrency: int, seconds: float, pairs: int = PAIRS) -> dict[str, Any]:
    """Ask a server about so many samples by both clients; rates are samples a second."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-c", _SERVER.format(root=str(ROOT), seconds=seconds)], stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        try:
            assert server.stdout is not None
            name = server.stdout.readline().strip()
            images = _images(Path(folder))
            found = [_pair(name, images, samples, concurrency, Path(folder) / f"{pair}") for pair in range(pairs)]
        finally:
            server.kill()
    ratios = sorted(ours / bare for ours, bare, _ in found)
    return {
        "samples": samples,
        "concurrency": concurrency,
        "seconds_a_request": seconds,
        "samples_per_second": statistics.median(ours for ours, _, _ in found),
        "bare_per_second": statistics.median(bare for _, bare, _ in found),
        "ratio_median": statistics.median(ratios),
        "ratio_range": [ratios[0], ratios[-1]],
        "memory_mib_in_quarters": found[-1][2],
        "machine": describe_machine("cpu").label,
    }


def _pair(
    name: str, images: list[Path], samples: int, concurrency: int, cache: Path
) -> tuple[float, float, list[float]]:
    bare = _bare(name, images, samples, concurrency)
    ours, memory = _ours(name, images, samples, concurrency, cache)
    return ours, bare, memory


def _images(folder: Path) -> list[Path]:
    """Write images that differ, as PNG."""
    paths = []
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
        paths.append(folder / f"{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def _ours(name: str, images: list[Path], samples: int, concurrency: int, cache: Path) -> tuple[float, list[float]]:
    """Answer a split as a run does; also the memory at the end of each quarter of it, MiB."""
    model = parse_api_name(name)
    options = ModelOptions(settings={"concurrency": concurrency}, answers="answers")
    context = BuildContext(options, TrainOptions(), DecodeOptions(), 0, cache)
    learner: Any = model.build(TaskSpec("task", (), "answers"), context)
    split = tuple(Sample(str(n), images[n % IMAGES], None, text=f"Question {n}?") for n in range(samples))
    process, memory = psutil.Process(), list[float]()

    def progress(what: str, done: int, total: int) -> None:
        while len(memory) < 4 and total > 0 and done >= (len(memory) + 1) * total // 4:
            memory.append(round(process.memory_info().rss / 2**20, 1))

    learner.service_report()  # the probe is no part of it
    started = time.perf_counter()
    answers = answer_split(learner, VisualTokens(learner, None, split, None, "cpu"), 64, progress)
    spent = time.perf_counter() - started
    assert len(answers.outcomes) == samples, answers.failed
    return samples / spent, memory


def _bare(name: str, images: list[Path], samples: int, concurrency: int) -> float:
    """Ask the same, with bodies of the same size, as fast as the server answers."""
    from baselines.api.request_body import RequestBodies
    from baselines.api.settings import ApiSettings

    endpoint = parse_api_name(name).endpoint
    bodies = RequestBodies(endpoint, ApiSettings(), 30, 0)
    ready = [bodies.ask(RenderedPrompt("", "Question 1234?"), png_bytes(image)) for image in images]
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    with httpx.Client(limits=limits, timeout=60) as client, ThreadPoolExecutor(concurrency) as pool:

        def ask(number: int) -> int:
            reply = client.post(f"{endpoint.url}/chat/completions", content=ready[number % IMAGES])
            return len(reply.json()["choices"])

        started = time.perf_counter()
        assert sum(pool.map(ask, range(samples))) == samples
        return samples / (time.perf_counter() - started)


if __name__ == "__main__":
    main()

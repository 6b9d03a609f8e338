"""`bench load`: MLPerf's scenarios on a server or an exported model, and the knee over several rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UsageError
from harness.measure.open_loop import Ask, Sent, closed_loop, one_after_another, open_loop, poisson_times
from harness.serve.batching import BatchLimits
from harness.serve.load_targets import HttpTarget, bare_call, in_process, load_inputs
from harness.serve.served_model import load_served
from harness.stats.load_summary import LoadLimits, LoadReport, LoadRun, knee_of, summarize_load

SCENARIOS = SINGLE, OFFLINE, SERVER = "single", "offline", "server"
"""One query at a time; as many at once as are asked for; queries that arrive by chance at a rate."""


@dataclass(frozen=True)
class LoadRequest:
    """What is loaded how. `url` or `model` is given; `inputs` is an export or a folder of images.

    `at_once` queries are on their way in the offline scenario, in batches of as many for a model in this process.
    """

    scenario: str
    url: str | None = None
    model: Path | None = None
    inputs: Path | None = None
    rates: tuple[float, ...] = ()
    seconds: float = 10.0
    queries: int = 0
    at_once: int = 8
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    timeout_s: float = 30.0
    limits: LoadLimits = field(default_factory=LoadLimits)


def run_load(request: LoadRequest, cache: Path, say: Callable[[str], None]) -> LoadReport:
    """Load a target; raises UsageError for a request that makes no sense, CheckpointError for a refused export."""
    _check(request)
    if request.url is not None:
        assert request.inputs is not None
        target = HttpTarget.of(request.url, load_inputs(request.inputs), request.timeout_s)
        target.require_answer()
        return _report(request, request.url, target.ask, say)
    assert request.model is not None
    served = load_served(request.model, cache, request.device, threads=request.threads)
    questions = load_inputs(request.inputs or request.model)
    name = f"{served.bundle.name} in this process"
    if request.scenario == SERVER:
        with in_process(served, questions, BatchLimits(request.at_once)) as ask:
            ask(0)
            return _report(request, name, ask, say)
    batch = request.at_once if request.scenario == OFFLINE else 1
    bare = bare_call(served, questions, batch)
    bare(0)
    return _report(request, name, bare, say, batch)


def _check(request: LoadRequest) -> None:
    if (request.url is None) == (request.model is None):
        raise UsageError("Give one of --url (a server) and --model (a folder of `bench export`).")
    if request.url is not None and request.inputs is None:
        raise UsageError("--url wants --inputs: an export, whose golden inputs are asked, or a folder of images.")
    if (request.scenario == SERVER) != bool(request.rates):
        raise UsageError("--scenario server wants --rate, queries a second (10 or 10,20,40); the others take none.")


def _report(request: LoadRequest, name: str, ask: Ask, say: Callable[[str], None], batch: int = 1) -> LoadReport:
    runs: list[LoadRun] = []
    for rate in request.rates or (None,):
        if rate is not None:
            seconds = max(request.seconds, request.queries / rate)
            say(f"{rate:g} queries a second for {seconds:.0f} s")
            sent: Sequence[Sent] = open_loop(ask, poisson_times(rate, seconds, request.seed))
        elif request.scenario == SINGLE or request.url is None:
            say(f"one call after another for {request.seconds:.0f} s")
            sent = one_after_another(ask, request.seconds, request.queries)
        else:
            say(f"{request.at_once} queries at once for {request.seconds:.0f} s")
            sent = closed_loop(ask, request.seconds, request.queries, request.at_once)
        queries = [each for each in sent for _ in range(batch)]
        runs.append(summarize_load(request.scenario, rate, queries, request.limits))
    knee = knee_of(runs, request.limits) if len(runs) > 1 else None
    return LoadReport(name, tuple(runs), knee, request.limits)

"""`bench doctor --instrument`: plants what is known, trains two controls, and says whether the verdicts see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from harness.cli.options import environment_of_command, tell
from harness.cli.run import reporter_for
from harness.cli.shown import show_document

if TYPE_CHECKING:
    from harness.instrument.expectation import CheckResult

_PLACE, _PROFILE, _QUICK = "results/local-instrument", "instrument", "smoke"


def check_instrument(results: str | None, wishes: Mapping[str, object], style: str, *, wide: bool) -> int:
    """Run all tests and print what they found; returns the exit code: 0 where the instrument works, else 1."""
    from harness.instrument.instrument_table import conclusion, instrument_json, instrument_table
    from harness.report.tables.values import json_text

    profile = wishes["profile"] or _PROFILE
    seeds = wishes["seeds"] or (1 if profile == _QUICK else 5)
    flags = {"results": results or _PLACE, "profile": profile, "seeds": seeds, "jobs": wishes["jobs"] or 0}
    found = list(_all_tests(flags))
    if style == "json":
        tell(json_text(instrument_json(found)))
    else:
        show_document([instrument_table(found)], wide=wide)
        tell(conclusion(found))
    return int(not all(result.works for result in found))


def _all_tests(flags: Mapping[str, object]) -> Iterator[CheckResult]:
    from harness.instrument.run_instrument import Bench, check_planted, check_trained
    from harness.plan.config import build_config
    from harness.plan.plugins import load_task
    from harness.records.store import Store
    from harness.run.choose_executor import workers_of
    from harness.run.fork_server import ForkServer

    config = build_config(flags)
    Store(config.request.results).require_writable()
    reporter = reporter_for(load_task(config.request.task).metrics[0])
    with ForkServer() as server:
        bench = Bench(environment_of_command(), reporter, workers_of(config.request, server))
        try:
            for test in (check_planted(bench), check_trained(bench, flags)):
                for result in test:
                    reporter.say(f"{result.state}: {result.name}: {result.found}")
                    yield result
        finally:
            reporter.close()

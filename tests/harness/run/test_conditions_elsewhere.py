"""Conditions that run where cells run leave the serial scores, and what a lost machine owes is counted and pending."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import MachineDiffers
from harness.plan.conditions import RobustnessPlan, plan_robustness
from harness.plan.config import RunConfig, build_config
from harness.plan.run_plan import Environment, Plan, plan_run
from harness.records.sample_scores import SECONDS, label_of, read_answers
from harness.records.store import Store
from harness.run import conditions_elsewhere
from harness.run.choose_executor import workers_of
from harness.run.conditions_elsewhere import run_conditions
from harness.run.fork_server import ForkServer
from harness.run.job_server import REFUSED, JobFailure
from harness.run.robustness_runner import RobustnessSummary
from harness.run.runner import run_plan

_CONDITIONS = 4


class ThisMachine:
    """An executor of other machines that calls each job here, or ends it as told."""

    slots, held_back = 1, 0

    def __init__(self) -> None:
        self.end: Exception | None = None
        self.sent: list[str] = []

    def submit(self, job: Any, arguments: tuple[Any, ...], request: Any) -> Future[Any]:
        self.sent.append(request.label)
        future: Future[Any] = Future()
        if self.end is None:
            future.set_result(job(*arguments, lambda *told: None))
        else:
            future.set_exception(self.end)
        return future

    def __enter__(self) -> ThisMachine:
        return self

    def __exit__(self, *told: object) -> None:
        pass


class Perturbed:
    """One trained model, whose conditions run by `--executor` into a results folder."""

    def __init__(self, captions: Path, folder: Path, server: ForkServer) -> None:
        self.server = server
        self.captions, self.folder, self.said = captions, folder, list[str]()
        self.here = Environment(folder, folder / "cache", command="bench run")

    def run(self, results: str, executor: str) -> RobustnessSummary:
        flags = {
            "task": "word-caption", "model": "nearest-colour", "profile": "smoke", "device": "cpu",
            "data": str(self.captions), "results": str(self.folder / results), "perturb": "fog:2,flip,jpeg:4",
        }  # fmt: skip
        given = ["evaluate.resamples=40", "measure.runs=2", "measure.warmups=1"]
        config = build_config(flags, given, task="word-caption")
        plan, sweep = self._planned(config)
        store, reporter = Store(config.request.results), self._reporter()
        run_plan(plan, store, self.here, reporter, workers_of(config.request, self.server))
        asked = build_config({**flags, "executor": executor}, given, task="word-caption")
        workers = workers_of(asked.request, self.server)
        return run_conditions(asked, plan, sweep, store, self.here, reporter, workers)

    def _planned(self, config: RunConfig) -> tuple[Plan, RobustnessPlan]:
        plan = plan_run(config, "word-caption", self.here, lambda *told: None)
        sweep = plan_robustness(config, plan, self.here, lambda *told: None)
        assert sweep is not None
        return plan, sweep

    def _reporter(self) -> Any:
        return SimpleNamespace(say=self.said.append, progress=lambda *told: None, finish=lambda record: None)

    def found(self, results: str) -> dict[str, Any]:
        """What each condition scored, and what was answered to the first image."""
        store = Store(str(self.folder / results))
        (record,) = store.read_robustness()
        assert record.provenance[SECONDS].keys() == {label_of(score) for score in record.scores}, "each was timed"
        assert min(record.provenance[SECONDS].values()) > 0
        return {
            label_of(score): (
                score.fingerprint,
                score.status,
                score.metrics,
                read_answers(store, record, label_of(score))[0],
            )
            for score in record.scores
        }


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> ThisMachine:
    made = ThisMachine()
    monkeypatch.setattr(conditions_elsewhere, "open_executor", lambda *told: made)
    monkeypatch.setattr("harness.run.choose_executor.find_spec", lambda name: True)
    return made


@pytest.fixture
def perturbed(captions: Path, outsider: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Perturbed]:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(outsider))
    with ForkServer() as server:
        monkeypatch.setattr("harness.run.whole_cell._server", lambda: server)
        yield Perturbed(captions, tmp_path, server)
    for name in [name for name in sys.modules if name.partition(".")[0] == "outsider_captions"]:
        del sys.modules[name]


def test_scores_are_the_serial_ones_and_a_lost_machine_is_made_up_for(
    perturbed: Perturbed, machine: ThisMachine, tmp_path: Path
) -> None:
    assert perturbed.run("serial", "local").ok == _CONDITIONS
    assert machine.sent == []
    machine.end = JobFailure("Its worker was lost 10 times", "lost")
    summary = perturbed.run("elsewhere", "ray://auto")
    assert (summary.ok, summary.failed) == (0, _CONDITIONS)
    assert any(f"{_CONDITIONS} conditions could not be run: Its worker was lost" in line for line in perturbed.said)
    machine.end = JobFailure("timm is 1 here and 2 in the run", REFUSED)
    with pytest.raises(MachineDiffers, match=r"timm is 1 here"):
        perturbed.run("elsewhere", "ray://auto")
    machine.end = None
    summary = perturbed.run("elsewhere", "ray://auto")
    assert (summary.ok, summary.failed, summary.found) == (_CONDITIONS, 0, 0)
    assert perturbed.found("elsewhere") == perturbed.found("serial")
    sent = len(machine.sent)
    assert perturbed.run("elsewhere", "ray://auto").found == _CONDITIONS
    assert len(machine.sent) == sent
    examples = [
        list((tmp_path / results).glob("*/robustness/examples/*/index.json")) for results in ("serial", "elsewhere")
    ]
    assert [len(each) for each in examples] == [1, 1]
    assert examples[0][0].read_text() == examples[1][0].read_text()

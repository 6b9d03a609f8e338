"""The benchmark of the gate, in small: `tests/benchmarks/bench_check.py` has the full figures."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

REPOSITORY = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_check", REPOSITORY / "tests/benchmarks/bench_check.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.slow
def test_no_false_alarm_in_few_runs(simulation):
    alarms, _ = simulation.false_alarms(30)
    assert alarms == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["accuracy", "latency", "memory"])
def test_what_is_planted_is_found(kind, simulation):
    assert simulation.power(kind, 12) >= 11


@pytest.mark.slow
def test_two_hundred_rows_are_compared_in_time(simulation):
    _, seconds, rows = simulation.gate_seconds(50)  # on a core: others may keep the machine busy
    assert rows == 200
    assert seconds <= 5


def jobs(text):
    workflow = yaml.safe_load(text)
    assert "pull_request" in workflow[True]  # YAML reads the key `on` as true
    (job,) = workflow["jobs"].values()
    return [step.get("run", step.get("uses")) for step in job["steps"]]


def test_the_workflows_are_what_github_reads_and_use_options_that_exist():
    page = (REPOSITORY / "docs/ci-gate.md").read_text()
    own = (REPOSITORY / ".github/workflows/bench-check.yml").read_text()
    for text in (own, page.split("```yaml\n")[1].split("```")[0]):
        steps = jobs(text)
        (command,) = [step for step in steps if "bench check" in step]
        assert command.endswith("--out summary.md --out check.xml")
        assert any("$GITHUB_STEP_SUMMARY" in step for step in steps)
        assert any(step.startswith("actions/cache@") for step in steps)
        assert any(step.startswith("actions/upload-artifact@") for step in steps)

"""The tests of the instrument: they pass with the verdicts as they are, and fail with verdicts that are broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli import instrument as command
from harness.cli.main import app
from harness.errors import UsageError
from harness.instrument import run_instrument, trained_controls
from harness.instrument.expectation import CheckResult
from harness.instrument.run_instrument import Bench, check_planted
from harness.instrument.trained_controls import TRAINED, Training, judge_training, not_run
from harness.judge.verdict.accuracy import LEAKS, REVERSED
from harness.judge.verdict.judge import judge_stores
from harness.judge.verdict.verdict import INCONCLUSIVE, SUPPORTED, ClaimScope, Judged, Verdict
from harness.plan.environment import environment
from harness.plan.plugins import load_task
from harness.records.store import Store
from tests.conftest import REPOSITORY

Change = Callable[[Verdict], Verdict]


class Silent:
    """A reporter that keeps nothing."""

    def progress(self, what: str, done: int, total: int) -> None: ...

    def say(self, message: str) -> None: ...

    def finish(self, record: Any) -> None: ...

    def plan(self, cells: int) -> None: ...


@pytest.fixture(scope="module")
def planted() -> tuple[list[CheckResult], list[list[Judged]]]:
    """The planted worlds as they are, and what was judged of each."""
    judged: list[list[Judged]] = []

    def judge(*arguments: Any) -> list[Judged]:
        judged.append(judge_stores(*arguments))
        return judged[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_instrument, "_SAMPLES", 800)
        results = list(check_planted(Bench(environment("test"), Silent(), SimpleNamespace(), judge)))  # type: ignore[arg-type]
    return results, judged


def test_the_verdicts_see_what_is_planted(planted: tuple[list[CheckResult], list[list[Judged]]]) -> None:
    results, judged = planted
    assert [result.name for result in results] == ["gain", "nothing", "capacity", "leak", "reversal"]
    assert [result.wrong for result in results] == [()] * 5
    assert {table.scope.samples for tables in judged for table in tables} == {800}


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda v: replace(v, outcome=SUPPORTED), {"nothing", "capacity"}),
        (lambda v: replace(v, outcome=INCONCLUSIVE), {"gain", "capacity"}),
        (lambda v: replace(v, reason=v.reason.partition(LEAKS)[0]), {"leak"}),
        (lambda v: replace(v, reason=v.reason.partition(REVERSED)[0]), {"reversal"}),
        (lambda v: replace(v, reason="as expected"), {"capacity", "leak", "reversal"}),
    ],
    ids=["always supported", "always inconclusive", "blind to leaks", "blind to slices", "gives no reasons"],
)
def test_a_broken_instrument_fails(
    change: Change,
    broken: set[str],
    planted: tuple[list[CheckResult], list[list[Judged]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn = iter(planted[1])

    def judge(*arguments: Any) -> list[Judged]:
        return [replace(t, verdicts=tuple(change(v) for v in t.verdicts)) for t in next(turn)]

    monkeypatch.setattr(run_instrument, "plant", lambda *arguments: None)
    found = check_planted(Bench(environment("test"), Silent(), SimpleNamespace(), judge))  # type: ignore[arg-type]
    assert {result.name for result in found if not result.works} == broken


def training(seeds: int, digest: str = "d" * 64, limit: int | None = None) -> Training:
    plan: Any = SimpleNamespace(
        data=SimpleNamespace(digest=digest),
        split="open",
        cells=[SimpleNamespace(evaluate=SimpleNamespace(limit=limit))],
    )
    config: Any = SimpleNamespace(request=SimpleNamespace(seeds=seeds, results="r"))
    return Training(TRAINED[1], config, plan)


def test_trained_controls_are_judged_by_the_table_of_their_plan_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained_controls, "compare_arms", lambda plan, store: {})

    def table(outcome: str, digest: str, limit: int | None) -> Judged:
        scope = ClaimScope(trained_controls.TASK, "d", digest, "open", "s", limit, "unseen-top-1", 9)
        return Judged(scope, tuple(Verdict(c, "m", outcome, "") for c in ("zero-shot", "fusion-gain")))

    tables = [table(INCONCLUSIVE, "d" * 64, None), table(SUPPORTED, "e" * 64, None), table(SUPPORTED, "d" * 64, 48)]
    store: Any = None
    assert judge_training(training(5), store, lambda *_: tables).works
    assert not judge_training(training(5, "e" * 64), store, lambda *_: tables).works
    assert not judge_training(training(5, limit=48), store, lambda *_: tables).works
    assert judge_training(training(5, "f" * 64), store, lambda *_: tables).found == "nothing was judged"


def test_few_seeds_are_wanted_to_be_refused_and_failed_cells_fail() -> None:
    assert TRAINED[0].wanted(1).named == "1 of 5 seeds" and TRAINED[0].wanted(5) is TRAINED[0].expectation
    assert not_run(training(5), 2).wrong == ("2 cells failed or could not run: their records in r say why",)


def test_the_committed_seeds_tell_words_that_can_be_known_from_words_that_cannot() -> None:
    """The full form in seconds: its 30 trainings are in results/instrument."""
    store = Store(str(REPOSITORY / "results" / "instrument"))
    found = {}
    for control in TRAINED:
        name = "scenes:opaque" if control.expectation.name == "opaque" else "scenes:transparent>synonym"
        own = [record for record in store.read_records(trained_controls.TASK) if record.data == name]
        plan: Any = SimpleNamespace(
            cells=[SimpleNamespace(fingerprint=r.fingerprint, evaluate=SimpleNamespace(limit=None)) for r in own],
            data=SimpleNamespace(digest=own[0].data_digest), split="open",
            task=load_task(trained_controls.TASK),
        )  # fmt: skip
        assert len(own) == 15
        config: Any = SimpleNamespace(request=SimpleNamespace(seeds=5, results="r"))
        found[control.expectation.name] = judge_training(Training(control, config, plan), store)
    assert {name: result.state for name, result in found.items()} == {"synonym": "ok", "opaque": "ok"}
    assert "S: F − C2 +0.071 [+0.055, +0.086]" in found["synonym"].found


FINE, BAD = CheckResult("a", "x", "y", "z"), CheckResult("b", "x", "y", "z", ("not so",))
OPEN = CheckResult("c", "x", "y", "z", (), ("not shown",))
WORKS = "The instrument works: 1 of 1 tests say what is there."
BROKEN = "THE INSTRUMENT DOES NOT WORK: 1 of 3 tests say something else: b."
UNDECIDED = "Not shown to work: 1 of 2 tests are not decided: c."


@pytest.mark.parametrize(
    ("results", "code", "line"),
    [([FINE], 0, WORKS), ([FINE, BAD, OPEN], 1, BROKEN), ([FINE, OPEN], 1, UNDECIDED)],
)
def test_the_command_ends_by_whether_the_instrument_works(
    results: list[CheckResult], code: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_all_tests", lambda flags: iter(results))
    shown = CliRunner().invoke(app, ["doctor", "--instrument"])
    assert shown.exit_code == code
    assert [each for each in (WORKS, BROKEN, UNDECIDED) if each in shown.output] == [line]
    told = json.loads(CliRunner().invoke(app, ["doctor", "--instrument", "--format", "json"]).stdout)
    assert told["works"] == (not code) and [test["name"] for test in told["tests"]] == [r.name for r in results]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], {"results": "results/local-instrument", "profile": "instrument", "seeds": 5, "jobs": 0}),
        (["--profile", "smoke"], {"results": "results/local-instrument", "profile": "smoke", "seeds": 1, "jobs": 0}),
        (
            ["--seeds", "7", "--jobs", "2", "--results", "r"],
            {"results": "r", "profile": "instrument", "seeds": 7, "jobs": 2},
        ),
    ],
)
def test_the_smoke_form_takes_one_seed_and_all_may_be_said(
    words: list[str], wanted: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(command, "_all_tests", lambda flags: iter([asked.append(flags) or FINE]))  # type: ignore[func-returns-value]
    assert CliRunner().invoke(app, ["doctor", "--instrument", *words]).exit_code == 0
    assert asked == [wanted]


def test_settings_of_the_instrument_alone_are_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--seeds", "3", "--results", str(tmp_path)])
    assert isinstance(done.exception, UsageError) and "--seeds: for --instrument" in str(done.exception)

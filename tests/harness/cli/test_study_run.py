"""A study under a budget: what is left is priced anew before each step."""

from __future__ import annotations

import time
from typing import Any

import pytest

from harness.cli import study_run
from harness.judge.study.aims import Aim
from harness.judge.study.order import Budget, Dropped, StudyStep
from harness.judge.study.prices import Price
from harness.judge.verdict.needs import NeededRun

COST, GAIN, ZERO = (Aim(name, "f", (NeededRun("f"),)) for name in ("cost", "fusion-gain", "zero-shot"))


class Priced:
    """Stands for a study's work: each claim costs so many seconds, by what is timed until now."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds

    def in_order(self, aims: list[Aim], left: float | None) -> tuple[list[StudyStep], list[Dropped]]:
        steps = sorted(
            (StudyStep(aim, aim.runs, 1, 0, Price(self.seconds[aim.claim])) for aim in aims),
            key=lambda step: step.price.seconds,
        )
        fitting, spent = [], 0.0
        for step in steps:
            spent += step.price.seconds
            fitting += [step] if left is None or spent <= left else []
        return fitting, [Dropped(step.aim, "beyond the budget") for step in steps[len(fitting) :]]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The claims that were run, in order; running one halves what others are thought to take."""
    ran: list[str] = []

    def priced(*_: object) -> Any:
        return Priced({"cost": 100.0, "fusion-gain": 800.0 / 2 ** len(ran), "zero-shot": 6000.0 / 2 ** len(ran)})

    def ordered(aims: list[Aim], work: Any, slots: int, left: float | None = None) -> Any:
        return work.in_order(aims, left)

    def run(study: Any, step: StudyStep, server: Any, *, debug: bool) -> int:
        ran.append(step.aim.claim)
        return 0

    monkeypatch.setattr(study_run, "_work", priced)
    monkeypatch.setattr(study_run, "in_order", ordered)
    monkeypatch.setattr(study_run, "_run_step", run)
    monkeypatch.setattr(study_run, "_judged", lambda study, aims: [])
    return ran


class Planned:
    """A study of three claims, the first of which alone was thought to fit."""

    config = cells = store = environment = None
    tried = ()
    planned = (COST,)
    dropped = (Dropped(GAIN, "beyond the budget"), Dropped(ZERO, "beyond the budget"))

    class told:
        """One job at a time."""

        slots = 1


def test_a_claim_that_an_estimate_dropped_runs_where_time_is_left_after_all(ran: list[str]) -> None:
    lines: list[str] = []
    study: Any = Planned()
    ended = study_run.run_study(study, None, Budget(500, time.monotonic()), lines.append)  # type: ignore[arg-type]
    assert ran == ["cost", "fusion-gain"]
    assert lines[0].startswith("Step 1 of 1: cost of f: 1 cells") and lines[0].endswith("about 100 s")
    assert lines[1].startswith("Step 2 of 2: fusion-gain") and lines[1].endswith("; there is time for it after all")
    assert list(ended.undecided) == ["not decided: zero-shot, f: beyond the budget"]


def test_a_claim_that_was_planned_and_for_which_time_runs_out_is_said_to_be_dropped(ran: list[str]) -> None:
    lines: list[str] = []
    study: Any = Planned()
    study_run.run_study(study, None, Budget(500, time.monotonic() - 450), lines.append)  # type: ignore[arg-type]
    assert ran == []
    assert lines == ["Dropped: cost, f: beyond the budget"]


def test_without_a_budget_everything_runs(ran: list[str]) -> None:
    study: Any = Planned()
    assert not study_run.run_study(study, None, Budget(None, 0), print).undecided  # type: ignore[arg-type]
    assert ran == ["cost", "fusion-gain", "zero-shot"]

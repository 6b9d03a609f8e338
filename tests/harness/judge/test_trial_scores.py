"""What tables and verdicts say of trials."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.judge.leaderboard import build_rows
from harness.judge.trial_scores import TrialScores, best_of, counts_of_trials
from harness.judge.verdict.judge import judge
from harness.judge.verdict.trial_notes import trial_notes
from harness.record import RunRecord
from harness.report.tables.document import document_text
from harness.report.trial_table import trial_table

from .verdict.made_up_records import LADDER, World

RIGHT = np.random.default_rng(0).random((5, 50))


def tuned(world: World, control: str | None, trials: int, edges: tuple[str, ...] = ()) -> list[RunRecord]:
    """Add five seeds of a model that had some trials, whose best lies at an edge in the first seed."""
    made = world.add("fused", control, RIGHT, train={"trials": trials} if trials > 1 else {})
    for number, record in enumerate(made):
        scores = [{"score": 0.1 * (n + 1), "settings": {}} for n in range(trials - 1)] + [
            {"score": None, "settings": {}}
        ]
        told: dict[str, Any] = {"trials": scores, "at_the_edge": list(edges) if number == 0 else []}
        content = record.provenance["training"] | (told if trials > 1 else {})
        world.records[world.records.index(record)] = replace(record, provenance={"training": content})
    return made


def test_by_hand() -> None:
    """The expected best of two of (0, 1) is 3/4, of (0, 0) it is 0; their mean is told."""
    trials = [TrialScores((0.0, 1.0), 2), TrialScores((0.0, 0.0), 2)]
    assert best_of(trials, 2) == pytest.approx(0.375)
    assert best_of(trials, 3) is None, "nobody tried three"
    assert best_of([], 1) is None and counts_of_trials([]) == []


def test_the_table_shows_each_arm_and_what_more_trials_are_worth() -> None:
    world = World()
    tuned(world, None, 5, ("learning_rate is high",))
    tuned(world, "C0", 5)
    world.add("plain", None, RIGHT)
    (rows,) = build_rows(world.records, ["top-1"])
    table = trial_table(rows)
    assert table is not None
    told = document_text([table], "text", 100)
    assert "plain" not in told and "fused[C0]" in told.replace(" ", "")
    assert "learning_rate is high (1 of 5 seeds)" in " ".join(told.split())
    assert "0.250" in told, "the mean of .1, .2, .3 and .4"
    assert [row.to_json()["trials"] is None for row in rows].count(True) == 1
    assert trial_table([row for row in rows if row.model == "plain"]) is None


def test_a_verdict_names_the_arm_whose_best_lies_at_the_edge() -> None:
    world = World()
    for control in (None, *LADDER):
        tuned(world, control, 5, ("dropout is high",) if control == "C2" else ())
    evidence = world.evidence()
    notes = trial_notes(evidence, evidence.heads())
    assert len(notes) == 1 and notes[0].startswith("fused [C2]") and "dropout is high (1 of 5 seeds)" in notes[0]


@pytest.mark.parametrize("trials", [1, 3])
def test_arms_of_unequal_trials_are_no_fair_comparison(trials: int) -> None:
    world = World()
    for control in (None, *LADDER):
        tuned(world, control, trials if control == "C1" else 5)
    evidence = world.evidence()
    notes = trial_notes(evidence, evidence.heads())
    assert f"fused had 5 trials, C1 {trials}: run both with the same --trials" in notes
    verdict = judge(evidence, claims=["fusion-gain"])[0]
    assert verdict.outcome != "supported"
    assert any(f"train.trials {trials}, not 5" in reason for reason in verdict.missing)


@pytest.mark.parametrize("name", ["deterministic", "processes"])
def test_a_setting_that_came_later_counts_where_only_one_record_has_it(name: str) -> None:
    """The kind: whatever records leave out where it is as it always was."""
    world = World()
    for control in (None, *LADDER):
        world.add("fused", control, RIGHT, train={name: 2} if control == "C1" else {})
    verdict = judge(world.evidence(), claims=["fusion-gain"])[0]
    assert any(f"train.{name} 2, not " in reason for reason in verdict.missing)

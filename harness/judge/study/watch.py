"""What the verdicts of a study are at a time, and which of them have changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.judge.study.aims import Aim
from harness.judge.study.planning import StudyCells
from harness.judge.verdict.verdict import Judged, Verdict

Standing = Mapping[tuple[str, str], Verdict]
"""The verdict on each claim (by name) about each model of a study."""


def of_study(judged: Sequence[Judged], aims: Sequence[Aim], cells: StudyCells) -> list[Judged]:
    """Keep of all verdicts those that a study is about: its data, splits and samples, claims and models."""
    found = []
    for table in judged:
        scope = table.scope
        here = [aim for aim in aims if (scope.data_digest, scope.split, scope.limit) in _places(aim, cells)]
        kept = tuple(v for v in table.verdicts if any(_is_about(v, aim) for aim in here))
        if kept:
            found.append(replace(table, verdicts=kept))
    return found


def standing(judged: Sequence[Judged]) -> Standing:
    """Look verdicts up by claim and model."""
    return {(v.claim, v.model or "all models"): v for table in judged for v in table.verdicts}


def told_changes(before: Standing, after: Standing, decided: Aim) -> list[str]:
    """A line for each verdict whose outcome has changed, and for the one whose runs are now complete."""
    lines = []
    for key, verdict in after.items():
        former = before.get(key)
        changed = former is None or former.outcome != verdict.outcome
        if _is_about(verdict, decided) or (changed and not (former is None and verdict.missing)):
            was = f"{former.mark} → " if former is not None and former.outcome != verdict.outcome else ""
            lines.append(f"Verdict: {verdict.claim}, {key[1]}: {was}{verdict.mark}: {verdict.reason}")
    return lines


def _places(aim: Aim, cells: StudyCells) -> set[tuple[str, str, int | None]]:
    plans = [cells.planned(run).plan for run in aim.runs]
    return {(plan.data.digest, plan.split, cell.evaluate.limit) for plan in plans for cell in plan.cells[:1]}


def _is_about(verdict: Verdict, aim: Aim) -> bool:
    """A verdict on tuning is called by its policy, too; one about all models is about each."""
    name = (verdict.model or aim.model).partition(" (")[0]
    return verdict.claim == aim.claim and (name == aim.model or name.startswith(f"{aim.model}-"))

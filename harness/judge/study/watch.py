"""What the verdicts of a study are at a time, and which of them have changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.judge.study.aims import Aim
from harness.judge.study.planning import StudyCells
from harness.judge.verdict.verdict import Judged, Verdict

Standing = Mapping[tuple[str, str, str, int], Verdict]
"""The verdict on each claim (by name) about each model of a study, on each data and split; several are numbered."""


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
    """Look verdicts up by claim, model and place."""
    found: dict[tuple[str, str, str, int], Verdict] = {}
    for table in judged:
        place = f"{table.scope.data}, split {table.scope.split}"
        for verdict in table.verdicts:
            own = (verdict.claim, verdict.model or "all models", place)
            found[(*own, sum(key[:3] == own for key in found))] = verdict
    return found


def told_changes(before: Standing, after: Standing, decided: Aim) -> list[str]:
    """A line for each verdict whose outcome has changed, and for those whose runs are now complete.

    Where a claim about a model is judged in several places the line names its own.
    """
    lines = []
    places: dict[tuple[str, str], set[str]] = {}
    for claim, model, place, _ in after:
        places.setdefault((claim, model), set()).add(place)
    for key, verdict in after.items():
        former = before.get(key)
        changed = former is None or former.outcome != verdict.outcome
        if _is_about(verdict, decided) or (changed and not (former is None and verdict.missing)):
            was = f"{former.mark} → " if former is not None and former.outcome != verdict.outcome else ""
            where = f" ({key[2]})" if len(places[key[:2]]) > 1 else ""
            lines.append(f"Verdict: {verdict.claim}, {key[1]}{where}: {was}{verdict.mark}: {verdict.reason}")
    return lines


def _places(aim: Aim, cells: StudyCells) -> set[tuple[str, str, int | None]]:
    plans = [cells.planned(run).plan for run in aim.runs]
    return {(plan.data.digest, plan.split, cell.evaluate.limit) for plan in plans for cell in plan.cells[:1]}


def _is_about(verdict: Verdict, aim: Aim) -> bool:
    """A verdict on tuning is called by its policy, too; one about all models is about each."""
    name = (verdict.model or aim.model).partition(" (")[0]
    return verdict.claim == aim.claim and (name == aim.model or name.startswith(f"{aim.model}-"))

"""What no published number covers has a mean of its own: other families, and those of third parties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.judge.robustness.other_means import other_cells
from harness.judge.robustness.summary import summaries
from harness.record import RobustnessRecord
from harness.report.robustness_tables import render_summary

Make = Callable[..., RobustnessRecord]


def planted(made: RobustnessRecord, **families: str) -> RobustnessRecord:
    """Put some perturbations into families."""
    return replace(made, scores=tuple(replace(s, family=families.get(s.perturbation, s.family)) for s in made.scores))


def test_a_custom_perturbation_has_its_mean(record: Make) -> None:
    cells = {("posterize", 1): 0.6, ("posterize", 4): 0.2, ("fog", 1): 0.1, ("typo-keyboard", 1): 0.3}
    made = planted(record("m", 0.8, cells), posterize="print")
    assert other_cells([made]) == {"mean over 2 cells of posterize": (("posterize", 1), ("posterize", 4))}
    (row,) = summaries([made], [])
    (label, figure), *more = row.others.items()
    assert (label, figure.value, more) == ("mean over 2 cells of posterize", pytest.approx(0.4), [])
    assert row.to_json()["others"][label]["value"] == pytest.approx(0.4)
    assert row.corruption.mpc.value == pytest.approx(0.1), "it is none of the published ones"
    assert f"{label} ↑" in render_summary([row], "md") and "| 0.400 [" in render_summary([row], "md")
    assert label in render_summary([row], "csv")


def test_several_of_a_family_have_one_mean_over_what_any_model_was_meant_to_run(record: Make) -> None:
    kinds = {"posterize": "print", "halftone": "print", "rotate": "geometry"}
    a = planted(record("a", 0.8, {("posterize", 1): 0.6, ("halftone", 1): 0.4, ("rotate", 1): 0.5}), **kinds)
    b = planted(record("b", 0.8, {("posterize", 1): 0.6, ("rotate", 1): 0.7}), **kinds)
    first, second = sorted(summaries([a, b], []), key=lambda row: row.name)
    assert set(first.others) == set(second.others) == {"mean over 2 cells of print", "mean over 1 cell of rotate"}
    assert first.others["mean over 2 cells of print"].value == pytest.approx(0.5)
    assert second.others["mean over 2 cells of print"].reason == "halftone 1 was not run"


def test_controls_attacks_shifts_and_joint_conditions_are_no_family(record: Make) -> None:
    kinds = {"wrong-image": "modality", "pgd-linf": "attack", "shift-night": "shift", "fog+typo-keyboard": "joint"}
    assert other_cells([planted(record("m", 0.8, {(name, 1): 0.5 for name in kinds}), **kinds)]) == {}


def test_a_failed_cell_leaves_no_mean(record: Make) -> None:
    cells = {("posterize", 1): 0.6, ("posterize", 2): "failed: it broke"}
    (row,) = summaries([planted(record("m", 0.8, cells), posterize="print")], [])
    assert row.others["mean over 2 cells of posterize"].reason == "posterize 2 failed: it broke"

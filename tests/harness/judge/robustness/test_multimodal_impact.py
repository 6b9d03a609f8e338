from __future__ import annotations

import pytest

from harness.judge.robustness.cells import ModelTable
from harness.judge.robustness.drops import drop, impact
from harness.judge.robustness.multimodal_impact import IMAGE_GROUPS, TEXT_GROUPS, multimodal_impact
from harness.stats.propagation import Figure, absent


def test_drops_by_hand() -> None:
    found = drop(Figure(0.6, 0.55, 0.65), Figure(0.3, 0.28, 0.32), 0.2)
    assert found.absolute.value == pytest.approx(0.3)
    assert found.relative.value == pytest.approx(0.5)
    assert found.corrected.value == pytest.approx(0.3 / 0.4)
    low, high = found.absolute.low, found.absolute.high
    assert (low, high) == pytest.approx((0.3 - 0.07, 0.3 + 0.07))
    assert found.corrected.low is not None and found.corrected.high is not None
    # Slopes: -1 / .4 of perturbed and .1 / .16 of clean.
    assert found.corrected.low == pytest.approx(0.75 - 0.02 / 0.4 - 0.1 / 0.16 * 0.05)


def test_ratios_flatter_a_weak_model_and_the_corrected_one_does_not() -> None:
    weak, strong = drop(Figure(0.12, 0.11, 0.13), Figure(0.1), 0.1), drop(Figure(0.9, 0.88, 0.92), Figure(0.6), 0.1)
    assert weak.relative.known < strong.relative.known
    assert weak.corrected.known > strong.corrected.known


@pytest.mark.parametrize("clean", [Figure(0.12, 0.09, 0.15), Figure(0.12, 0.1, 0.14), Figure(0.1), Figure(0.05)])
def test_not_clearly_above_chance_has_no_impact(clean: Figure) -> None:
    found = impact(clean, Figure(0.05), 0.1)
    assert found.value is None and "not clearly above chance" in str(found.reason)


def test_what_is_missing_stays_missing() -> None:
    found = drop(Figure(0.5), absent("fog 1 failed: x"), 0.0)
    assert {f.reason for f in (found.absolute, found.relative, found.corrected)} == {"fog 1 failed: x"}
    assert impact(absent("no clean"), Figure(0.5), 0.0).reason == "no clean"


def test_mean_over_severities_then_perturbations() -> None:
    cells = {("gaussian-noise", 1): 0.6, ("gaussian-noise", 5): 0.4, ("shot-noise", 3): 0.3, ("fog", 1): 0.7}
    table = ModelTable(Figure(0.9), {cell: Figure(value) for cell, value in cells.items()})
    found = multimodal_impact(table, IMAGE_GROUPS, 0.1)
    assert found.parts["gaussian-noise"].value == pytest.approx(0.4 / 0.8)
    assert found.groups["noise"].value == pytest.approx((0.5 + 0.75) / 2)
    assert found.overall.value == pytest.approx((0.5 + 0.75 + 0.25) / 3)
    assert set(found.groups) == {"noise", "weather"}
    assert found.label == "3 of 17 perturbations"
    assert found.left_out["stylise"] == "not run"
    text = multimodal_impact(table, TEXT_GROUPS, 0.1)
    assert (text.overall.value, text.overall.reason) == (None, "no perturbation of this modality was run")


def test_skipped_is_named_and_failed_leaves_no_number() -> None:
    table = ModelTable(
        Figure(0.9),
        {("typo-keyboard", 1): Figure(0.5), ("formal", 1): absent("formal 1 skipped: changes none of the texts")},
    )
    found = multimodal_impact(table, TEXT_GROUPS, 0.1, {"formal"})
    assert found.overall.value == pytest.approx(0.5)
    assert found.left_out["formal"] == "formal 1 skipped: changes none of the texts"
    failed = multimodal_impact(table, TEXT_GROUPS, 0.1)
    assert failed.overall.reason == "formal 1 skipped: changes none of the texts"
    blind = ModelTable(Figure(0.9), {("typo-keyboard", 1): absent("typo-keyboard 1 skipped: the model reads no text")})
    nothing = multimodal_impact(blind, TEXT_GROUPS, 0.1, {"typo-keyboard"})
    assert nothing.overall.reason == "typo-keyboard 1 skipped: the model reads no text"


def test_counts_of_the_paper() -> None:
    assert sum(map(len, IMAGE_GROUPS.values())) == 17
    assert sum(map(len, TEXT_GROUPS.values())) == 16

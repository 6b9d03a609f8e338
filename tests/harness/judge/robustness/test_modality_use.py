from __future__ import annotations

import pytest

from harness.judge.robustness.cells import ModelTable
from harness.judge.robustness.modality_use import modality_use, perceptual_score
from harness.record import Estimate
from harness.stats.propagation import Figure, absent


def sure(value: float, half: float = 0.01) -> Figure:
    return Figure(value, value - half, value + half)


def table(clean: float, **cells: float) -> ModelTable:
    """`wrong_image=.2` is five permutations around it, all others one condition."""
    found = {}
    for key, value in cells.items():
        name = key.replace("_", "-")
        shifts = (-0.02, -0.01, 0.0, 0.01, 0.02) if name.startswith("wrong") else (0.0,)
        found |= {(name, n): sure(value + shift) for n, shift in enumerate(shifts, 1)}
    return ModelTable(sure(clean), found)


def test_perceptual_score_by_hand() -> None:
    found = perceptual_score(table(0.8, wrong_image=0.2), "wrong-image")
    assert (found.score.value, found.normalised.value, found.permutations) == pytest.approx((0.6, 0.75, 5))
    assert found.spread == pytest.approx(0.0158113883)  # of -2, -1, 0, 1, 2 hundredths, n - 1
    assert (found.score.low, found.score.high) == pytest.approx((0.58, 0.62))
    assert found.normalised.low is not None and found.normalised.high is not None
    assert found.normalised.low < 0.75 < found.normalised.high


def test_too_few_permutations_make_no_score() -> None:
    four = ModelTable(sure(0.8), {("wrong-image", n): sure(0.2) for n in range(1, 5)})
    found = perceptual_score(four, "wrong-image")
    assert found.score.value is None and "4 permutations of wrong-image; wanted 5" in str(found.score.reason)
    assert perceptual_score(four, "wrong-text").score.reason == "wrong-text was not run"
    broken = ModelTable(sure(0.8), {("wrong-image", n): absent("it failed") for n in range(1, 6)})
    found = perceptual_score(broken, "wrong-image")
    assert (found.score.reason, found.spread) == ("it failed", None)


def test_verdicts() -> None:
    use = modality_use(table(0.8, wrong_image=0.2, empty_text=0.79), {}, {}, "top-1")
    assert use.image.verdict == "yes"
    assert use.text.verdict == "undecided"
    surely_not = ModelTable(sure(0.8, 0.001), {("empty-text", 1): sure(0.8, 0.001)})
    assert modality_use(surely_not, {}, {}, "top-1").text.verdict == "no"
    assert modality_use(surely_not, {}, {}, "top-1").image.verdict == "undecided"


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [("the model reads no text", "no"), ("wrong-text changes none of the texts that the model reads", "undecided")],
)
def test_what_a_model_does_not_see_it_does_not_use(reason: str, verdict: str) -> None:
    blind = ModelTable(sure(0.8), {("wrong-text", n): absent(f"skipped: {reason}") for n in range(1, 6)})
    use = modality_use(blind, {"wrong-text": reason}, {}, "top-1")
    assert (use.text.verdict, use.text.reason) == (verdict, reason)


def test_a_blank_image_alone_decides() -> None:
    assert modality_use(table(0.8, blank_image=0.1), {}, {}, "top-1").image.verdict == "yes"
    without = ModelTable(Figure(0.8), {("blank-image", 1): Figure(0.1)})
    assert modality_use(without, {}, {}, "top-1").image.verdict == "undecided", "no interval, no verdict"


def test_emap_comes_from_the_run() -> None:
    metrics = {"EMAP top-1": Estimate(0.4, 0.3, 0.5, 200), "interaction": Estimate(0.1, 0.0, 0.2, 200)}
    use = modality_use(table(0.8), {}, metrics, "top-1")
    assert (use.emap, use.interaction) == (Figure(0.4, 0.3, 0.5), Figure(0.1, 0.0, 0.2))
    assert "the run has no EMAP top-1" in str(modality_use(table(0.8), {}, {}, "top-1").emap.reason)

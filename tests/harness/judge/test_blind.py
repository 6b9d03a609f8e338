"""A set that is solved without the image is marked, with by what and how far; a fair one is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.judge import blind
from harness.judge.blind import blind_mark
from harness.record import Estimate

METRICS = ("matching-accuracy",)


def row(name: str, score: float, **metrics: tuple[float, float, float]) -> Any:
    own = {
        "matching-accuracy": (score, score - 0.02, score + 0.02),
        **{k.replace("_", "-"): v for k, v in metrics.items()},
    }
    found = {key: Estimate(value, low, high, 500) for key, (value, low, high) in own.items()}
    return SimpleNamespace(name=name, model=name, metrics={**found, "matching-chance": Estimate(0.5, None, None, 500)})


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    eyes = {"film": True, "text-only": False}
    monkeypatch.setattr(blind, "load_model", lambda name: SimpleNamespace(sees_images=eyes[name]))


SOLVED: dict[str, Any] = {"blind_words": (0.7, 0.66, 0.74), "blind_longest": (0.5, 0.46, 0.54)}


def test_guesses_above_chance_mark_a_set_and_name_the_rows_that_are_not_above_them() -> None:
    seen = row("film", 0.9, above_blind=(0.2, 0.15, 0.25), **SOLVED)
    lost = row("film", 0.71, above_blind=(0.01, -0.03, 0.05), **SOLVED)
    mark = blind_mark([seen, lost], METRICS)
    assert mark is not None and (mark.by, mark.chance, mark.not_above) == ("blind-words", 0.5, ("film",))
    assert mark.told == (
        "SOLVED WITHOUT THE IMAGE: blind-words scores 0.700 [0.660, 0.740], chance 0.500; not shown to be above it: "
        "film"
    )
    assert mark.to_json()["score"]["low"] == 0.66


def test_a_blind_model_marks_it_too_and_is_not_named_below_itself() -> None:
    fair: Any = {"blind_words": (0.52, 0.48, 0.56), "above_blind": (0.3, 0.2, 0.4)}
    mark = blind_mark([row("film", 0.95, **fair), row("text-only", 0.8, **fair)], METRICS)
    assert mark is not None and (mark.by, mark.not_above) == ("text-only", ())


def test_a_fair_set_and_other_tasks_are_not_marked() -> None:
    fair: Any = {"blind_words": (0.52, 0.48, 0.56)}
    assert blind_mark([row("film", 0.9, **fair), row("text-only", 0.5, **fair)], METRICS) is None
    other = SimpleNamespace(name="film", model="film", metrics={"matching-accuracy": Estimate(0.9, 0.8, 1.0, 9)})
    assert blind_mark([other], METRICS) is None  # type: ignore[list-item]
    assert blind_mark([], ()) is None


def test_a_model_that_is_not_installed_may_see() -> None:
    from harness.plan.plugins import load_model

    blind.load_model = load_model
    assert not blind.sees_no_image("no-such-model")
    assert blind.sees_no_image("text-only") and not blind.sees_no_image("prefix")

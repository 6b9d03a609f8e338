"""A remedy beside the same model without it: differences by hand, the ratio where something is lost, who is beside."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.judge.robustness.remedies import NOT_LOST, with_gains
from harness.judge.robustness.row import RobustnessRow
from harness.judge.robustness.summary import summaries
from harness.record import RobustnessRecord, RunRecord
from harness.report.robustness_tables import render_summary
from harness.stats.difference import weighted_difference
from harness.stats.sample_scores import SampleScores

Make = Callable[..., RobustnessRecord]
MakeRun = Callable[..., RunRecord]
SAMPLES = 400
NAMES = tuple(f"s{n}" for n in range(SAMPLES))
CELLS = {("fog", 1): 0.5, ("typo-ocr", 2): 0.5, ("pgd-linf", 1): 0.0}


class Stored:
    """Made-up records with what each sample scores."""

    def __init__(self, record: Make, run: MakeRun) -> None:
        self.record, self.run = record, run
        self.sweeps: list[RobustnessRecord] = []
        self.runs: list[RunRecord] = []
        self.scores: dict[tuple[str, str], np.ndarray[Any, Any]] = {}

    def add(self, accuracies: Mapping[str, float], seeds: int = 3, **train: Any) -> None:
        """A model that is right on so many samples under each condition, the same ones for all models and seeds."""
        settings = {key: value for key, value in train.items() if key != "model_settings"}
        for seed in range(seeds):
            name = f"{sorted(train.items())}-{seed}"
            sweep = self.record("m", 0.8, CELLS, seed=seed, fingerprint=name)
            own = self.run(sweep)
            training = own.cell["training"] | {"train": {"steps": 9, **settings}}
            training |= {"options": {"settings": train.get("model_settings", {})}}
            self.sweeps.append(sweep)
            self.runs.append(replace(own, cell={**own.cell, "training": training}))
            for condition, share in accuracies.items():
                right = (np.arange(SAMPLES) * 37 + 11 * seed) % SAMPLES < round(share * SAMPLES)
                self.scores[name, condition] = right.astype(float)

    def read(self, task: str, fingerprint: str, condition: str | None) -> SampleScores | None:
        values = self.scores.get((fingerprint, condition or ""))
        return None if values is None else SampleScores(NAMES, NAMES, {"top-1": values})

    def rows(self) -> list[RobustnessRow]:
        return with_gains(summaries(self.sweeps, self.runs), self.runs, self.read)


@pytest.fixture
def stored(record: Make, run: MakeRun) -> Stored:
    return Stored(record, run)


def accuracies(clean: float, fog: float, typo: float) -> dict[str, float]:
    return {"clean-0": clean, "fog-1": fog, "typo-ocr-2": typo, "pgd-linf-1": 0.5}


def test_gain_cost_and_ratio_by_hand(stored: Stored) -> None:
    stored.add(accuracies(0.8, 0.5, 0.3))
    stored.add(accuracies(0.7, 0.65, 0.55), mix="mixup")
    stored.add(accuracies(0.85, 0.6, 0.3), words="word-delete")
    stored.add(accuracies(0.79, 0.4, 0.3), mix="mixup", soup=3)  # beside nothing at all, not beside MixUp alone
    gains = {row.remedy.remedy: row.remedy for row in stored.rows() if row.remedy is not None}
    assert set(gains) == {"mix=mixup", "words=word-delete", "mix=mixup, soup=3"}
    mixed = gains["mix=mixup"]
    assert (mixed.conditions, mixed.seeds) == (2, (0, 1, 2)), "an attack is no corruption"
    assert mixed.clean.value == pytest.approx(-0.1) and mixed.corrupted.value == pytest.approx(0.2)
    assert mixed.ratio.value == pytest.approx(2.0)
    assert mixed.clean.low is not None and mixed.clean.low < -0.1 < (mixed.clean.high or 0) < 0
    assert mixed.ratio.low is not None and mixed.ratio.low < 2 < (mixed.ratio.high or 0)
    names = [
        next(r.fingerprint for r in stored.runs if r.seed == 0 and ("mix" in str(r.cell)) == has)
        for has in (True, False)
    ]
    pair = [np.array([stored.scores[name.replace("-0", f"-{s}"), "clean-0"] for s in range(3)]) for name in names]
    again = weighted_difference((1, -1), pair, NAMES)
    assert (mixed.clean.low, mixed.clean.high) == pytest.approx((again.low, again.high))
    won = gains["words=word-delete"]
    assert (won.clean.value, won.ratio.value, won.ratio.reason) == (pytest.approx(0.05), None, NOT_LOST)
    assert "no clean score lost" in render_summary(stored.rows(), "text", 160)
    text = render_summary(stored.rows(), "md").partition("won per point lost")[2]
    assert text.index("words=word-delete") < text.index("+2.00"), "what costs nothing comes first"
    found = [row["remedy"] for row in json.loads(render_summary(stored.rows(), "json"))]
    assert [each and each["ratio"]["value"] for each in found].count(pytest.approx(2)) == 1


def test_a_loss_that_may_be_none_has_no_interval(stored: Stored) -> None:
    stored.add(accuracies(0.8, 0.5, 0.3))
    stored.add(accuracies(0.7975, 0.6, 0.4), seeds=1, dropout=0.3)  # one sample of 400
    (gain,) = [row.remedy for row in stored.rows() if row.remedy is not None]
    assert gain.remedy == "dropout=0.3" and gain.ratio.value == pytest.approx(40)
    assert gain.ratio.low is None and "not told apart from none" in str(gain.ratio.reason)
    assert "not told apart from none" in render_summary(stored.rows(), "md")


def test_only_the_same_model_stands_beside(stored: Stored) -> None:
    stored.add(accuracies(0.8, 0.5, 0.3), model_settings={"knowledge": "x.csv"})
    stored.add(accuracies(0.8, 0.5, 0.3), limit=50)
    stored.add(accuracies(0.7, 0.6, 0.4), mix="mixup")
    assert [row.remedy for row in stored.rows()] == [None] * 3
    assert "won per point" not in render_summary(stored.rows(), "md")


def test_what_is_not_stored_is_said(stored: Stored) -> None:
    stored.add(accuracies(0.8, 0.5, 0.3))
    stored.add({"clean-0": 0.7, "fog-1": 0.6}, mix="mixup")
    (gain,) = [row.remedy for row in stored.rows() if row.remedy is not None]
    assert gain.clean.value is None and "not stored for both" in str(gain.clean.reason)
    assert "not stored for both" in render_summary(stored.rows(), "md")


def test_labels_that_a_rule_chose_stand_beside_as_many_at_random(stored: Stored) -> None:
    stored.add(accuracies(0.8, 0.5, 0.3), limit=50)
    stored.add(accuracies(0.8, 0.5, 0.4), limit=50, acquire="random")
    stored.add(accuracies(0.8, 0.6, 0.4), limit=50, acquire="entropy")
    found = {row.remedy.remedy: row.remedy for row in stored.rows() if row.remedy is not None}
    assert {name: each.corrupted.value for name, each in found.items()} == {
        "acquire=random": pytest.approx(0.05), "acquire=entropy": pytest.approx(0.05),
    }  # fmt: skip
    assert "random" in found["acquire=entropy"].beside

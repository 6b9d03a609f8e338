"""Claim forgetting: what F loses of earlier domains beyond C0, and the tables of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.judge.leaderboard import build_rows
from harness.judge.sequence_scores import sequence_scores
from harness.judge.verdict.forgetting import judge_all
from harness.judge.verdict.verdict import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict
from harness.report.sequence_table import sequence_tables
from harness.report.tables.document import document_text

from .made_up_sequences import losing, with_sequence


def fill(world: Any, right: np.ndarray, fused: float, alone: float | None, same: str = "s", **train: Any) -> None:
    settings = {"sequence": "base,style", **train}
    with_sequence(world, world.add("fused", None, right, train=settings), losing(fused))
    if alone is not None:
        with_sequence(world, world.add("fused", "C0", right, train=settings), losing(alone), same)


def decide(world: Any) -> Verdict:
    evidence = world.evidence()
    (found,) = judge_all(evidence, evidence.heads())
    return found


@pytest.mark.parametrize(
    ("fused", "alone", "outcome"),
    [(0.4, 0.1, SUPPORTED), (0.05, 0.4, NOT_SUPPORTED), (0.2, 0.18, INCONCLUSIVE)],
)
def test_outcomes(fused: float, alone: float, outcome: str, world: Any, right: np.ndarray) -> None:
    fill(world, right, fused, alone)
    found = decide(world)
    assert found.outcome == outcome, found
    kept = [sequence_scores(record) for record in world.records]
    losses = [own.values[1, 0] - own.values[2, 0] for own in kept if own is not None]
    assert found.numbers[0].value == pytest.approx(np.mean(losses[:5]) - np.mean(losses[5:]))
    numbers = {number.name: number for number in found.numbers}
    assert {"BWT F", "BWT C0"} <= numbers.keys()
    # of the second domain .05 were above chance before training and .25 just before its own stage
    retained = numbers["zero-shot retention F"]
    mine = [own for own in kept[:5] if own is not None]
    gains = [sum(own.values[row, 1] - 0.05 for own in mine) for row in (1, 0)]
    assert retained.value == pytest.approx(gains[0] / gains[1])
    assert (retained.low or 0) < retained.value < (retained.high or 0)


def test_what_is_missing_is_said(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    assert "--controls --set train.sequence=style,light" in decide(world).missing[0]
    fill(world, right, 0.4, None)
    assert decide(world).reason == "C0 was not run"


def test_other_samples_and_remedies_are_not_compared(world: Any, right: np.ndarray) -> None:
    fill(world, right, 0.4, 0.1, same="others")
    assert "has no scores of the same samples" in decide(world).reason
    fill(world, right, 0.1, None, replay=0.5, steps=401)
    evidence = world.evidence()
    plain, remedied = judge_all(evidence, evidence.heads())
    assert (plain.model, remedied.model) == ("fused", "fused (replay 0.5)")
    assert remedied.reason.startswith("C0 is not matched: ")


def test_a_model_trained_with_a_remedy_takes_no_place_of_the_model_by_itself(world: Any, right: np.ndarray) -> None:
    for remedy in ({}, {"adversarial": 4.0, "mix": "cutmix"}):
        world.add("fused", None, right, train=remedy)
        fill(world, right, 0.1, 0.1, **remedy)
    evidence = world.evidence()
    (head,) = evidence.heads()
    assert not head.settings["train.adversarial"]
    names = [found.model for found in judge_all(evidence, evidence.heads())]
    assert names == ["fused", "fused (mix cutmix, adversarial 4)"]


def test_a_model_of_one_domain_is_judged_by_the_other_claims(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    fill(world, right, 0.4, 0.1, steps=401)
    (head,) = world.evidence().heads()
    assert not head.settings["train.sequence"]


def test_table(world: Any, right: np.ndarray) -> None:
    fill(world, right, 0.4, 0.1)
    world.add("plain", None, right)
    (rows,) = build_rows(world.records, ["top-1"])
    (table,) = sequence_tables(rows)
    told = document_text([table], "text", 100)
    fused = next(row for row in rows if row.model == "fused" and row.control is None)
    found = fused.to_json()["sequence"]
    assert found["domains"] == ["d0", "d1"] and f"{found['figures']['BWT']['value']:.3f}" in told
    assert "plain" not in told and "d0, d1" in told and max(map(len, told.splitlines())) <= 100
    long = [replace(row, model="a-model-with-a-long-name+remedy:0.5+another:0.5") for row in rows]
    assert max(map(len, document_text(sequence_tables(long), "text", 100).splitlines())) <= 100
    assert found["figures"]["BWT"]["value"] == pytest.approx(-found["figures"]["forgetting"]["value"]), "of two domains"

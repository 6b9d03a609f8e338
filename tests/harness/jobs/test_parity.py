"""How near a variant is to its parent, by cases that can be counted by hand."""

from __future__ import annotations

import math

import pytest
import torch

from harness.jobs.beside_parent import paired_speed, time_in_turn
from harness.jobs.parity import Observed, decision, parity_of


def observed(*answers: list[float], shift: float = 0.0) -> Observed:
    return Observed(answers, torch.tensor(answers).flatten() + shift, "logits")


def test_differences_and_decisions_are_counted() -> None:
    parity = parity_of(observed([0.9, 0.1], [0.2, 0.8]), observed([0.4, 0.6], [0.2, 0.8]))
    assert (parity.samples, parity.flipped, parity.flipped_share) == (2, 1, 0.5)
    assert parity.difference == pytest.approx(0.5)
    assert parity.largest == pytest.approx(0.9)
    assert parity.objection(exact=False) is None
    assert "differ from the parent's by up to 0.5" in str(parity.objection(exact=True))


def test_rounding_is_no_objection_to_an_exact_variant_and_other_decisions_are() -> None:
    one = observed(*[[0.9, 0.1]] * 100)
    assert parity_of(one, observed(*[[0.9, 0.1]] * 100, shift=1e-4)).objection(exact=True) is None
    flipped = Observed([*[[0.9, 0.1]] * 98, [0.1, 0.9], [0.1, 0.9]], one.numbers, "logits")
    assert "decides 2 of 100" in str(parity_of(one, flipped).objection(exact=True))
    assert parity_of(one, flipped).objection(exact=False) is None


def test_no_number_counts_that_is_not_finite() -> None:
    broken = observed([math.nan, 0.1])
    parity = parity_of(observed([0.9, 0.1]), broken)
    assert parity.difference == math.inf
    assert "not finite" in str(parity.objection(exact=False))


def test_decisions_by_kind_of_answer() -> None:
    assert decision([0.1, 0.7, 0.2]) == 1
    assert decision(torch.tensor([0.1, 0.7, 0.2])) == 1
    assert decision("a red square") == "a red square"
    assert decision([[3, 0.9, 0, 0, 1, 1], [1, 0.8, 0, 0, 1, 1]]) == (3, 1)
    assert decision({"label_map_png": "abc"}) == (("label_map_png", "abc"),)


def test_speed_is_paired_and_pays_after_so_many_calls() -> None:
    faster = paired_speed([1.0] * 40, [2.0] * 40, seconds_to_load=10.0, first_call=7.0)
    assert faster["speed_up"] == faster["speed_up_low"] == faster["speed_up_high"] == 2.0
    assert faster["break_even_calls"] == 15  # 10 s + (7 - 2) s, one second less each call
    slower = paired_speed([2.0] * 40, [1.0] * 40, seconds_to_load=1.0, first_call=1.0)
    assert (slower["speed_up"], slower["break_even_calls"]) == (0.5, None)
    assert paired_speed([1.0, 2.0], [2.0, 2.0], 0.0, 0.0)["speed_up_low"] is None


def test_calls_are_timed_in_turn_on_the_same_numbers() -> None:
    seen: list[tuple[str, int]] = []
    calls = [lambda n: seen.append(("a", n)), lambda n: seen.append(("b", n))]
    seconds = time_in_turn(calls, 4, "cpu", lambda: None)
    assert [len(own) for own in seconds] == [4, 4]
    assert [name for name, _ in seen] == ["b", "a", "a", "b"] * 3 + ["b", "a"]
    assert {n for name, n in seen if name == "a"} == {n for name, n in seen if name == "b"} == set(range(7))

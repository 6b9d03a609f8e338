"""Samples without an answer are told by number and reason, the most frequent first."""

from __future__ import annotations

from harness.text.failed_samples import counted_reasons, no_answers_told


def test_more_than_three_reasons_are_counted() -> None:
    failed = {"1": "a", "2": "b", "3": "b", "4": "c", "5": "d", "6": "e"}
    assert counted_reasons(failed) == {"b": 2, "a": 1, "c": 1, "d": 1, "e": 1}
    assert no_answers_told(failed, 2000) == "6 of 2,000 samples have no answer (2: b; 1: a; 1: c; 2 other reasons)"

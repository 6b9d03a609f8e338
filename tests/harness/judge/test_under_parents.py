"""Variants stand below the row of the training that they were made of."""

from __future__ import annotations

from dataclasses import dataclass

from harness.judge.variant_facts import under_parents


@dataclass(frozen=True)
class Line:
    model: str
    setting: str = ""
    trained_as: str = ""
    parent: str | None = None
    control: str | None = None


def test_a_parent_that_is_named_by_its_setting_is_found_by_its_training() -> None:
    small, large = Line("film", "limit=9", "a"), Line("film", "limit=90", "b")
    of_large, of_none = Line("film+int8", "", "b", "film"), Line("film+int4", "", "c", "film")
    never_ran = Line("film+onnx", "limit=9", "", "film")
    rows = [of_large, of_none, small, never_ran, large]
    assert under_parents(rows) == [of_none, small, never_ran, large, of_large]


def test_a_control_is_no_parent() -> None:
    control, variant = Line("film", "", "a", control="C0"), Line("film+int8", "", "a", "film")
    assert under_parents([variant, control]) == [variant, control]

"""Which settings tell records apart, and which records were made before a setting was there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.judge.record_settings import of_newest_code, setting_key, settings_of_row
from harness.judge.verdict.settings import record_settings_of, unmatched
from harness.record import RunRecord


def evaluated_in(record: Any, **evaluate: Any) -> RunRecord:
    made: RunRecord = record("film", 0.5)
    return replace(made, cell={**made.cell, "evaluate": {"batch_size": 8, **evaluate}})


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_another_precision_is_another_row_and_fp32_the_row_of_old(precision: str, record: Any) -> None:
    old, new, reduced = (evaluated_in(record, **more) for more in ({}, {"precision": "fp32"}, {"precision": precision}))
    assert setting_key(old) == setting_key(new) != setting_key(reduced)
    assert settings_of_row(reduced)["evaluate.precision"] == precision
    settings = [record_settings_of(each) for each in (old, new, reduced)]
    assert unmatched(settings[0], settings[1]) == []
    assert unmatched(settings[0], settings[2]) == [f"evaluate.precision {precision}, not fp32"]


def test_a_deterministic_training_is_another_row_and_one_that_is_not_the_row_of_old(record: Any) -> None:
    made = record("film", 0.5)

    def trained(**train: Any) -> RunRecord:
        return replace(made, cell={**made.cell, "training": {**made.cell["training"], "train": {"steps": 2, **train}}})

    old, plain, asked = trained(), trained(deterministic=False), trained(deterministic=True)
    assert setting_key(old) == setting_key(plain) != setting_key(asked)
    assert settings_of_row(asked)["train.deterministic"] is True


def test_code_that_an_option_draws_in_makes_no_other_row_old(record: Callable[..., RunRecord]) -> None:
    def made(created: str, words: str | None, drawn: str = "", code: str = "1") -> RunRecord:
        own = record("a", 0.5, created=created, code=code, seed=len(created))
        training = own.cell["training"]
        versions = {**training["versions"], **({"words": drawn} if drawn else {})}
        return replace(
            own, cell={**own.cell, "training": {**training, "train": {"words": words}, "versions": versions}}
        )

    plain, old, new = made("1", None), made("22", "word-delete", "x"), made("333", "word-delete", "y")
    assert of_newest_code([plain, old, new]) == [plain, new], "the older edits of words are an older state"
    assert of_newest_code([old, new, plain]) == [new, plain] and of_newest_code([plain]) == [plain]
    assert of_newest_code([plain, old, made("4444", None, code="2")])[0].seed == 4
    bare = replace(plain, cell={})
    assert of_newest_code([bare, new]) == [bare, new] and of_newest_code([bare]) == [bare]


def test_code_of_a_chosen_part_makes_no_other_row_old(record: Callable[..., RunRecord]) -> None:
    """A tuning policy brings code of its own, so that the same model tuned otherwise is of another `code.model`."""

    def made(created: str, tune: str | None, code: str) -> RunRecord:
        return record("a", 0.5, created=created, code=code, seed=len(created), options={"tune": tune})

    plain, old, new = made("1", None, "x"), made("22", "lora", "y"), made("333", "lora", "z")
    assert of_newest_code([plain, old]) == [plain, old]
    assert of_newest_code([old, new, plain]) == [new, plain], "the older code of the same parts is an older state"

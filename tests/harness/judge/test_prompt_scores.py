"""A model that is asked by several prompts is one row: their mean, with the spread over prompts told apart."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.judge.judged_leaderboard import judged_tables
from harness.judge.leaderboard import Row, build_rows
from harness.judge.verdict.evidence import FusionControls
from harness.record import RunRecord
from harness.report.leaderboard_tables import render_leaderboard

METRICS = ("main", "gone")
Make = Callable[..., RunRecord]


def asked(record: Make, prompt: str, value: float | None, seed: int = 0, **fields: Any) -> RunRecord:
    """A record of a model that was asked by one prompt, whose text is in its recipe."""
    made = record("chat:a", value, seed=seed, **fields)
    options = {"settings": {"prompt_name": prompt, "dtype": "bf16"}}
    training = {
        **made.cell["training"],
        "options": options,
        "recipe": {"prompt": {"name": prompt, "user": f"{prompt}?"}},
    }
    return replace(made, fingerprint=f"{prompt}-{seed}", cell={**made.cell, "training": training})


def tables(*records: RunRecord) -> list[list[Row]]:
    return judged_tables(records, METRICS, FusionControls({}))


def test_prompts_are_averaged_and_their_spread_is_by_hand(record: Make) -> None:
    values = {"a": 0.2, "b": 0.5, "c": 0.8}
    ((row,),) = tables(*(asked(record, prompt, value) for prompt, value in values.items()))
    found = row.metrics["main"]
    assert found is not None
    assert found.value == pytest.approx(0.5)
    reach = 4.302652729911275 * statistics.stdev(values.values()) / math.sqrt(3)
    assert found.interval == pytest.approx((0.5 - math.hypot(0.1, reach), 0.5 + math.hypot(0.1, reach)))
    assert (row.seeds, row.spreads, row.name) == ((0,), {}, "chat:a")
    content = row.to_json()["prompts"]
    assert content["spread"]["main"] == pytest.approx({"mean": 0.5, "sd": 0.3})
    assert {prompt: own["main"]["value"] for prompt, own in content["scores"].items()} == values
    json.dumps(row.to_json(), allow_nan=False)


def test_seeds_are_averaged_within_a_prompt_first(record: Make) -> None:
    records = [asked(record, p, v + s / 10, seed=s) for p, v in (("a", 0.2), ("b", 0.6)) for s in (0, 1)]
    ((row,),) = tables(*records)
    assert row.seeds == (0, 1)
    assert [own.metrics["main"].value for own in row.by_prompt if own.metrics["main"]] == pytest.approx([0.25, 0.65])
    assert row.metrics["main"] is not None
    assert row.metrics["main"].value == pytest.approx(0.45)
    assert len(row.fingerprints) == 4


def test_a_single_prompt_is_a_row_like_any_other(record: Make) -> None:
    ((row,),) = tables(asked(record, "a", 0.2))
    assert row.to_json()["prompts"] is None
    assert "by prompt" not in render_leaderboard([[row]], METRICS, "text")


def test_other_settings_stay_rows_of_their_own(record: Make) -> None:
    records = [asked(record, p, 0.5) for p in ("a", "b")] + [asked(record, "a", 0.1, steps=2)]
    records = [replace(r, fingerprint=str(n)) for n, r in enumerate(records)]
    (found,) = tables(*records)
    assert [(row.name, len(row.by_prompt)) for row in found] == [("chat:a steps=1", 2), ("chat:a steps=2", 0)]


def test_a_prompt_that_failed_is_told_and_not_averaged(record: Make) -> None:
    failed = asked(record, "b", None, status="failed", error="it broke")
    ((row,),) = tables(asked(record, "a", 0.2), failed)
    assert (row.status, row.error) == ("failed", "it broke")
    assert row.metrics["main"] is not None
    assert row.metrics["main"].value == 0.2


def test_the_table_shows_mean_spread_and_each_prompt(record: Make) -> None:
    found = tables(*(asked(record, p, v) for p, v in (("a", 0.25), ("b", 0.75))), record("other", 0.4))
    text = render_leaderboard(found, METRICS, "text", 100)
    line = next(line for line in text.splitlines() if line.startswith("chat:a"))
    assert line.split()[1:2] == ["0.500"]
    assert "0.354" in line  # the standard deviation of 0.25 and 0.75
    assert line.split()[-2:] == ["0.250", "0.750"]
    assert text.count("other  ") == 1, "a model that is not asked stands in the leaderboard alone"


def test_elsewhere_each_prompt_stays_a_setting(record: Make) -> None:
    """To compare, to gate and to judge, a prompt is a setting like any other."""
    (found,) = build_rows([asked(record, p, v) for p, v in (("a", 0.2), ("b", 0.5))], METRICS)
    assert [row.name for row in found] == ["chat:a prompt_name=b", "chat:a prompt_name=a"]

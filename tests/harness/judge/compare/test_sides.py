"""What both sides are called and in what they differ; what cannot be compared is refused by what differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.judge.compare.comparison import Comparison, Wanted, compare
from harness.judge.select_records import Chosen, select_pairs
from harness.plan.run_plan import Environment
from harness.record import Estimate, RunRecord
from harness.records.rescore import DataPlace
from harness.records.store import Store
from harness.report.comparison_tables import comparison_title, render_comparison

Make = Callable[..., RunRecord]


@pytest.fixture
def place(tmp_path: Path) -> DataPlace:
    return DataPlace(Environment(tmp_path, tmp_path / "cache", None))


@pytest.fixture
def store(tmp_path: Path, record: Make) -> Store:
    store = Store(str(tmp_path / "results"))
    metrics = {"alpha": Estimate(0.3, 0.2, 0.4, 48), "top-1": Estimate(0.5, 0.4, 0.6, 48)}

    def put(digits: str, model: str, **fields: Any) -> None:
        made = record(model, 0.5, task="image-classification", **fields)
        store.write_record(replace(made, fingerprint=digits.ljust(16, "0"), metrics=metrics))

    put("aaaaaa", "film", steps=50, created="2026-01-02")
    put("bbbbbb", "film", steps=400, created="2026-01-03", code="2")
    put("cccccc", "film", steps=50, created="2026-01-04", code="2")
    put("dddddd", "plain")
    put("eeeeee", "onetest", split="test")
    put("ffffff", "smaller", limit=7)
    return store


def compared(store: Store, place: DataPlace, a: str, b: str, **wanted: Any) -> Comparison:
    (pair,) = select_pairs(a, b, store, None)
    return compare(*pair, place, Wanted(**wanted))


@pytest.mark.parametrize(("other", "differs"), [("onetest", "split val and test"), ("smaller", "limit None and 7")])
def test_other_samples_are_refused_by_what_differs(other: str, differs: str, store: Store, place: DataPlace) -> None:
    with pytest.raises(UsageError, match=differs) as raised:
        compared(store, place, "plain", other)
    assert "--other-data" in str(raised.value)
    found = compared(store, place, "plain", other, other_data=True)
    assert comparison_title(found) == f"UNPAIRED, OTHER SAMPLES ({differs}): plain − {other}"
    assert render_comparison([found], "text").startswith("UNPAIRED, OTHER SAMPLES")


def test_the_metric_that_ranks_leads_though_records_are_in_the_order_of_the_alphabet(
    store: Store, place: DataPlace
) -> None:
    found = compared(store, place, "plain", "film")
    assert [difference.metric for difference in found.metrics] == ["top-1", "alpha"]
    assert found.main is not None and found.main.metric == "top-1"


def test_settings_of_one_model_are_named_by_what_differs(store: Store, place: DataPlace) -> None:
    found = compared(store, place, "film steps=50", "film steps=400")
    assert found.names == ("film steps=50", "film steps=400")
    assert "Settings that differ: steps 50 and 400." in found.notes
    by_fingerprint = compared(store, place, "aaaaaa", "bbbbbb")
    assert by_fingerprint.names == ("film@0 steps=50", "film@0 steps=400")
    assert "Code that differs: code.model not set and 2." in by_fingerprint.notes


def test_equal_settings_are_told_apart_by_their_fingerprints(store: Store, place: DataPlace) -> None:
    found = compared(store, place, "aaaaaa", "cccccc")
    assert found.names == ("film@0 (aaaaaa00)", "film@0 (cccccc00)")
    assert "The settings are the same." in found.notes


def test_a_setting_that_is_left_out_is_named(store: Store, place: DataPlace) -> None:
    found = compared(store, place, "film", "plain")
    assert any("Other settings of film, not compared here: film steps=" in note for note in found.notes)
    with pytest.raises(UsageError, match="Other settings of it here: film steps="):
        compared(store, place, "film", "film")


def test_a_name_without_settings_stays_as_it_is(store: Store) -> None:
    ((plain, _),) = select_pairs("plain", "dddddd", store, None)
    assert isinstance(plain, Chosen) and plain.title == "plain"

"""Rows are ranked only beside their like; a failure is no zero; every format says the same."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.judge.leaderboard import Row, build_rows
from harness.record import Efficiency, Estimate, RunRecord
from harness.report.leaderboard_tables import render_leaderboard
from harness.stats.seed_variance import combine_seeds

METRICS = ("main", "gone")
DOCUMENTED = [
    "task", "data", "split", "model", "control", "status", "error", "seeds", "metrics", "parameters_total",
    "parameters_trainable", "flops", "latency_p50_seconds", "latency_p95_seconds", "throughput_per_second",
    "peak_memory_bytes", "memory_added_bytes", "energy_joules", "train_seconds", "device", "fingerprint",
]  # fmt: skip
Make = Callable[..., RunRecord]


def rows(*records: RunRecord) -> list[list[Row]]:
    return build_rows(records, METRICS)


def names(tables: list[list[Row]]) -> list[list[str]]:
    return [[row.model for row in table] for table in tables]


def test_the_first_metric_ranks_and_failures_come_last(record: Make) -> None:
    failed = record("zz-failed", status="failed", error="it broke")
    tables = rows(record("low", 0.1), failed, record("high", 0.9), record("negative", -5.0))
    assert names(tables) == [["high", "low", "negative", "zz-failed"]]
    assert tables[0][3].metrics == {}


def test_costs_are_the_median_of_seeds_that_were_measured_on_the_device_that_the_row_names(record: Make) -> None:
    measured = [("T4", 0.9), ("H100", 0.1), ("T4", 0.7), ("H100", 0.3), ("H100", 0.2)]
    made = [
        record("a", 0.5 + seed / 100, seed=seed, device=device, efficiency=Efficiency(latency_p50_seconds=seconds))
        for seed, (device, seconds) in enumerate(measured)
    ]
    (row,) = rows(*made)[0]
    assert (row.device, row.efficiency.latency_p50_seconds, row.seeds) == ("H100", 0.2, (0, 1, 2, 3, 4))


@pytest.mark.parametrize(
    "changes", [{"data_digest": "d2"}, {"split": "test"}, {"signature": "main:2"}, {"limit": 8}, {"task": "b"}]
)
def test_rows_that_cannot_be_compared_stand_apart(changes: dict[str, Any], record: Make) -> None:
    tables = rows(record("a", 0.1), record("b", 0.9, **changes))
    assert names(tables) == [["a"], ["b"]]
    assert render_leaderboard(tables, METRICS, "text").count("main") >= 2


def test_the_share_that_was_evaluated_stands_in_every_format(record: Make) -> None:
    part = {"samples": {"evaluated": 500, "of": 5000}}
    tables = rows(record("a", 0.1, provenance=part, limit=500), record("b", 0.2, provenance=part, limit=500))
    assert "split val, 500 of 5,000 samples" in render_leaderboard(tables, METRICS, "text").splitlines()[0]
    assert "split val, 500 of 5,000 samples**" in render_leaderboard(tables, METRICS, "md").splitlines()[0]
    found = json.loads(render_leaderboard(tables, METRICS, "json"))
    assert [(row["samples"], row["samples_total"]) for row in found] == [(500, 5000)] * 2
    line = next(csv.DictReader(io.StringIO(render_leaderboard(tables, METRICS, "csv"))))
    assert (line["samples"], line["samples_total"]) == ("500", "5000")
    whole = rows(record("a", 0.1, provenance={"samples": {"evaluated": 5000, "of": 5000}}))
    assert "split val, 5,000 samples" in render_leaderboard(whole, METRICS, "text").splitlines()[0]
    assert "split val, 48 samples" in render_leaderboard(rows(record("a", 0.1)), METRICS, "text").splitlines()[0]


def test_a_failure_stands_beside_the_rest_of_its_data(record: Make) -> None:
    failed = record("c", status="failed", error="it broke")
    assert names(rows(record("a", 0.1, signature="main:0"), record("b", 0.2), failed)) == [["a"], ["b", "c"]]
    assert names(rows(failed)) == [["c"]]


def test_seeds_are_combined_by_hand(record: Make) -> None:
    estimates = [Estimate(v, v - 0.2, v + 0.3, 48) for v in (1.0, 2.0, 3.0)]
    combined = combine_seeds(estimates)
    reach = 4.302652729911275 * 1.0 / math.sqrt(3)
    assert combined.value == pytest.approx(2.0)
    assert combined.low == pytest.approx(2.0 - math.hypot(0.2, reach))
    assert combined.high == pytest.approx(2.0 + math.hypot(0.3, reach))
    assert combined.count == 48
    assert combine_seeds(estimates[:1]) == estimates[0]
    ((row,),) = rows(*(record("a", 0.5 + seed, seed=seed) for seed in range(3)))
    assert row.seeds == (0, 1, 2)
    assert row.metrics["main"] is not None
    assert row.metrics["main"].value == pytest.approx(1.5)
    assert len(row.fingerprints) == 3


def test_a_seed_that_failed_is_not_averaged_and_not_hidden(record: Make) -> None:
    ((row,),) = rows(record("a", 0.5), record("a", seed=1, status="failed", error="it broke"))
    assert (row.status, row.error, row.seeds) == ("failed", "it broke", (0,))
    assert row.metrics["main"] is not None
    assert row.metrics["main"].value == 0.5
    assert "it broke" in render_leaderboard([[row]], METRICS, "text")


def test_costs_are_medians_over_seeds(record: Make) -> None:
    costs = [Efficiency(3, latency_p50_seconds=seconds) for seconds in (9.0, 1.0, 2.0)]
    ((row,),) = rows(*(record("a", 0.5, seed=seed, efficiency=cost) for seed, cost in enumerate(costs)))
    assert (row.efficiency.latency_p50_seconds, row.efficiency.parameters_total) == (2.0, 3)


def test_each_setting_is_a_row_that_says_what_differs(record: Make) -> None:
    """It used to be the newest alone, and nothing said that another was there."""
    first = [record("a", 0.9, seed=seed, created="2026-01") for seed in range(3)]
    second = record("a", 0.1, steps=2, created="2026-02")
    for order in ([*first, second], [second, *first]):
        (table,) = rows(*order)
        assert [row.name for row in table] == ["a steps=1", "a steps=2"]
        assert [row.seeds for row in table] == [(0, 1, 2), (0,)], "seeds of one setting belong together"
        assert [row.older for row in table] == [(), ()]
    ((alone,),) = rows(*first)
    assert alone.name == "a"
    text = render_leaderboard(rows(*first, second), METRICS, "text")
    assert "a steps=1" in text and "a steps=2" in text and "older record" not in text


def test_records_of_older_code_are_folded_and_not_dropped(record: Make) -> None:
    old = [record("a", 0.9, seed=seed, created="2026-01", code="1") for seed in range(2)]
    new = record("a", 0.1, created="2026-02", code="2")
    ((row,),) = rows(*old, new)
    assert (row.name, row.fingerprints) == ("a", (new.fingerprint,))
    assert set(row.older) == {r.fingerprint for r in old}
    assert "2 older records of other code versions: --all shows them" in render_leaderboard([[row]], METRICS, "text")
    (table,) = build_rows([*old, new], METRICS, every_code=True)
    assert [(r.name, len(r.seeds), r.older) for r in table] == [
        ("a code.model=1", 2, ()), ("a code.model=2", 1, ())
    ]  # fmt: skip


def test_what_was_only_measured_again_is_the_same_row(record: Make) -> None:
    first = record("a", 0.9, created="2026-01")
    again = replace(first, created="2026-02", fingerprint="again", cell=first.cell | {"measure": {"runs": 5}})
    ((row,),) = rows(first, again)
    assert (row.fingerprints, row.replaced, row.older) == (("again",), (first.fingerprint,), ())
    assert "1 record of rows that were measured or resampled again: not shown" in render_leaderboard(
        [[row]], METRICS, "md"
    )


def test_a_skip_hides_no_score_and_is_forgotten_after_one(record: Make) -> None:
    skip = replace(record("a", status="skipped", error="no weights", created="2026-01"), cell={})
    done = record("a", 0.5, created="2026-02")
    assert [row.status for row in rows(skip, done)[0]] == ["ok"]
    later = replace(skip, created="2026-03")
    assert sorted(row.status for row in rows(done, later)[0]) == ["ok", "skipped"]


def test_a_control_is_a_row_of_its_own(record: Make) -> None:
    tables = rows(record("a", 0.5), record("a", 0.2, control="C1"))
    assert [(row.model, row.control) for row in tables[0]] == [("a", None), ("a", "C1")]
    assert "a [C1]" in render_leaderboard(tables, METRICS, "text")


@pytest.fixture
def mixed(record: Make) -> list[list[Row]]:
    bad = record("b|c", status="failed", error="out of | memory")
    return rows(record("a", 0.5), bad, record("d", 0.25, signature="main:0", created="2025"))


def test_json_has_the_documented_keys(mixed: list[list[Row]]) -> None:
    parsed = json.loads(render_leaderboard(mixed, METRICS, "json"))
    assert len(parsed) == 3
    for row in parsed:
        assert set(DOCUMENTED) <= set(row)
    good = next(row for row in parsed if row["model"] == "a")
    assert good["metrics"] == {"main": {"value": 0.5, "low": 0.4, "high": 0.6, "count": 48}, "gone": None}
    assert good["seeds"] == 1
    bad = next(row for row in parsed if row["model"] == "b|c")
    assert (bad["status"], bad["error"], bad["metrics"]) == ("failed", "out of | memory", {})


def test_csv_parses_back(mixed: list[list[Row]]) -> None:
    parsed = {row["model"]: row for row in csv.DictReader(io.StringIO(render_leaderboard(mixed, METRICS, "csv")))}
    assert float(parsed["a"]["main"]) == 0.5
    assert float(parsed["a"]["main low"]) == 0.4
    assert (parsed["a"]["gone"], parsed["b|c"]["main"], parsed["b|c"]["status"]) == ("", "", "failed")
    assert parsed["b|c"]["error"] == "out of | memory"


def test_markdown_has_equal_columns_and_shows_absent(mixed: list[list[Row]]) -> None:
    lines = [line for line in render_leaderboard(mixed, METRICS, "md").splitlines() if line.startswith("|")]
    columns = [line.replace("\\|", "").count("|") for line in lines]
    assert len(set(columns)) == 1
    (good,) = [line for line in lines if line.startswith("| a ")]
    assert "0.500 [0.400, 0.600]" in good
    assert "absent" in good
    (bad,) = [line for line in lines if line.startswith("| b")]
    assert "failed" in bad
    assert "0.0" not in bad


@pytest.mark.parametrize(("style", "expected"), [("text", "No records"), ("md", "No records"), ("json", "[]")])
def test_no_records(style: str, expected: str) -> None:
    assert render_leaderboard([], METRICS, style).startswith(expected)


CEILINGS = {
    "main": {"vision": 0.7, "text": 0.2, "both": 0.9},
    "main[day honest]": {"vision": 1.0, "text": 0.3, "both": 1.0},
}


@pytest.fixture
def sliced(record: Make) -> Callable[..., RunRecord]:
    """Make a record with slices, a class and ceilings: `sliced(model, mean, day, night)`."""

    def make(model: str, mean: float, day: float, night: float | None = None, **fields: Any) -> RunRecord:
        def e(value: float) -> Estimate:
            return Estimate(value, value - 0.1, value + 0.1, 48)

        metrics: dict[str, Estimate | None] = {"main": e(mean), "main[day honest]": e(day), "main:cat": e(0.123)}
        metrics["main:crane [bird]"] = e(0.321)
        if night is not None:
            metrics["main[night]"] = e(night)
        return record(model, mean, metrics=metrics, ceilings=CEILINGS, **fields)

    return make


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("style", ["text", "md"])
def test_slices_stand_before_the_mean_that_hides_them(style: str, sliced: Any, record: Make) -> None:
    failed = record("broken", status="failed", error="it broke")
    text = render_leaderboard(
        rows(sliced("fused", 0.8, 0.7, 0.95), sliced("plain", 0.6, 0.9, 0.4), failed), METRICS, style
    )
    assert text.index("by slice") < text.index("0.800 [0.700, 0.900]")
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if "by slice" in line)
    table = lines[begin : begin + (7 if style == "md" else 8)]
    assert [word for word in ("day honest", "night") if word in table[0]] == ["day honest", "night"]
    assert not any(word in "\n".join(table) for word in ("broken", "0.123", "0.321", "0.800"))
    assert "0.123" not in text and "0.321" not in text, "classes are left to JSON and CSV"
    if style == "md":
        assert [cells(line) for line in table[2:6]] == [
            ["fused", "0.700", "0.950"], ["plain", "0.900", "0.400"],
            ["ceiling: vision", "1.000", ""], ["ceiling: text", "0.300", ""],
        ]  # fmt: skip


def test_ceilings_stand_below_their_columns(sliced: Any) -> None:
    text = render_leaderboard(rows(sliced("fused", 0.8, 0.7)), METRICS, "md")
    main = text[text.index("| model |") :].splitlines()
    column = cells(main[0]).index("main")
    ceilings = {cells(line)[0]: cells(line) for line in main if line.startswith("| ceiling")}
    assert {name: row[column] for name, row in ceilings.items()} == {
        "ceiling: vision": "0.700", "ceiling: text": "0.200", "ceiling: both": "0.900",
    }  # fmt: skip
    assert all(len(row) == len(cells(main[0])) for row in ceilings.values())
    assert not any(cell for row in ceilings.values() for n, cell in enumerate(row) if n not in (0, column))


def test_without_slices_and_ceilings_there_is_one_table(record: Make) -> None:
    text = render_leaderboard(rows(record("a", 0.5)), METRICS, "md")
    assert "by slice" not in text and "ceiling" not in text
    assert sum(line.startswith("|---") for line in text.splitlines()) == 1


def test_rows_within_two_points_of_the_ceiling_are_not_ranked(sliced: Any) -> None:
    near = [sliced("a", 0.89, 1.0), sliced("b", 0.88, 1.0), sliced("c", 0.879, 1.0)]
    text = render_leaderboard(rows(*near), METRICS, "text")
    assert "within 2 points of the ceiling, so not ranked: a, b\n" in text
    assert "not ranked" not in render_leaderboard(rows(near[0], near[2]), METRICS, "text"), (
        "one row alone needs no ranking"
    )


def test_models_that_cannot_learn_here_get_no_verdict(record: Make) -> None:
    def learnable(*answers: bool | None) -> list[RunRecord]:
        return [
            record("a", 0.5, seed=seed, provenance={"training": {} if answer is None else {"learnable": answer}})
            for seed, answer in enumerate(answers)
        ]

    for answers, expected in (
        ((True, True), True), ((True, False), False), ((None, False), False), ((None, None), None),
        ((None, True), True),
    ):  # fmt: skip
        tables = rows(*learnable(*answers))
        assert tables[0][0].learnable is expected
        assert (
            "a: not learnable here (it cannot fit 32 samples): no verdict"
            in render_leaderboard(tables, METRICS, "text")
        ) == (expected is False)
        assert json.loads(render_leaderboard(tables, METRICS, "json"))[0]["learnable"] is expected


def test_json_and_csv_hold_slices_classes_and_ceilings(sliced: Any) -> None:
    tables = rows(sliced("fused", 0.8, 0.7, 0.95))
    (row,) = json.loads(render_leaderboard(tables, METRICS, "json"))
    assert row["ceilings"] == CEILINGS
    assert row["metrics"]["main[night]"]["value"] == 0.95
    assert row["metrics"]["main:crane [bird]"]["value"] == 0.321
    (line,) = csv.DictReader(io.StringIO(render_leaderboard(tables, METRICS, "csv")))
    values = {name: float(line[name]) for name in ("main", "main[night]", "main[night] low", "main:cat")}
    assert values == pytest.approx({"main": 0.8, "main[night]": 0.95, "main[night] low": 0.85, "main:cat": 0.123})
    known = {source: float(line[f"main ceiling: {source}"]) for source in CEILINGS["main"]}
    assert known == CEILINGS["main"]
    assert not [cell for cell in line.values() if cell.startswith(("{", "["))]

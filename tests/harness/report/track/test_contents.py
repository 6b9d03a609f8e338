"""What is handed to trackers says what the records say: no number is made, none is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.judge.leaderboard import build_rows
from harness.record import RunRecord
from harness.report.track.contents import cell_run, final_values, flat, read_curves, tracked_table


def test_curves_hold_every_number_at_its_step_and_warnings_apart() -> None:
    lines = [
        {"step": 5, "loss": 0.75, "seconds": 1.5},
        {"step": 5, "validation_score": 0.25},
        {"step": 2, "warning": "less memory"},
        {"step": 3, "loss": 1},
    ]
    curves, warnings = read_curves("\n".join(json.dumps(line) for line in lines).encode())
    assert list(curves.items()) == [
        (3, {"train/loss": 1.0}),
        (5, {"train/loss": 0.75, "train/seconds": 1.5, "train/validation_score": 0.25}),
    ]
    assert warnings == ("step 2: less memory",)


def test_curves_of_trials_stand_apart() -> None:
    lines = [
        {"trial": 0, "step": 2, "loss": 0.5},
        {"trial": 1, "step": 2, "loss": 0.25},
        {"trial": 1, "step": 3, "warning": "less memory"},
    ]
    curves, warnings = read_curves("\n".join(json.dumps(line) for line in lines).encode())
    assert curves == {2: {"trial-0/loss": 0.5, "trial-1/loss": 0.25}}
    assert warnings == ("trial 1, step 3: less memory",)


def test_final_values_leave_out_what_is_absent(results: Any) -> None:
    values = final_values(results.trained)
    assert values == {
        "score/main": 0.5, "score/main/low": 0.4, "score/main/high": 0.6,
        "score/main[night honest]": 0.25, "score/main[night honest]/low": 0.1, "score/main[night honest]/high": 0.4,
        "score/main:cat": 0.1, "score/main:cat/low": 0.0, "score/main:cat/high": 0.2,
        "cost/parameters_total": 7.0, "cost/latency_p50_seconds": 0.5,
    }  # fmt: skip
    assert final_values(results.failed) == {}


def test_a_run_is_named_by_its_cell_and_knows_what_it_was_made_with(results: Any) -> None:
    run = cell_run(results.failed, ["step 2: less memory"])
    assert run.name == "a-task/b-model[C1]/seed1"
    assert (run.key, run.group) == (results.failed.fingerprint, "a-task")
    assert run.config["error"] == "it broke"
    assert run.config["training_warnings"] == "step 2: less memory"
    assert cell_run(results.trained, ()).name == "a-task/a-model/seed0"
    assert cell_run(results.trained, ()).config["provenance.training.learnable"] is True
    assert cell_run(results.trained, ()).config["cell.training.steps"] == 1
    json.dumps(run.config, allow_nan=False)


def test_the_table_has_a_row_a_model_and_none_for_what_is_absent(record: Callable[..., RunRecord]) -> None:
    records = [record("good", 0.9), record("poor", 0.2), record("zz", status="failed", error="it broke")]
    header, rows = tracked_table(build_rows(records, ("main", "gone")), ("main", "gone"))
    table = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["model"] for row in table] == ["good", "poor", "zz"]
    assert (table[0]["main"], table[0]["main low"], table[0]["main high"]) == (0.9, 0.9 - 0.1, 0.9 + 0.1)
    assert table[2]["main"] is None and table[2]["status"] == "failed"
    assert table[0]["gone"] is None
    assert not any(":" in name for name in header)


nested = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), nested, max_size=4))
def test_laying_flat_loses_no_leaf(content: dict[str, Any]) -> None:
    def leaves(inner: Any) -> list[Any]:
        return [leaf for value in inner.values() for leaf in leaves(value)] if isinstance(inner, dict) else [inner]

    assert list(flat(content).values()) == leaves(content)

"""`bench check` from folders to exit codes: what is compared, what is refused, what is missing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from harness.records.store import Store
from harness.records.table_names import scores_name

from .conftest import RIGHT, WORSE


def test_a_baseline_of_itself_is_fine(baseline, check):
    written = baseline()
    assert written.code == 0
    assert "base (2 cells" in written.text
    same = check("base", "before", "--format", "json")
    assert same.code == 0
    assert {row["outcome"] for row in same.rows.values()} == {"unchanged"}
    assert len(same.rows) == 6


def test_worse_answers_are_a_regression(baseline, run_in, check):
    baseline()
    run_in("now").add("a", WORSE)
    run_in("now").add("b", RIGHT)
    checked = check("base", "now", "--format", "json")
    assert checked.code == 1
    row = checked.rows["a", "accuracy"]
    assert (row["outcome"], row["before"], row["now"], row["loss"]) == ("regressed", 0.5, 0.3, pytest.approx(0.2))
    assert checked.rows["b", "accuracy"]["outcome"] == "unchanged"
    assert "bench check: regressed (1 regressed, 5 unchanged)" in check("base", "now").text


def test_a_variant_is_guarded_for_itself_though_its_parent_answers_as_before(run_in, check):
    """Worse answers and more memory of the model in 8 bits alone; the newest record of each setting is compared."""
    made = {"training": {"seed": 0, "steps": 1, "versions": {"model": ""}, "model": "a"}, "variant": {"name": "int8"}}
    for folder, answers, memory in (("before", RIGHT, 600), ("now", WORSE, 900)):
        run_in(folder).add("a", RIGHT)
        run_in(folder).add("a+int8", answers, cell=made, memory=memory * 2**20)
    assert check("base", "before", "--update").code == 0
    checked = check("base", "now", "--format", "json")
    outcomes = {place: row["outcome"] for place, row in checked.rows.items()}
    assert (checked.code, outcomes["a", "accuracy"]) == (1, "unchanged")
    assert (outcomes["a+int8", "accuracy"], outcomes["a+int8", "memory"]) == ("regressed", "regressed")


def test_better_answers_are_fine_and_ask_for_an_update(baseline, run_in, check):
    baseline(WORSE)
    for model in "ab":
        run_in("now").add(model, RIGHT)
    checked = check("base", "now")
    assert checked.code == 0
    assert "2 improved" in checked.text
    assert "--update' writes a new baseline" in checked.text


@pytest.mark.parametrize(("field", "value", "kind"), [("ratio", 3.0, "latency"), ("memory", 900 * 2**20, "memory")])
def test_cost_is_checked(field, value, kind, baseline, run_in, check):
    baseline()
    run_in("now").add("a", RIGHT)
    run_in("now").add("b", RIGHT, **{field: value})
    checked = check("base", "now", "--format", "json")
    assert (checked.code, checked.rows["b", kind]["outcome"]) == (1, "regressed")
    assert checked.rows["b", kind]["loss"] == pytest.approx(0.5)


def test_an_update_makes_a_regression_the_baseline(baseline, run_in, check):
    baseline()
    for model in "ab":
        run_in("now").add(model, WORSE)
    assert check("base", "now").code == 1
    assert check("base", "now", "--update").code == 0
    assert check("base", "now").code == 0


def test_a_model_without_a_record_is_missing(baseline, run_in, check):
    baseline()
    run_in("now").add("a", RIGHT)
    checked = check("base", "now", "--format", "json")
    row = checked.rows["b", "accuracy missing"]
    assert (checked.code, row["outcome"], row["note"], row["before"]) == (3, "missing", "it has no record now", 0.5)
    assert "bench check: not measured (1 missing, 3 unchanged)" in check("base", "now").text


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_record_that_failed_is_missing_and_says_why(status, baseline, run_in, check):
    baseline()
    run_in("now").add("a", RIGHT)
    run_in("now").add("b", status=status, error="Traceback\nValueError: planted")
    checked = check("base", "now", "--format", "json")
    assert checked.code == 3
    assert checked.rows["b", "accuracy missing"]["note"] == f"seed 0: {status} now (ValueError: planted)"


def test_a_regression_counts_for_more_than_what_is_missing(baseline, run_in, check):
    baseline()
    run_in("now").add("a", WORSE)
    assert check("base", "now").code == 1


def test_fewer_seeds_are_missing_and_the_others_compared(run_in, check):
    for seed in range(3):
        run_in("before").add("a", RIGHT, seed=seed)
    check("base", "before", "--update")
    run_in("now").add("a", RIGHT, seed=0)
    run_in("now").add("a", RIGHT, seed=1, status="failed", error="it fell")
    checked = check("base", "now", "--format", "json")
    assert checked.code == 3
    assert checked.rows["a", "accuracy"]["outcome"] == "unchanged"
    note = checked.rows["a", "accuracy missing"]["note"]
    assert note == "seed 1: failed now (it fell); seed 2: no record now"


def test_other_seeds_are_missing_and_more_seeds_are_fine(run_in, check):
    run_in("before").add("a", RIGHT, seed=0)
    check("base", "before", "--update")
    run_in("now").add("a", RIGHT, seed=1)
    assert "seed 0: no record now" in check("base", "now").text
    run_in("now").add("a", RIGHT, seed=0)
    assert check("base", "now").code == 0


def test_records_of_older_code_do_not_stand_in(run_in, check):
    """Seed 1 was last run with other code, so it is not there for this."""
    for seed in (0, 1):
        run_in("before").add("a", RIGHT, seed=seed)
    check("base", "before", "--update")
    for seed in (0, 1):
        run_in("now").add("a", RIGHT, seed=seed, created="2026-01-01", code="1", fingerprint=f"old-{seed}")
    run_in("now").add("a", RIGHT, seed=0, created="2026-01-02", code="2", fingerprint="new-0")
    checked = check("base", "now")
    assert checked.code == 3
    assert "seed 1: no record now" in checked.text


@pytest.mark.parametrize("other", [{"steps": 2}, {"steps": 1, "tune": "lora", "code": "with-lora"}])
def test_another_setting_in_the_folder_changes_nothing(other, run_in, check):
    """The baseline's own setting is compared, though another one was run later; a row keeps its name."""
    worse = [False] * len(RIGHT)
    for seed in (0, 1):
        run_in("before").add("a", RIGHT, seed=seed, steps=1)
    check("base", "before", "--update")
    for seed in (0, 1):
        run_in("now").add("a", RIGHT, seed=seed, created="2026-01-01", steps=1, fingerprint=f"own-{seed}")
    alone = check("base", "now")
    run_in("now").add("a", worse, seed=0, created="2026-01-02", fingerprint="other-0", **other)
    beside = check("base", "now")
    assert (alone.code, beside.code) == (0, 0)
    assert beside.text == alone.text


def test_where_only_another_setting_is_left_it_is_said(run_in, check):
    run_in("before").add("a", RIGHT, steps=1)
    check("base", "before", "--update")
    run_in("now").add("a", RIGHT, steps=2)
    assert "other settings than the baseline's: image-classification, a" in check("base", "now").text
    run_in("now").add("a", RIGHT, steps=3, created="2026-01-02", fingerprint="third")
    assert (
        "Of several settings of a model the newest is in it; left out: image-classification, a: 1."
        in check("base2", "now", "--update").text
    )


def test_new_models_are_told_of(baseline, run_in, check):
    baseline()
    for model in "abc":
        run_in("now").add(model, RIGHT)
    run_in("now").add("d", status="skipped", error="no weights")
    assert check("base", "now").code == 0
    assert "not in the baseline: image-classification, c\n" in check("base", "now").text
    assert json.loads(check("base", "now", "--format", "json").text)["new"] == ["image-classification, c"]


def test_a_lost_condition_is_missing(baseline, run_in, check):
    baseline({"": RIGHT, "fog-1": [1, 1], "snow-1": [1, 0], "typo-1": "skipped"})
    run_in("now").add("a", {"": RIGHT, "fog-1": [1, 1], "snow-1": [1, 0]})
    run_in("now").add("b", {"": RIGHT, "fog-1": [1, 1], "snow-1": "failed"})
    checked = check("base", "now", "--format", "json")
    assert checked.code == 3
    assert checked.rows["b", "robustness missing"]["note"] == "not scored now: snow-1"
    assert checked.rows["a", "robustness"]["outcome"] == checked.rows["b", "robustness"]["outcome"] == "unchanged"


def test_worse_under_perturbation_is_a_regression(baseline, run_in, check):
    baseline({"": RIGHT, "fog-1": RIGHT, "snow-1": RIGHT})
    for model in "ab":
        run_in("now").add(model, {"": RIGHT, "fog-1": WORSE, "snow-1": WORSE})
    checked = check("base", "now", "--format", "json")
    assert (checked.code, checked.rows["a", "robustness"]["outcome"]) == (1, "regressed")
    assert checked.rows["a", "accuracy"]["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data_digest": "d2"}, "a: the baseline has the data digest 'd1', the record a-0 has 'd2'"),
        ({"signature": "top-1:2"}, "a: the baseline has the metric signature 'top-1:1', the record a-0 has 'top-1:2'"),
    ],
)
def test_other_data_and_metrics_are_refused(fields, message, baseline, run_in, check):
    baseline()
    run_in("now").add("a", RIGHT, **fields)
    checked = check("base", "now")
    assert checked.code == 3
    assert message in checked.text
    assert "--update" in checked.text


def test_another_ranking_metric_is_refused(run_in, check):
    before = run_in("before").add("a", RIGHT)
    check("base", "before", "--update")
    run_in("now").add("a", RIGHT, metrics={"top-1": None, "mAP": before.metrics["top-1"]})
    checked = check("base", "now")
    assert checked.code == 3
    assert "the baseline has the ranking metric 'top-1', the record a-0 has 'mAP'" in checked.text


def test_a_metric_that_is_absent_now_is_missing(baseline, run_in, check):
    baseline()
    run_in("now").add("a", RIGHT, metrics={"top-1": None})
    run_in("now").add("b", RIGHT)
    checked = check("base", "now", "--format", "json")
    assert checked.code == 3
    assert checked.rows["a", "accuracy missing"]["note"] == "seed 0: the metric is absent now"


def test_missing_sample_scores_are_said_and_compared_unpaired(baseline, run_in, check, tmp_path):
    baseline()
    for model in "ab":
        run_in("now").add(model, RIGHT)
        (tmp_path / "now" / f"image-classification/scores/{model}-0.parquet").unlink()
    row = check("base", "now", "--format", "json").rows["a", "accuracy"]
    assert (row["note"], row["outcome"], row["p"]) == ("unpaired: no sample scores now", "inconclusive", 1.0)


def test_other_samples_are_unpaired(baseline, run_in, check):
    baseline()
    for model in "ab":
        run_in("now").add(model, RIGHT[:50])
    assert check("base", "now", "--format", "json").rows["a", "accuracy"]["note"] == "unpaired: other samples"


def test_scores_that_are_no_numbers(baseline, run_in, check, tmp_path, table):
    baseline()
    for model in "ab":
        run_in("now").add(model, RIGHT)
    broken = table([np.nan, *RIGHT[1:]])
    Store(str(tmp_path / "now")).write_sample_scores(scores_name("image-classification", "a-0"), broken)
    checked = check("base", "now", "--format", "json")
    assert checked.code == 3
    assert checked.rows["a", "accuracy missing"]["note"] == (
        "1 of 200 sample scores are NaN or infinite: run that cell again"
    )
    refused = check("new", "now", "--update")
    assert refused.code == 3
    assert "a, seed 0: 1 sample scores of top-1 are NaN or infinite. Delete record a-0 and run it again" in refused.text
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"device": "another machine"}, "other hardware: a machine before, another machine now"),
        ({"version": 2}, "calibration workload 1 before, 2 now"),
        ({"ratio": None}, "not measured now"),
    ],
)
def test_latency_that_cannot_be_compared_is_inconclusive(fields, note, baseline, run_in, check):
    baseline()
    for model in "ab":
        run_in("now").add(model, RIGHT, **fields)
    checked = check("base", "now", "--format", "json")
    row = checked.rows["a", "latency"]
    assert (row["outcome"], row["note"], checked.code) == ("inconclusive", note, 0)


def test_a_busy_machine_is_no_regression_and_a_busy_baseline_is_told_of(baseline, run_in, check):
    busy = {"machine": {"threads": 1, "logical_cores": 2}, "foreign_cpu_share": 0.84}
    baseline()
    for model in "ab":
        run_in("now").add(model, RIGHT, ratio=15.0, notes=busy)
    checked = check("base", "now", "--format", "json")
    assert checked.rows["a", "latency"]["note"] == "others kept the machine busy now"
    assert checked.code == 0
    assert "2 of them were timed while others kept the machine busy" in check("new", "now", "--update").text


def test_nothing_but_inconclusive_rows_is_not_measured(baseline, run_in, check):
    baseline()
    for model in "ab":
        run_in("now").add(model, RIGHT[:20], device="another machine")
    checked = check("base", "now", "--format", "json")
    assert {row["outcome"] for row in checked.rows.values()} == {"inconclusive"}
    assert checked.code == 3


def test_tasks_are_chosen_and_unknown_ones_named(baseline, check):
    baseline()
    assert check("base", "before", "--task", "image-classification").code == 0
    assert check("base", "before", "--task", "all").code == 0
    checked = check("base", "before", "--task", "image-classification,coco-caption")
    assert checked.code == 3
    assert "has no rows of coco-caption. It has: image-classification" in checked.text


def test_an_update_of_one_task_keeps_the_others(run_in, check):
    made = run_in("before").add("a", RIGHT)
    check("base", "before", "--update")
    store = Store(str(run_in("captions").folder))
    caption = replace(made, task="coco-caption", metrics={"CIDEr": made.metrics["top-1"]}, fingerprint="c-0")
    store.write_record(caption)
    written = check("base", "captions", "--update", "--task", "coco-caption")
    assert "(2 cells" in written.text
    assert check("base", "before", "--task", "image-classification").code == 0
    assert check("base", "before").code == 3  # the caption has no record there
    absent = check("base", "before", "--update", "--task", "coco-caption")
    assert absent.code == 3
    assert "has no scored record of coco-caption" in absent.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "xml"), "--format: unknown value 'xml'"),
        (("--out", "check.html"), "--out check.html: unknown ending '.html'"),
        (("--false-discovery", "2"), "--false-discovery 2.0: give a share between 0 and 1"),
        (("--drop", "-1"), "--drop -1.0: give 0.005 or more"),
        (("--task", ","), "--task is empty"),
    ],
)
def test_wrong_words_are_usage(options, message, baseline, check):
    baseline()
    checked = check("base", "before", *options)
    assert checked.code == 2
    assert message in checked.text

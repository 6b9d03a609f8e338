"""Rows of comparable models only; a failure or a skipped condition is never a score; every format says the same."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.errors import UsageError
from harness.judge.robustness.calibration_shift import calibration_by_severity
from harness.judge.robustness.published import ALEXNET
from harness.judge.robustness.reference_table import reference_from
from harness.judge.robustness.row import RobustnessRow
from harness.judge.robustness.summary import summaries
from harness.record import Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.report.robustness_tables import render_conditions, render_summary

Make = Callable[..., RobustnessRecord]
MakeRun = Callable[..., RunRecord]
Standard = Callable[[float], dict[tuple[str, int], float]]
WRONG = {("wrong-image", n): 0.15 for n in range(1, 6)}


def test_one_model_by_hand(record: Make, run: MakeRun, standard: Standard) -> None:
    cells = {**standard(0.6), ("fog", 5): 0.3, ("typo-keyboard", 1): 0.7, **WRONG, ("pgd-linf", 1): 0.0}
    mine = record("m", 0.8, cells)
    slices = {"top-1[day]": Estimate(0.9, 0.8, 1.0, 500), "top-1[night]": Estimate(0.7, 0.6, 0.8, 500)}
    emap = {"EMAP top-1": Estimate(0.5, 0.4, 0.6, 200), "interaction": Estimate(0.1, 0.0, 0.2, 200)}
    (row,) = summaries([mine], [run(mine, **slices, **emap)], reference_from([mine], "itself"))
    mpc = (74 * 0.6 + 0.3) / 75
    assert (row.clean.value, row.corruption.mpc.value, row.corruption.rpc.value) == pytest.approx((0.8, mpc, mpc / 0.8))
    assert row.corruption.label == "mPC"
    assert row.mce is not None and row.mce.mce.value == pytest.approx(1) == row.mce.relative.value
    assert row.mmi_text.overall.value == pytest.approx(0.1 / 0.7)
    assert row.mmi_image.overall.value == pytest.approx(((14 * 0.2 + 0.26) / 0.7) / 15)
    assert row.worst is not None, "modality controls and attacks are apart"
    assert (row.worst.perturbation, row.worst.severity, row.worst.score.value) == ("fog", 5, 0.3)
    assert (row.planned, row.failed, row.skipped) == (82, 0, 0)
    assert row.drops["fog"].absolute.value == pytest.approx(0.26)
    assert row.drops["fog"].corrected.value == pytest.approx(0.26 / 0.7)
    assert row.modality_use.image.verdict == "yes"
    assert row.modality_use.emap.value == 0.5
    assert [(g.name, g.interpretable) for g in row.worst_groups] == [("night", True)]
    assert "0 un-fused models" in str(row.effective["mPC"].figure.reason)


def test_seeds_are_averaged_cell_by_cell(record: Make, standard: Standard) -> None:
    seeds = [record("m", 0.7 + 0.1 * n, standard(0.5 + 0.1 * n), seed=n) for n in (1, 0)]
    (row,) = summaries(seeds, [])
    assert row.seeds == (0, 1) and row.clean.value == pytest.approx(0.75)
    assert row.corruption.mpc.value == pytest.approx(0.55)
    assert row.clean.low is not None and row.clean.low < 0.73, "the seeds' own variance is in the interval"
    fog = next(c for c in row.conditions if (c.perturbation, c.severity) == ("fog", 1))
    assert (fog.score.value, fog.count) == (pytest.approx(0.55), 1000)


@pytest.mark.parametrize(
    "changes",
    [{"data_digest": "d2"}, {"signature": "top-1:2"}, {"limit": 8}, {"split": "val"}, {"shortest_px": 0},
     {"task": "b"}, {"metric": "AP"}],
)  # fmt: skip
def test_what_cannot_be_compared_stands_apart(changes: dict[str, Any], record: Make, standard: Standard) -> None:
    rows = summaries([record("a", 0.8, standard(0.5)), record("b", 0.8, {("fog", 1): 0.5}, **changes)], [])
    assert len({row.scope for row in rows}) == 2
    assert [row.corruption.cells for row in rows] == [75, 1]
    assert render_summary(rows).count("clean") >= 2
    seeds = [record("a", 0.8, standard(0.5)), record("a", 0.9, standard(0.5), seed=1, **changes)]
    assert [row.seeds for row in summaries(seeds, [])] == [(0,), (1,)], "nor are their seeds averaged"


def test_each_setting_is_a_row_and_older_code_is_none(record: Make, run: MakeRun, standard: Standard) -> None:
    old = record("a", 0.9, standard(0.5), fingerprint="old", created="2026-01")
    new = record("a", 0.6, standard(0.4), fingerprint="new", created="2026-02")
    rows = summaries([old, new], [run(old, steps=1), run(new, steps=2)])
    assert [(row.name, row.fingerprints) for row in rows] == [("a steps=1", ("old",)), ("a steps=2", ("new",))]
    (row,) = summaries([old, new], [run(old, code="1"), run(new, code="2")])
    assert (row.name, row.fingerprints) == ("a", ("new",))
    assert summaries([old], [run(old, code="1"), run(new, code="2")]) == [], "never shown as current"


def test_a_control_is_a_row_of_its_own(record: Make, standard: Standard) -> None:
    rows = summaries([record("a", 0.8, standard(0.5)), record("a", 0.8, standard(0.6), control="C2")], [])
    assert [row.name for row in rows] == ["a [C2]", "a"], "the best mPC comes first"


def test_a_failed_cell_leaves_no_mean_and_is_counted(record: Make, standard: Standard) -> None:
    cells = {**standard(0.5), ("fog", 3): "failed: out of | memory. Try less", ("jpeg", 1): 0.2}
    row, *_ = summaries([record("m", 0.8, cells), record("n", 0.8, standard(0.4))], [], ALEXNET)[::-1]
    assert row.name == "m" and row.corruption.mpc.value is None
    assert row.mmi_image.overall.value is None and row.mmi_image.groups["noise"].value is not None
    assert (row.failed, row.failed_share) == (1, pytest.approx(1 / 75))
    assert row.worst is not None and row.worst.perturbation == "jpeg"
    lines = render_conditions([row], "md").splitlines()
    assert "| fog | 3 | failed (1) |" in lines and "| fog | mean | failed (1) |" in lines
    assert "(1) fog 3 failed: out of | memory" in render_conditions([row])


def test_one_failed_seed_makes_the_condition_failed(record: Make, standard: Standard) -> None:
    broken = record("m", 0.8, {**standard(0.5), ("fog", 3): "failed: it broke"}, seed=1)
    (row,) = summaries([record("m", 0.8, standard(0.5)), broken], [])
    assert (row.failed, row.corruption.mpc.reason) == (1, "fog 3 failed: it broke")


def test_a_model_that_reads_no_text_is_not_robust_to_it(record: Make, standard: Standard) -> None:
    text = {("typo-keyboard", n): "skipped: the model reads no text" for n in (1, 3, 5)}
    text |= {("wrong-text", n): "skipped: the model reads no text" for n in range(1, 6)}
    (row,) = summaries([record("blind", 0.8, {**standard(0.5), **text})], [])
    assert (row.mmi_text.overall.value, row.skipped, row.planned) == (None, 8, 83)
    assert row.modality_use.text.verdict == "no"
    assert row.corruption.mpc.value == pytest.approx(0.5)
    heat = render_conditions([row], "md")
    assert "– (1)" in heat and "- (1) typo-keyboard 1 skipped: the model reads no text" in heat


def test_mpc_is_over_what_all_were_meant_to_run(record: Make) -> None:
    rows = summaries([record("a", 0.8, {("fog", 1): 0.5, ("jpeg", 1): 0.3}), record("b", 0.8, {("fog", 1): 0.6})], [])
    by_name = {row.name: row.corruption for row in rows}
    assert (by_name["a"].mpc.value, by_name["a"].label) == (0.4, "mean over 2 conditions of 2 corruptions")
    assert by_name["b"].mpc.reason == "jpeg 1 was not run"


def test_mce_refuses_what_it_is_not_for(record: Make, standard: Standard) -> None:
    captions = record("c", 0.9, standard(0.5), metric="CIDEr")
    (row,) = summaries([captions], [], ALEXNET)
    assert row.mce is not None and "CIDEr is not bounded by 0 and 1" in str(row.mce.mce.reason)
    assert "no logit" in str(row.effective["mPC"].figure.reason)
    (row,) = summaries([record("m", 0.8, standard(0.5))], [], ALEXNET)
    assert row.mce is not None and "alexnet was made with task" in str(row.mce.mce.reason)
    (row,) = summaries([record("m", 0.8, standard(0.5))], [])
    assert row.mce is None and "mCE" not in render_summary([row])
    image_net = record("m", 0.8, standard(0.5), task="image-classification", chance=0.001)
    (row,) = summaries([image_net], [], ALEXNET)
    assert row.mce is not None
    assert row.mce.mce.value == pytest.approx(sum(0.5 / e for e in ALEXNET.errors.values()) / 15)


def test_effective_robustness_is_fitted_on_un_fused_models(record: Make, standard: Standard) -> None:
    clean = [0.4, 0.5, 0.6, 0.7]
    plain = [record(f"p{n}", c, {("shift-style", 0): c - 0.2, **standard(c - 0.1)}) for n, c in enumerate(clean)]
    control = record("f", 0.45, {("shift-style", 0): 0.25}, control="C0")
    fused = record("f", 0.55, {("shift-style", 0): 0.45, **standard(0.4)})
    rows = {row.name: row for row in summaries([*plain, control, fused], [], unfused={"p0", "p1", "p2", "p3"})}
    style = rows["f"].effective["shift-style"]
    assert style.fit is not None and set(style.fit.models) == {"p0", "p1", "p2", "p3", "f [C0]"}
    assert style.figure.value == pytest.approx(0.1, abs=0.02)
    assert "4 un-fused models" in str(rows["f"].effective["mPC"].figure.reason)
    outside = rows["f"].effective["shift-style"].fit
    assert outside is not None and (outside.low, outside.high) == (0.4, 0.7)
    assert "effective robustness: shift-style" in render_summary(list(rows.values()), "md")


def calibrated(severity: int, name: str, error: float) -> PerturbedScore:
    metrics = {"top-1": Estimate(0.5, 0.4, 0.6, 9), "ECE": Estimate(error, error, error, 9),
               "ECE-null": Estimate(0.02, 0.01, 0.03, 9)}  # fmt: skip
    return PerturbedScore(f"{name}{severity}", name, severity, "noise", "image", "ok", None, metrics)


def test_calibration_by_severity(record: Make) -> None:
    scores = (calibrated(0, "clean", 0.03), calibrated(1, "fog", 0.05), calibrated(1, "jpeg", 0.07),
              calibrated(5, "fog", 0.3), calibrated(1, "typo-keyboard", 0.9))  # fmt: skip
    mine = replace(record("m"), scores=scores)
    found = calibration_by_severity(mine)
    assert [(c.severity, c.cells) for c in found] == [(0, 1), (1, 2), (5, 1)]
    assert [c.error.value for c in found] == pytest.approx([0.03, 0.06, 0.3])
    assert found[1].excess.value == pytest.approx(0.04)
    (row,) = summaries([mine, replace(mine, seed=1, fingerprint="s1")], [])
    assert [c.error.value for c in row.calibration] == pytest.approx([0.03, 0.06, 0.3])
    assert calibration_by_severity(record("m", 0.8, {("fog", 1): 0.5})) == ()
    failed = replace(calibrated(1, "fog", 0.1), status="failed", error="it broke")
    found = calibration_by_severity(replace(mine, scores=(*scores[:1], failed)))
    assert found[1].error.reason == "fog 1 failed: it broke"


@pytest.fixture
def mixed(record: Make, standard: Standard) -> list[RobustnessRow]:
    odd = {**standard(0.4), ("snow", 2): "failed: a | b\nc", ("typo-keyboard", 1): "skipped: the model reads no text"}
    good = {**standard(0.6), ("typo-keyboard", 1): 0.7, **WRONG}
    records = [record("good", 0.8, good), record("odd|<b>", 0.7, odd)]
    return summaries(records, [], reference_from(records[:1], "itself"))


def test_json_has_the_documented_keys(mixed: list[RobustnessRow]) -> None:
    good, odd = json.loads(render_summary(mixed, "json"))
    assert good["corruption"]["label"] == "mPC" and good["corruption"]["mpc"]["value"] == pytest.approx(0.6)
    assert set(good) >= {
        "task", "data_digest", "signature", "model", "control", "seeds", "clean", "mce", "mmi_image", "mmi_text",
        "effective", "drops", "worst", "planned", "failed", "skipped", "modality_use", "conditions",
    }  # fmt: skip
    assert odd["corruption"]["mpc"]["value"] is None and "snow 2 failed" in odd["corruption"]["mpc"]["reason"]
    heat = json.loads(render_conditions(mixed, "json"))
    assert heat[1]["perturbations"]["snow"]["status"] == "failed"


def test_csv_parses_back(mixed: list[RobustnessRow]) -> None:
    good, odd = csv.DictReader(io.StringIO(render_summary(mixed, "csv")))
    assert float(good["mPC"]) == pytest.approx(0.6) and float(good["mCE"]) == pytest.approx(1.0)
    assert (odd["model"], odd["mPC"], odd["mPC reason"]) == ("odd|<b>", "", "snow 2 failed: a | b\nc")


def test_the_long_list_has_every_condition(mixed: list[RobustnessRow]) -> None:
    lines = list(csv.DictReader(io.StringIO(render_conditions(mixed, "csv"))))
    assert len(lines) == 1 + 75 + 6 + 1 + 75 + 1
    by_cell = {(line["model"], line["perturbation"], line["severity"]): line for line in lines}
    clean, snow = by_cell["good", "clean", "0"], by_cell["odd|<b>", "snow", "2"]
    assert (clean["value"], clean["low"], clean["count"], clean["status"]) == ("0.8", "0.78", "1000", "ok")
    assert (snow["value"], snow["status"], snow["reason"]) == ("", "failed", "snow 2 failed: a | b\nc")
    assert by_cell["good", "fog", "3"]["count"] == "1000"


def test_each_severity_is_a_line(record: Make) -> None:
    cells = {("fog", 1): 0.7, ("fog", 3): 0.5, ("jpeg", 2): 0.4}
    rows = summaries([record("a", 0.8, cells), record("b", 0.6, {("fog", 1): "failed: it broke"})], [])
    lines = [line.split() for line in render_conditions(rows).splitlines()]
    assert ["condition", "severity", "a", "b"] in lines
    assert ["clean", "0.800", "0.600"] in lines
    assert "95 %" not in render_conditions(rows), "no interval is shown"
    assert ["fog", "1", "0.700", "failed", "(1)"] in lines
    assert ["fog", "3", "0.500"] in lines and ["jpeg", "2", "0.400"] in lines
    assert ["fog", "mean", "0.600", "failed", "(1)"] in lines
    assert "| fog | 3 | 0.500 |" in render_conditions(rows, "md")
    first = json.loads(render_conditions(rows, "json"))[0]
    assert [(c["perturbation"], c["severity"], c["value"]) for c in first["conditions"]] == [
        ("fog", 1, 0.7), ("fog", 3, 0.5), ("jpeg", 2, 0.4),
    ]  # fmt: skip
    assert render_conditions(rows, "csv") == render_conditions(rows, "csv")


def test_markdown_keeps_its_columns(mixed: list[RobustnessRow]) -> None:
    for text, count in ((render_summary(mixed, "md"), 4), (render_conditions(mixed, "md"), 3 + 75 + 15 + 1 + 5 + 1)):
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len(lines) == count
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    plain = render_summary(mixed)
    assert "mCE@good" in plain and "100.0 %" in plain and "0.600 [0.580, 0.620]" in plain
    assert "snow 2 failed: a | b c" in " ".join(plain.split())


@pytest.mark.parametrize("draw", [render_summary, render_conditions])
def test_no_records(draw: Callable[..., str]) -> None:
    assert draw([], "text").startswith("No robustness records") and draw([], "json") == "[]"
    assert draw([], "csv").startswith("task,")
    with pytest.raises(UsageError, match="Did you mean 'text'"):
        draw([], "txt")


def test_joint_conditions_of_one_name_and_severity_are_kept_apart(record: Make) -> None:
    mine = record("m", 0.8, {("fog+typo-keyboard", 3): 0.6})
    other = replace(record("m", 0.8, {("fog+typo-keyboard", 3): 0.4}).scores[1], fingerprint="3+1")
    mine = replace(mine, scores=(*mine.scores, other))  # fog 1 + typo 3 and fog 3 + typo 1
    (row,) = summaries([mine, replace(mine, seed=1, fingerprint="s1")], [])
    assert ([c.score.value for c in row.conditions], row.planned) == ([0.6, 0.4], 2)
    assert row.drops["fog+typo-keyboard"].absolute.value == pytest.approx(0.3)
    lines = [line.split() for line in render_conditions([row]).splitlines()]
    assert [line for line in lines if line[:1] == ["fog+typo-keyboard"]] == [
        ["fog+typo-keyboard", "3", "0.600"], ["fog+typo-keyboard", "3", "0.400"],
    ]  # fmt: skip


def test_a_condition_that_one_seed_lacks_has_no_mean(record: Make) -> None:
    seeds = [record("m", 0.8, {("fog", 1): 0.6, ("jpeg", 1): 0.5}), record("m", 0.8, {("fog", 1): 0.6}, seed=1)]
    (row,) = summaries(seeds, [])
    assert [c.score.reason for c in row.conditions] == [None, "jpeg 1 was not run with every seed"]
    assert row.corruption.mpc.reason == "jpeg 1 was not run"


def test_a_record_with_nothing_in_it(record: Make) -> None:
    (row,) = summaries([replace(record("m"), scores=())], [])
    assert (row.clean.reason, row.planned, row.failed_share, row.worst) == (
        "the clean condition was not run",
        0,
        0,
        None,
    )
    assert row.corruption.mpc.reason == "no corruption was run"
    assert "–" in render_summary([row]) and render_conditions([row])
    assert json.loads(render_summary([row], "json"))[0]["corruption"]["complete"] is False
    assert summaries([], []) == []

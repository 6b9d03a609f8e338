"""What the report says, checked before it is drawn: groups, differences, fronts, means that are never partial."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StoreError
from harness.record import Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.records.store import Store
from harness.report.page.contents import PagePart, build_report
from harness.report.page.entries import build_boards
from harness.report.page.pareto import Point, front, pareto_difference
from harness.report.page.sources import ReportOptions, Sources, read_sources
from harness.report.page.sweep_means import is_complete_grid, mean_estimate, retained
from harness.stats.intervals import wilson

from .made_up import STANDARD_CORRUPTIONS, made_record, made_records, made_sweep, write_made_up

OPTIONS = ReportOptions(metrics={"image-classification": ("top-1", "macro-F1", "ECE", "ECE-null")})


def part_of(records: list[RunRecord], sweeps: list[RobustnessRecord] | None = None) -> PagePart:
    report = build_report(Sources(tuple(records), tuple(sweeps or ())), OPTIONS)
    ((part,),) = (task.parts for task in report.tasks)
    return part


def names(part: PagePart) -> list[str]:
    return [line.key for line in part.leaderboard.rows]


def test_controls_stand_below_their_model_whatever_they_score() -> None:
    records = [made_record("low", 0.2), made_record("high", 0.6), made_record("middle", 0.5)]
    records += [made_record("low", 0.9, control="C2"), made_record("low", 0.1, control="C0")]
    part = part_of(records)
    assert names(part) == ["high", "middle", "low", "low [C0]", "low [C2]"]
    assert [line.level for line in part.leaderboard.rows] == ["model"] * 3 + ["control"] * 2


def test_variants_stand_below_the_model_that_they_were_made_of_and_beside_it_in_a_table() -> None:
    def variant(value: float, name: str) -> RunRecord:
        made = made_record(f"low+{name}", value)
        told = {
            "parity": {"samples": 48, "numbers": "logits", "largest_difference": 0.02, "flipped_share": 0.125},
            "exact": False, "bytes": 2**20, "parent_bytes": 2**21, "seconds_to_make": 1.5,
        }  # fmt: skip
        cell = {**made.cell, "training": {**made.cell["training"], "model": "low"}, "variant": {"name": name}}
        return replace(made, cell=cell, provenance={**made.provenance, "variant": told})

    part = part_of([made_record("low", 0.2), variant(0.1, "int8"), variant(0.5, "int4"), made_record("middle", 0.3)])
    assert names(part) == ["middle", "low", "low+int4", "low+int8"]
    assert [line.cells[0].word for line in part.leaderboard.rows] == ["middle", "low", "└ low+int4", "└ low+int8"]
    assert part.variants is not None
    assert [row[0] for row in part.variants.texts()[1:]] == ["low+int4", "low+int8"]
    assert {"12.5%", "1.00 MiB", "0.50"} <= set(part.variants.texts()[1])
    assert part_of([made_record("low", 0.2)]).variants is None


def test_failed_and_skipped_cells_are_no_rows_but_are_named_with_their_reasons() -> None:
    failed = replace(made_record("broken", None), status="failed", error="it broke. Mend it.")
    part = part_of([made_record("a", 0.5), failed, made_record("far-away", None)])
    assert names(part) == ["a"]
    assert part.failures is not None
    assert part.failures.texts()[1:] == [
        ["broken", "failed", "it broke."],
        ["far-away", "skipped", "weights not available: made-up."],
    ]
    assert "Not ranked: 1 failed and 1 skipped; reasons below." in part.leaderboard.notes


def test_rows_that_share_a_reason_share_a_line() -> None:
    part = part_of([made_record("a", 0.5), made_record("x", None), made_record("y", None)])
    assert part.failures is not None
    assert [line.key for line in part.failures.rows] == ["x, y"]


def test_data_that_differs_is_never_one_table() -> None:
    other = replace(made_record("a", 0.9), data_digest="d2" * 32, fingerprint="other")
    report = build_report(Sources((made_record("a", 0.5), other)), OPTIONS)
    assert [len(part.leaderboard.rows) for part in report.tasks[0].parts] == [1, 1]


def test_the_difference_of_two_proportions_is_newcombes() -> None:
    """56 of 70 against 48 of 80: 0.2 [0.0524, 0.3339] (Newcombe 1998, table II, method 10)."""
    a, b = (Estimate(k / n, *wilson(k, n), n) for k, n in ((56, 70), (48, 80)))
    found = pareto_difference(a, b)
    assert found.value == pytest.approx(0.2)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


def test_the_ladder_subtracts_and_gives_no_verdict_below_five_seeds() -> None:
    part = part_of(made_records())
    ((ladder, table),) = part.ladders
    gaps = {rung.name: round(rung.gap.value, 6) for rung in ladder.rungs}
    assert gaps == {"C0": 0.02, "C1": 0.03, "C2": 0.01, "C3": 0.2, "C4": 0.08, "C5": 0.45, "C6": 0.02}
    reach = math.hypot(0.03, 0.03)
    assert ladder.rungs[3].gap.low == pytest.approx(0.2 - reach)
    assert {rung.verdict for rung in ladder.rungs} == {"no verdict: 1 of 5 seeds"}
    assert table.texts()[4][3] == f"+0.200 [+{0.2 - reach:.3f}, +{0.2 + reach:.3f}]"


def test_five_seeds_allow_a_verdict() -> None:
    records = [made_record("f", 0.5 + 0.001 * seed, seed=seed) for seed in range(5)]
    for control, value in (("C0", 0.2), ("C2", 0.5), ("C5", 0.9)):
        records += [made_record("f", value + 0.001 * seed, control=control, seed=seed) for seed in range(5)]
    ((ladder, _),) = part_of(records).ladders
    assert [rung.verdict for rung in ladder.rungs] == ["above 0", "not told apart", "below 0"]


def at(key: str, value: float, cost: float, half: float = 0.05) -> Point:
    return Point(key, Estimate(value, value - half, value + half, 100), cost)


def test_who_is_dominated_on_both_axes_is_off_the_front_and_marked_where_noise_could_explain_it() -> None:
    cheap, alike, clear, dear = at("cheap", 0.5, 1), at("alike", 0.45, 2), at("clear", 0.3, 2), at("dear", 0.9, 3)
    found = front([cheap, alike, clear, dear])
    assert (found.members, found.within_noise) == ({"cheap", "dear"}, {"alike"})
    found = front([at("a", 0.5, 1), at("b", 0.9, 1)])
    assert (found.members, found.within_noise) == ({"b"}, frozenset())
    twins = [at("a", 0.5, 1), at("b", 0.5, 1)]
    assert front(twins).members == {"a", "b"}  # neither is better in anything
    assert front([*twins, at("c", 0.5, 2)]).within_noise == {"c"}
    assert front([]).members == frozenset()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 9), st.floats(0, 0.3)), min_size=1, max_size=12))
def test_the_front_is_that_of_the_textbook(drawn: list[tuple[float, float, float]]) -> None:
    points = [at(str(n), value, cost, half) for n, (value, cost, half) in enumerate(drawn)]
    found = front(points)
    assert max(points, key=lambda p: (p.score.value, -p.cost)).key in found.members
    for point in points:
        no_worse = [p for p in points if p.cost <= point.cost and p.score.value >= point.score.value]
        better = [p for p in no_worse if (p.cost, -p.score.value) != (point.cost, -point.score.value)]
        assert (point.key in found.members) == (not better)
        clearly = any(p.score.value - point.score.value > math.hypot(*halves(p, point)) + 1e-12 for p in better)
        assert not (clearly and point.key in found.within_noise)
        assert not found.members & found.within_noise


def halves(a: Point, b: Point) -> tuple[float, float]:
    return a.score.value - a.score.low, b.score.high - b.score.value


def test_means_by_hand() -> None:
    found = mean_estimate([Estimate(0.2, 0.1, 0.4, 50), Estimate(0.6, 0.5, 0.7, 40)])
    assert (found.value, found.low, found.high, found.count) == pytest.approx((0.4, 0.3, 0.55, 40))
    with pytest.raises(ValueError, match="no scores"):
        mean_estimate([])
    assert retained(18.2, 36.3) == pytest.approx(0.502, abs=1e-3)  # Michaelis et al. 2019
    assert retained(0.3, 0.5, chance=0.1) == pytest.approx(0.5)
    assert retained(0.3, 0.105, chance=0.1) is None
    grid = {(name, s) for name in STANDARD_CORRUPTIONS for s in range(1, 6)}
    assert is_complete_grid(grid)
    assert not is_complete_grid(grid - {("fog", 3)})


def test_mpc_is_the_mean_of_all_75_cells() -> None:
    record = made_record("a", 0.5)
    sweep = made_sweep(record)
    cells = [s for s in sweep.scores if s.perturbation in STANDARD_CORRUPTIONS]
    values = [e.value for s in cells if (e := s.metrics["top-1"])]
    summary = part_of([record], [sweep]).sweeps[0].summary
    heading, row = summary.texts()
    shown = dict(zip(heading, row, strict=True))
    assert len(values) == 75
    assert shown["mPC"].startswith(f"{sum(values) / 75:.3f} [")
    assert shown["mPC / clean"] == f"{sum(values) / 75 / 0.5:.3f}"


def changed(sweep: RobustnessRecord, name: str, severity: int, **fields: object) -> RobustnessRecord:
    scores = [
        replace(s, **fields) if (s.perturbation, s.severity) == (name, severity) else s for s in sweep.scores
    ]  # fmt: skip
    return replace(sweep, scores=tuple(scores))


def test_a_failed_cell_leaves_no_mean() -> None:
    record = made_record("a", 0.5)
    sweep = changed(made_sweep(record), "fog", 3, status="failed", error="it broke", metrics={})
    (shown,) = part_of([record], [sweep]).sweeps
    row = shown.summary.texts()[1]
    assert "1 of 75 failed" in row
    image = shown.heat_maps[0]
    heats = dict(zip([kind.name for kind in image.kinds], image.rows[0][1], strict=True))
    assert heats["fog"].estimate is None
    assert heats["fog"].status == "1 of 5 failed"
    assert heats["snow"].estimate is not None
    assert heats["clean"].relative == 1.0


def test_a_part_of_the_grid_is_not_called_mpc() -> None:
    record = made_record("a", 0.5)
    whole = made_sweep(record)
    some = replace(whole, scores=tuple(s for s in whole.scores if s.perturbation in ("clean", "fog", "jpeg")))
    heading = part_of([record], [some]).sweeps[0].summary.texts()[0]
    assert heading[2:4] == ["image corruptions, 10 conditions", "image / clean"]


def test_what_does_not_apply_is_skipped_and_not_robust() -> None:
    records = [made_record("reads", 0.5), made_record("blind", 0.4)]
    sweeps = [made_sweep(records[0]), made_sweep(records[1], reads_text=False)]
    (shown,) = part_of(records, sweeps).sweeps
    rows = {line.key: shown.summary.texts()[place + 1] for place, line in enumerate(shown.summary.rows)}
    assert "skipped" in rows["blind"]
    assert "skipped" not in rows["reads"]
    text = next(each for each in shown.heat_maps if each.name == "text")
    assert {heat.status for heat in text.rows[1][1][1:]} == {"skipped"}


def test_seeds_are_taken_together_and_a_missing_one_is_no_zero() -> None:
    records = [made_record("a", value, seed=seed) for seed, value in enumerate((0.4, 0.6))]
    both = part_of(records, [made_sweep(record) for record in records])
    clean = both.sweeps[0].sweep.clean(both.board.entries[0])
    assert clean is not None
    assert clean.value == pytest.approx(0.5)
    first, second = (made_sweep(record) for record in records)
    lacking = replace(second, scores=tuple(s for s in second.scores if s.perturbation != "fog"))
    answers = part_of(records, [first, lacking]).sweeps[0].sweep.answers[both.board.entries[0].key]
    assert answers["fog-1"].estimate is None
    assert answers["fog-1"].error == "only 1 of 2 seeds were perturbed so"


def test_sweeps_on_other_samples_stand_apart() -> None:
    records = [made_record("a", 0.5), made_record("b", 0.4)]
    sweeps = [made_sweep(records[0]), replace(made_sweep(records[1]), limit=100)]
    assert [len(each.sweep.entries) for each in part_of(records, sweeps).sweeps] == [1, 1]


def test_a_sweep_of_replaced_settings_is_counted_and_not_shown() -> None:
    record = made_record("a", 0.5)
    orphan = replace(made_sweep(record), fingerprint="gone")
    report = build_report(Sources((record,), (orphan,)), OPTIONS)
    assert report.outdated == 1
    assert report.tasks[0].parts[0].sweeps == ()


def test_an_unknown_family_has_a_heat_map_of_its_own() -> None:
    record = made_record("a", 0.5)
    more = PerturbedScore("-", "sharpen", 1, "outsiders", "image", "ok", None, {"top-1": Estimate(0.4, 0.3, 0.5, 9)})
    sweep = made_sweep(record)
    (shown,) = part_of([record], [replace(sweep, scores=(*sweep.scores, more))]).sweeps
    assert shown.heat_maps[-1].title == "Outsiders"


def test_joint_conditions_that_share_a_name_are_not_taken_for_seeds() -> None:
    record = made_record("a", 0.5)
    joint = [
        PerturbedScore("-", "fog+typo-ocr", 3, "x", "both", "ok", None, {"top-1": Estimate(value, 0, 1, 9)})
        for value in (0.4, 0.2)
    ]
    sweep = made_sweep(record)
    (shown,) = part_of([record], [replace(sweep, scores=(*sweep.scores, *joint))]).sweeps
    both = next(each for each in shown.heat_maps if each.name == "joint")
    assert [kind.name for kind in both.kinds] == ["clean", "fog+typo-ocr", "fog+typo-ocr (2)"]
    assert [heat.estimate.value for heat in both.rows[0][1] if heat.estimate] == [0.5, 0.4, 0.2]


def test_a_lower_effort_attack_is_marked() -> None:
    record = made_record("a", 0.5)
    notes = [{"verdict": "lower-effort attack: Square did better"}, {"gates": "passed"}]
    attacks = [
        PerturbedScore("-", n, 1, "attack", "image", "ok", None, {"top-1": Estimate(0.1, 0, 1, 9)}, note)
        for n, note in zip(("pgd-linf", "apgd-linf"), notes, strict=True)
    ]
    sweep = made_sweep(record)
    (shown,) = part_of([record], [replace(sweep, scores=(*sweep.scores, *attacks))]).sweeps
    assert [heat.weak for heat in shown.heat_maps[-1].rows[0][1]] == [False, True, False]


def test_reliability_needs_stored_probabilities(tmp_path: Path) -> None:
    store = write_made_up(tmp_path, made_records())
    report = build_report(read_sources([store]), OPTIONS)
    (diagram,) = report.tasks[0].parts[0].diagrams
    assert diagram.entry.name == "fused-a"
    assert sum(each.count for each in diagram.clean) == 400
    assert sum(each.count for each in diagram.perturbed) == 15 * 400
    assert all(0 <= each.accuracy <= 1 for each in diagram.clean)
    assert len(diagram.conditions) == 15


def test_two_folders_are_read_as_one_and_a_record_counts_once(tmp_path: Path) -> None:
    first, second = Store(str(tmp_path / "1")), Store(str(tmp_path / "2"))
    for store, models in ((first, ("a", "b")), (second, ("b", "c"))):
        for model in models:
            store.write_record(made_record(model, 0.5))
    assert sorted(r.model for r in read_sources([first, second]).records) == ["a", "b", "c"]


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"No records of a-task in .*Run 'bench run' first"):
        read_sources([Store(str(tmp_path))], ["a-task"])


def test_a_task_without_its_plugin_is_shown_but_not_as_ranked() -> None:
    (board,) = build_boards(Sources((made_record("a", 0.5, task="nobody-knows"),)), ReportOptions())
    assert not board.ordered
    assert board.metrics == ("ECE", "ECE-null", "macro-F1", "top-1")


def test_every_number_names_runs_that_are_known() -> None:
    records = made_records()
    report = build_report(Sources(tuple(records), tuple(made_sweep(r) for r in records[:3])), OPTIONS)
    known = report.provenance
    part = report.tasks[0].parts[0]
    origins = [c.origin for table in part.tables() for line in table.rows for c in line.cells if c.estimate]
    assert len(origins) > 100
    for origin in origins:
        assert origin is not None
        for key in origin.rows:
            row = known["rows"][key]
            assert set(row["runs"]) <= known["runs"].keys()
            labels = {known["conditions"][place] for place in row.get("cells", {})}
            assert set(origin.conditions) <= labels
    facts = known["runs"][records[0].fingerprint]["facts"]
    assert (facts["commit"], facts["data digest"], facts["metric signature"]) == ("c0ffee" * 6, "d1" * 32, "made-up:v1")


def test_a_report_loads_no_model_code(tmp_path: Path) -> None:
    write_made_up(tmp_path / "results", made_records()[:3])
    program = (
        "import sys; from pathlib import Path; from harness.records.store import Store\n"
        "from harness.report.page.write import write_report\n"
        f"write_report([Store({str(tmp_path / 'results')!r})], Path({str(tmp_path / 'x.html')!r}))\n"
        "found = {'torch', 'transformers', 'timm', 'open_clip', 'baselines'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_remedies_stand_beside_the_model_without_them() -> None:
    plain = made_record("a", 0.5)
    training = {**plain.cell["training"], "train": {"steps": 400, "mix": "mixup"}}
    mixed = replace(
        made_record("a", 0.45), fingerprint="mixed", cell={**plain.cell, "training": training, "name": "mix=mixup"}
    )
    (shown,) = part_of([plain, mixed], [made_sweep(plain), made_sweep(mixed)]).sweeps
    assert shown.remedies is not None
    assert shown.remedies.texts()[1][1] == "mix=mixup"
    assert "scores of the same samples are not stored" in " ".join(map(str, shown.remedies.texts()[1]))
    alone = part_of([plain], [made_sweep(plain)]).sweeps
    assert alone[0].remedies is None

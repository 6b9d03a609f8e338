"""All claims of a table, the marks of the leaderboard, text in three formats, real folders, and the time it takes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import UsageError
from harness.judge.judged_leaderboard import judged_tables
from harness.judge.leaderboard import build_rows
from harness.judge.verdict.evidence import FusionControls, Options
from harness.judge.verdict.judge import (
    check_claims,
    installed_fusion,
    judge,
    judge_stores,
    judge_tasks,
    marks,
    score_reader,
)
from harness.judge.verdict.verdict import CLAIMS, Judged, Verdict
from harness.records.store import Store
from harness.records.table_names import scores_name
from harness.report.verdict_tables import merged, render_verdict
from tests.machine_pace import cpu_seconds

GAINS = dict.fromkeys(("C0", "C1", "C2", "C3", "C4"), 0.05)


def stored(world: Any, folder: Path) -> Store:
    store = Store(str(folder))
    for record in world.records:
        store.write_record(record)
    for (name, condition), scores in world.scores.items():
        store.write_sample_scores(scores_name("image-classification", name, condition), scores)
    for sweep in world.sweeps:
        store.write_robustness(sweep)
    return store


def test_every_claim_has_a_verdict(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS)
    found = judge(world.evidence())
    assert [verdict.claim for verdict in found] == list(CLAIMS)
    assert {v.claim for v in found if v.model is None} >= {
        "zero-shot", "efficient-tuning", "label-efficiency", "forgetting", "explanations", "group-bias",
    }  # fmt: skip
    assert all(v.missing for v in found if v.claim in ("forgetting", "explanations"))


def test_claims_and_models_can_be_chosen(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS)
    assert [v.claim for v in judge(world.evidence(), claims=check_claims(["e", "fusion-gain"]))] == [
        "fusion-gain",
        "fragility",
    ]
    assert judge(world.evidence(), models=["other"]) == []
    with pytest.raises(UsageError, match="--claim x"):
        check_claims(["x"])
    with pytest.raises(UsageError, match="--claim x"):
        judge_tasks([], [], claims=["x"])  # also where nothing is stored


def test_undecidable_claims_stand_once_for_all_models(world: Any, right: np.ndarray) -> None:
    world.controls = {"one": (), "two": ()}
    world.add("one", None, right)
    world.add("two", None, right)
    found = judge(world.evidence())
    assert len([v for v in found if v.claim in ("forgetting", "explanations")]) == 2
    assert len([v for v in found if v.claim == "fusion-gain"]) == 2


def test_marks_are_those_of_the_claim_fusion_gain(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS)
    world.add("plain", None, right)
    (rows,) = build_rows(world.records, world.metrics)
    read = lambda task, name, condition: world.scores.get((name, condition))  # noqa: E731
    fusion = FusionControls(world.controls, world.unfused)
    found = marks(rows, world.records, world.metrics, fusion, read, world.sweeps)
    fused = {r.fingerprint for r in world.records if (r.model, r.control) == ("fused", None)}
    assert found == dict.fromkeys(fused, "✓ supported")
    some = [row for row in rows if row.control != "C1"]
    found = marks(some, world.records, world.metrics, fusion, read, world.sweeps)
    assert found == dict.fromkeys(fused, "? inconclusive")


def test_from_folders(world: Any, right: np.ndarray, tmp_path: Path) -> None:
    name = "class-embedding"
    world.controls[name] = tuple(GAINS)
    fused = world.add(name, None, right)
    for control in GAINS:
        world.add(name, control, right - 0.05)
    world.sweep(fused, {("wrong-image", 1): 0.05, ("blank-image", 1): 0.05, ("empty-text", 1): 0.05})
    store = stored(world, tmp_path)
    (judged,) = judge_stores("image-classification", [store, Store(str(tmp_path / "empty"))], claims=["a"])
    assert [v.mark for v in judged.verdicts] == ["✓ supported"]
    assert "unpaired" not in judged.verdicts[0].numbers[0].note
    records = store.read_records("image-classification")
    (rows,) = judged_tables(
        records,
        world.metrics,
        FusionControls(world.controls, world.unfused),
        score_reader([store]),
        store.read_robustness(),
    )
    assert {(row.model, row.control): row.verdict for row in rows if row.verdict} == {(name, None): "✓ supported"}
    assert {row.rank.paired for row in rows if row.rank} == {True}
    assert min(rows, key=lambda row: row.rank.best).control is None
    with pytest.raises(UsageError, match="--margin 0"):
        judge_stores("image-classification", [store], options=Options(margin=0.0))
    with pytest.raises(UsageError, match="no fused model of that name"):
        judge_stores("image-classification", [store], models=["class-embeding"])


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    assert judge_stores("image-classification", [Store(str(tmp_path))]) == []
    assert "bench run" in render_verdict([])


def test_plugins_say_what_is_fused() -> None:
    fusion = installed_fusion("image-classification")
    assert fusion.controls["class-embedding"][:5] == tuple(GAINS)
    assert "vision-only" in fusion.unfused
    assert installed_fusion("coco-caption").controls["cross-attention"] == ("C1", "C2")


@pytest.mark.parametrize("style", ["text", "md", "json"])
def test_formats_say_the_same(style: str, world: Any, right: np.ndarray) -> None:
    world.ladder(right, {**GAINS, "C1": 0.0})
    evidence = world.evidence()
    text = render_verdict([Judged(evidence.scope, tuple(judge(evidence)))], style)
    assert "capacity explains the gain" in text
    assert "not supported" in text
    if style == "json":
        first = json.loads(text)[0]
        assert (first["claim"], first["model"], first["outcome"]) == ("fusion-gain", "fused", "not supported")
        assert (first["letter"], first["title"]) == ("a", "fusion raises the score")
        assert first["numbers"][0]["name"] == "F − C0"
    else:
        assert "✗ not supported" in text
        assert "no answers were explained" in text
    with pytest.raises(UsageError, match="--format"):
        render_verdict([], "csv")


def test_the_same_of_several_models_stands_once() -> None:
    same = [Verdict("fusion-gain", name, "inconclusive", "1 of 5 seeds") for name in ("x", "y")]
    assert [names for _, names in merged([*same, Verdict("cost", "x", "inconclusive", "1 of 5 seeds")])] == [
        ("x", "y"), ("x",),
    ]  # fmt: skip


def test_text_from_outside_cannot_break_a_table(world: Any, right: np.ndarray) -> None:
    verdict = Verdict("fusion-gain", "evil|name\nx", "inconclusive", "a | b")
    evidence = (world.add("fused", None, right), world.evidence())[1]
    table = render_verdict([Judged(evidence.scope, (verdict,))], "md")
    assert "| fusion-gain: fusion raises the score | evil\\|name x | ? inconclusive | a \\| b |" in table


def test_five_seeds_of_eight_rows_take_less_than_five_seconds(world: Any, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    name = "class-embedding"
    for control in (None, "C0", "C1", "C2", "C3", "C4", "C5", "C6"):
        records = world.add(name, control, (generator.random((5, 4000)) < 0.6).astype(float))
        if control in (None, "C0"):
            cells = {("gaussian-noise", s): (generator.random((5, 500)) < 0.4).astype(float) for s in range(1, 6)}
            world.sweep(records, cells, clean=(generator.random((5, 500)) < 0.6).astype(float))
    store = stored(world, tmp_path)
    started = time.process_time()
    (judged,) = judge_stores("image-classification", [store])
    assert render_verdict([judged])
    assert cpu_seconds(started) < 5
    assert {v.claim for v in judged.verdicts} == set(CLAIMS)

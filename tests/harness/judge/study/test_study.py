"""The order of a study, what it costs, what a budget drops, which models it is about, and how verdicts change."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cell import Cell, EvaluateOptions, MeasureOptions, ModelOptions, ModelVariant, TrainingJob, TrainOptions
from harness.condition import Condition, Part
from harness.errors import UsageError
from harness.judge.study.aims import Aim, aims_of, breadth_of, fused_models
from harness.judge.study.first_trainings import STEP_S, first_trainings
from harness.judge.study.order import Budget, Work, in_order, require_time
from harness.judge.study.prices import CONDITION_S, EXPLAIN_S, FIXED_S, PERTURB_S, VARIANT_S, Prices
from harness.judge.study.watch import standing, told_changes
from harness.judge.verdict.evidence import FusionControls
from harness.judge.verdict.needs import ClaimSubject, NeededRun
from harness.judge.verdict.verdict import INCONCLUSIVE, SUPPORTED, ClaimScope, Judged, Verdict
from harness.plan.study_options import StudyOptions
from harness.record import Efficiency, RobustnessRecord, RunRecord
from harness.records.sample_scores import SECONDS
from harness.report.study_tables import StudyTold, study_document
from harness.report.tables.document import document_text
from harness.sample import Dataset

DATA = Dataset("d", None, "0" * 64, "x", ("train", "test"), "train", None, "test")  # type: ignore[arg-type]


def cell(model: str, control: str | None, seed: int, limit: int | None = None, trials: int = 1) -> Cell:
    train = TrainOptions(steps=100, batch_size=10, limit=limit, trials=trials)
    job = TrainingJob("t", DATA, model, control, seed, "cpu", ModelOptions(), train, None, "fail", {}, {})  # type: ignore[arg-type]
    return Cell(job, "test", EvaluateOptions(), MeasureOptions(warmups=0, runs=10))


def record(model: str, control: str | None = None, seconds: float = 50.0, steps: int = 50) -> RunRecord:
    return RunRecord(
        fingerprint=f"{model}-{control}", task="t", data="d", data_digest="0" * 64, split="test", model=model,
        control=control, seed=0, status="ok", error=None, metrics={}, signature="s",
        efficiency=Efficiency(100, 25_000, 1, 0.1, throughput_per_second=100.0, train_seconds=seconds),
        cell={"training": {"train": {"steps": steps, "batch_size": 10}, "options": {}}}, device="here", provenance={},
        created="2026-01-01",
    )  # fmt: skip


def sweep(model: str, seconds: dict[str, float]) -> RobustnessRecord:
    return RobustnessRecord(
        model, "t", "d", "0" * 64, "test", model, None, 0, "top-1", "s", 0.0, 50, 0, "cpu", (), {SECONDS: seconds},
        "2026-01-01",
    )  # fmt: skip


@dataclass
class Cells:
    """The cells of a study without plans: two seeds of each run, 200 samples."""

    lacking: Mapping[str, str] = field(default_factory=dict)
    first: str | None = None

    def planned(self, run: NeededRun) -> Any:
        return SimpleNamespace(samples=200)

    def cells(self, run: NeededRun) -> tuple[Cell, ...]:
        made = [cell(run.model, run.control, seed, run.limit) for seed in range(2)]
        return tuple(replace(c, training=replace(c.training, prerequisite=self.first)) for c in made)

    def absent(self, run: NeededRun) -> str:
        return self.lacking.get(run.model, "")

    def conditions(self, run: NeededRun) -> tuple[Condition, ...]:
        return tuple(Condition((Part(name, 3),)) for name in run.conditions)


F, C0, C3 = NeededRun("f"), NeededRun("f", "C0"), NeededRun("f", "C3")
GROUPS = NeededRun("f", split="groups")
GAIN = Aim("fusion-gain", "f", (F, C0, C3))
ZERO = Aim("zero-shot", "f", (F, C3))
FRAGILE = Aim("fragility", "f", (NeededRun("f", conditions=("fog",)), NeededRun("f", "C0", conditions=("fog",))))
COST = Aim("cost", "f", (F, C0))
FORGET = Aim("forgetting", "f", reason="nothing measures it yet")


def work(done: set[str] = frozenset(), scored: set[str] = frozenset(), lacking: Any = None) -> Work:  # type: ignore[assignment]
    return Work(
        Cells(lacking or {}), Prices([record("f")]), lambda cell: cell.fingerprint in done,  # type: ignore[arg-type]
        lambda cell: scored, perturb_limit=50,
    )  # fmt: skip


def seconds_of_a_cell() -> float:
    """100 steps where 50 took 50 s, 200 samples at 100 a second, 10 timed runs of 0.1 s."""
    return 100 + 2 + 1 + FIXED_S


def test_what_is_decided_with_the_least_more_work_comes_first() -> None:
    steps, dropped = in_order([GAIN, ZERO, FRAGILE, COST, FORGET], work(), slots=2)
    # cost and zero-shot take 4 cells each; then fragility needs conditions alone, and the gain of fusion nothing
    assert [step.aim.claim for step in steps] == ["zero-shot", "fusion-gain", "cost", "fragility"]
    assert [(step.cells, step.conditions) for step in steps] == [(4, 0), (2, 0), (0, 0), (0, 4)]
    assert [[run.name for run in step.runs] for step in steps[:2]] == [["f", "f [C3]"], ["f [C0]"]]
    assert steps[0].price.seconds == pytest.approx(4 * seconds_of_a_cell())
    assert steps[3].price.seconds == pytest.approx(4 * (CONDITION_S + 50 * PERTURB_S + 0.5))
    assert [(each.aim.claim, each.reason) for each in dropped] == [("forgetting", "nothing measures it yet")]


def test_what_is_done_is_neither_run_nor_priced() -> None:
    done = {c.fingerprint for run in (F, C0) for c in Cells().cells(run)}
    steps, _ = in_order([COST, FRAGILE, ZERO], work(done, {"fog-3"}), slots=2)
    assert [(step.aim.claim, step.cells, step.conditions) for step in steps] == [
        ("cost", 0, 0), ("fragility", 0, 0), ("zero-shot", 2, 0),
    ]  # fmt: skip


def test_a_budget_drops_what_goes_beyond_it_and_says_why() -> None:
    each = seconds_of_a_cell() / 2
    steps, dropped = in_order([GAIN, ZERO], work(), slots=2, seconds_left=5 * each)
    assert [step.aim.claim for step in steps] == ["zero-shot"]
    assert dropped[0].aim == GAIN
    assert dropped[0].reason == "beyond the budget: takes 111 s, 56 s are left"
    require_time([GAIN], work(), Budget(None, 0))
    require_time([FORGET], work(), Budget(10, time.monotonic()))
    with pytest.raises(UsageError, match=r"--budget: 10 s is less than planning and one cell .*, and about 111 s\."):
        require_time([GAIN], work(), Budget(10, time.monotonic()))
    with pytest.raises(UsageError, match=r"--budget: 2 min is less .* here: 100 s until now, and about 111 s\."):
        require_time([GAIN], work(), Budget(120, time.monotonic() - 100))


def test_a_budget_runs_from_the_start_of_the_command() -> None:
    assert Budget(None, 0).left is None
    assert Budget(100, time.monotonic() - 40).left == pytest.approx(60, abs=5)
    assert Budget(100, time.monotonic() - 400).left == 0


def test_a_claim_whose_model_cannot_run_here_is_not_planned() -> None:
    steps, dropped = in_order([COST], work(lacking={"f": "its weights are not here"}), slots=1)
    assert not steps
    assert dropped[0].reason == "f cannot run here: its weights are not here"


def test_prices_take_the_record_that_is_most_like_a_cell() -> None:
    prices = Prices([record("f", seconds=10), record("f", "C0", seconds=70), record("g", seconds=9)])
    assert prices.like(cell("f", "C0", 0)) == record("f", "C0", seconds=70)
    assert prices.like(cell("f", "C9", 0)) is not None
    assert prices.like(cell("h", None, 0)) is None
    assert prices.of_cell(cell("h", None, 0), 200).seconds == FIXED_S
    variant = replace(cell("f", None, 0), variant=ModelVariant("int8", {}))
    more = prices.of_cell(variant, 200).seconds - prices.of_cell(cell("f", None, 0), 200).seconds
    assert more == pytest.approx(VARIANT_S)
    once, thrice = (prices.of_cell(cell("f", None, 0, trials=number), 200).seconds for number in (1, 3))
    assert thrice - once == pytest.approx(2 * 20), "each trial is a training"
    told = prices.source([cell("f", None, 0), cell("h", None, 0)])
    assert told == f"1 stored records and a fixed {FIXED_S:g} s a cell for h, of which nothing is known"
    assert Prices([], [record("f")]).source([cell("f", None, 0)]) == "1 short cell that was just tried"


def test_another_way_of_tuning_is_not_known_by_the_model_alone() -> None:
    """Text that is tuned is read at each step: a step costs many times as much."""
    known, full = record("f"), cell("f", None, 0)
    full = replace(full, training=replace(full.training, options=ModelOptions(tune="full")))
    assert Prices([known]).knows(cell("f", None, 0))
    assert not Prices([known]).knows(full)
    told = {**known.cell["training"], "options": {"tune": "full"}}
    slow = replace(known, cell={"training": told}, fingerprint="slow")
    assert Prices([known, slow]).knows(full)
    assert Prices([known, slow]).like(full) == slow


def test_conditions_cost_what_stored_ones_took() -> None:
    """10 s and 30 s for 50 samples: the median is 0.4 s a sample, beside the fixed guess for scoring."""
    sweeps = [sweep("f", {"fog-3": 10.0, "snow-3": 30.0}), sweep("g", {"fog-3": 500.0}), sweep("f", {})]
    prices = Prices([record("f")], sweeps=sweeps)
    assert prices.of_conditions(cell("f", "C0", 0), 3, 100).seconds == pytest.approx(3 * (CONDITION_S + 100 * 0.4))
    unknown = Prices([record("f")]).of_conditions(cell("f", None, 0), 3, 100).seconds
    assert unknown == pytest.approx(3 * (CONDITION_S + 100 * PERTURB_S + 1.0))
    assert "1 stored records and conditions that were timed" in prices.source([cell("f", None, 0)])


def test_explanations_cost_what_stored_ones_took() -> None:
    """Two methods of 40 samples in 16 s: .2 s each; what was never timed is a guess."""
    timed = [
        SimpleNamespace(model="f", methods=("a", "b"), samples=40, provenance=took)
        for took in ({"seconds": 16.0}, {"seconds": 8.0}, {"seconds": 160.0}, {})
    ]
    prices = Prices([record("f")], explained=timed)  # type: ignore[arg-type]
    assert prices.of_explanations(cell("f", "C0", 0), 2, 100).seconds == pytest.approx(2 * 100 * 0.2)
    assert prices.of_explanations(cell("g", None, 0), 2, 100).seconds == pytest.approx(2 * 100 * EXPLAIN_S)


def test_another_split_is_answered_by_the_same_training() -> None:
    prices = Prices([record("f")])
    whole, again = (prices.of_cell(cell("f", None, 0), 200, trained=known) for known in (False, True))
    assert whole.seconds - again.seconds == pytest.approx(100)
    assert whole.bytes - again.bytes == 4 * 25_000
    own = Cells()
    split = {run: tuple(replace(c, split=run.split or "test") for c in own.cells(run)) for run in (F, GROUPS)}
    methods = {"planned": own.planned, "absent": own.absent, "conditions": own.conditions, "cells": split.__getitem__}
    both = replace(work(), cells=SimpleNamespace(**methods))  # type: ignore[arg-type]
    (step,) = in_order([Aim("group-bias", "f", (F, GROUPS))], both, slots=1)[0]
    assert step.price.seconds == pytest.approx(2 * seconds_of_a_cell() + 2 * (seconds_of_a_cell() - 100))


def test_what_models_build_on_is_priced_once(tmp_path: Path) -> None:
    cells = Cells(first="base")
    priced = replace(work(), cells=cells, prices=Prices([record("f")], first={"base": 300.0}))  # type: ignore[arg-type]
    steps, _ = in_order([ZERO, COST], priced, slots=2)
    each = seconds_of_a_cell()
    assert [step.price.seconds for step in steps] == pytest.approx([4 * each + 300, 2 * each])
    job = SimpleNamespace(train=TrainOptions(steps=800))
    planned: Any = SimpleNamespace(variations={1: SimpleNamespace(plan=SimpleNamespace(prerequisites={"base": job}))})
    assert first_trainings(planned, tmp_path, 2) == {"base": 2 * 800 * STEP_S}
    for name, steps_of, seconds in (("old", 800, 100.0), ("other", 50, 7.0)):
        folder = tmp_path / "prerequisites" / name
        folder.mkdir(parents=True)
        told = {"checkpoint_sha256": hashlib.sha256(b"w").hexdigest(), "skipped": [], "samples": {}, "steps": steps_of}
        (folder / "training.json").write_text(json.dumps({**told, "seconds": seconds}), encoding="utf-8")
        (folder / "checkpoint.safetensors").write_bytes(b"w")
    assert first_trainings(planned, tmp_path, 2) == {"base": 200.0}
    (tmp_path / "prerequisites" / "old").rename(tmp_path / "prerequisites" / "base")
    assert first_trainings(planned, tmp_path, 2) == {}


def test_models_are_fused_ones() -> None:
    fusion, options = FusionControls({"film": ("C0",), "hub": ()}, ("probe",)), StudyOptions(models="film,other")
    assert fused_models("t", ["all"], options, fusion) == ["film"]
    assert fused_models("t", ["hub"], options, fusion) == ["hub"]
    assert fused_models("t", [], StudyOptions(), fusion) == ["film"]
    for name, told in {
        "probe": "it is not fused, and claims are about fused ones: film, hub",
        "film[C0]": "runs the controls that claims need by itself. Name film",
        "flim": "no fused model of t has that name. Did you mean 'film'?",
    }.items():
        with pytest.raises(UsageError) as error:
            fused_models("t", [name], options, fusion)
        assert told in str(error.value)
    with pytest.raises(UsageError, match="t has no fused model here, so that no claim about fusion can be decided"):
        fused_models("t", ["all"], options, FusionControls({}, ("probe",)))


def test_the_section_study_is_read_or_refused() -> None:
    breadth = breadth_of(StudyOptions(sizes="500, 125,250", severities="3", policies="lora,adapter"))
    assert (breadth.sizes, breadth.severities, breadth.policies) == ((125, 250, 500), (3,), ("lora", "adapter"))
    for wrong, told in {
        StudyOptions(sizes="125,x"): "study.sizes = '125,x'; wanted whole numbers above 0",
        StudyOptions(severities="3,6"): "study.severities: 6; wanted numbers of 1 to 5",
        StudyOptions(policies="lorra"): "unknown tuning policy 'lorra'. Did you mean 'lora'",
    }.items():
        with pytest.raises(UsageError) as error:
            breadth_of(wrong)
        assert told in str(error.value)


def test_aims_are_in_the_order_of_claims_and_say_what_cannot_be() -> None:
    subjects = [ClaimSubject(name, ("C0", "C3", "C4"), ("top-1",)) for name in ("f", "g")]
    found = aims_of(("zero-shot", "cost", "explanations"), subjects)
    assert [(aim.claim, aim.model, bool(aim.runs)) for aim in found] == [
        ("zero-shot", "f", False), ("zero-shot", "g", False), ("cost", "f", True), ("cost", "g", True),
        ("explanations", "f", True), ("explanations", "g", True),
    ]  # fmt: skip
    assert found[0].reason == "no class of this task is unseen in training"


def test_verdicts_are_told_as_they_change() -> None:
    scope = ClaimScope("t", "d", "0" * 64, "test", "s", None, "top-1", 200)

    def table(*verdicts: Verdict) -> Any:
        return standing([Judged(scope, verdicts)])

    open_ = Verdict("zero-shot", "f", INCONCLUSIVE, "3 of 5 seeds", missing=("bench run",))
    firm = Verdict("zero-shot", "f", SUPPORTED, "by language")
    cost = Verdict("cost", "f", INCONCLUSIVE, "C0 was not run", missing=("bench run",))
    assert told_changes({}, table(open_, cost), COST) == ["Verdict: cost, f: ? inconclusive: C0 was not run"]
    assert told_changes(table(open_), table(firm), COST) == [
        "Verdict: zero-shot, f: ? inconclusive → ✓ supported: by language"
    ]
    assert told_changes(table(firm), table(firm), COST) == []
    biased = Judged(replace(scope, data="d+badge=0.95"), (replace(firm, claim="cost", reason="there too"),))
    assert told_changes({}, standing([Judged(scope, (cost,)), biased]), COST) == [
        "Verdict: cost, f (d, split test): ? inconclusive: C0 was not run",
        "Verdict: cost, f (d+badge=0.95, split test): ✓ supported: there too",
    ]
    two = table(replace(firm, reason="by age: no gap"), replace(firm, reason="by sex: no gap"))
    assert [line.rpartition("supported: ")[2] for line in told_changes({}, two, COST)] == [
        "by age: no gap", "by sex: no gap",
    ]  # fmt: skip


def test_the_plan_says_hours_disk_and_where_they_come_from() -> None:
    steps, dropped = in_order([GAIN, FORGET], work(), slots=2)
    told = StudyTold("t", steps, dropped, 2, 3, 2, "1 stored records", 5 * 2**30, ("2 seeds: too few",))
    text = document_text(study_document(told), "text", 100)
    assert text.startswith("Study of t: 6 cells to run (3 done) with 2 seeds, 0 scores under conditions; about 6 min")
    assert "nothing measures it yet" in text
    assert "[estimated from 1 stored records, 2 jobs side by side on a quiet machine; 5.0 GiB are free]" in text
    assert "2 seeds: too few" in text
    plan = told.to_json()
    assert plan["seconds"] == pytest.approx(3 * seconds_of_a_cell(), abs=0.1)
    assert plan["bytes"] == 6 * (150_000 + 4 * 25_000)
    assert plan["steps"][0]["runs"][1] == {
        "model": "f", "control": "C0", "train_limit": None, "tune": None, "split": None, "data": {}, "perturb": [],
        "explain": [], "train_shots": None, "train_sequence": None,
    }  # fmt: skip
    assert plan["not_planned"] == [{"claim": "forgetting", "model": "f", "reason": "nothing measures it yet"}]

"""What a claim says that it needs is what its judge reads: with all of it it is decided, and each part moves it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.condition import CLEAN
from harness.judge.verdict.claim_needs import needs_of
from harness.judge.verdict.judge import judge
from harness.judge.verdict.needs import Breadth, ClaimSubject, NeededRun, unfused_of
from harness.judge.verdict.verdict import CLAIMS, INCONCLUSIVE, Verdict
from harness.perturb.grids import parse_grid
from harness.plan.plugins import load_perturbations
from harness.record import Efficiency, Estimate
from harness.stats.intervals import wilson

from .made_up_records import LADDER, World
from .made_up_sequences import losing, with_sequence

SUBJECT = ClaimSubject(
    model="fused",
    controls=LADDER,
    metrics=("top-1", "AUSUC", "unseen-top-1"),
    policy="frozen",
    groups={"test": {"x": 500, "y": 500}},
    breadth=Breadth((125, 250, 500), (3,), ("lora",), "style"),
)
DECIDABLE = [name for name in CLAIMS if name != "explanations"]


def level(run: NeededRun) -> float:
    """A model that gains by fusion, by more labels and by full tuning, of which lora keeps all."""
    gain = {None: 0.25, "full": 0.35, "lora": 0.36}[run.tune] if run.control is None else 0.1
    return gain + 0.02 * np.log2((run.limit or 1000) / 125)


def built(runs: tuple[NeededRun, ...], right: np.ndarray) -> World:
    """Records of exactly these runs, those of a model with the same settings once."""
    world, generator = World(), np.random.default_rng(3)
    conditions: dict[NeededRun, tuple[str, ...]] = {}
    for run in runs:
        conditions[run.trained] = (*conditions.get(run.trained, ()), *run.conditions)
    for run, perturbed in conditions.items():
        rest = 0.01 * generator.standard_normal(right.shape)
        values = right - right.mean() + 0.4 + level(run) + rest - rest.mean()
        rights = (450, 300) if run.control is None else (400, 390)
        groups = {f"top-1[{n}]": Estimate(r / 500, *wilson(r, 500), 500) for n, r in zip("xy", rights, strict=True)}
        if run.split:  # groups are shares of right answers
            values = np.tile(np.concatenate([np.arange(500) < right for right in rights]).astype(float), (5, 1))
        fused = run.control is None
        records = world.add(
            run.model, run.control, dict.fromkeys(SUBJECT.metrics, values),
            train={"limit": run.limit, "sequence": run.sequence or ""},
            tune=(run.tune or "frozen") if fused else None, slices=groups, measure={"warmups": 10},
            efficiency=Efficiency(100, 7, 1000, 2e-3 if fused else 1e-3, peak_memory_bytes=9 if fused else 5),
        )  # fmt: skip
        if run.sequence:
            with_sequence(world, records, losing(0.3 if fused else 0.05))
        if perturbed:
            found = parse_grid(",".join(perturbed), load_perturbations(), ())
            cells = {(c.name, c.severity): values - (0.3 if fused else 0.05) for c in found if c != CLEAN}
            world.sweep(records, cells, clean=values)
    return world


def decide(claim: str, runs: tuple[NeededRun, ...], right: np.ndarray) -> list[Verdict]:
    tables = built(runs, right).tables()
    return [verdict for evidence in tables for verdict in judge(evidence, claims=[claim])]


@pytest.mark.parametrize("claim", DECIDABLE)
def test_what_is_needed_decides_and_each_part_is_read(claim: str, right: np.ndarray) -> None:
    runs = needs_of(claim, SUBJECT)
    assert not isinstance(runs, str)
    whole = decide(claim, runs, right)
    assert [verdict.outcome for verdict in whole if verdict.outcome != INCONCLUSIVE], whole
    assert not any(verdict.missing for verdict in whole)
    for n, run in enumerate(runs):
        assert decide(claim, (*runs[:n], *runs[n + 1 :]), right) != whole, f"{run} is not read"


def test_what_no_run_decides_says_why() -> None:
    bare: Any = ClaimSubject("fused", (), ("CIDEr",), timed=False)
    reasons = {claim: needs_of(claim, bare) for claim in DECIDABLE}
    assert reasons == {
        "fusion-gain": "no un-fused control is offered; name an un-fused model of this table with --stand-in",
        "zero-shot": "no class of this task is unseen in training",
        "efficient-tuning": "fused has no language model whose tuning could be chosen",
        "label-efficiency": reasons["fusion-gain"],
        "fragility": reasons["fusion-gain"],
        "forgetting": "no sequence of domains to train on: name some with --set study.sequence=a,b",
        "cost": "time and memory are not measured (measure.timed)",
        "compression": reasons["fusion-gain"],
        "group-bias": "no groups: no split of this data divides its samples into groups",
    }
    small = ClaimSubject("fused", LADDER, ("top-1",), groups={"test": {"day": 800, "night": 163}})
    assert "the smallest of split test has 163 of 400" in needs_of("group-bias", small)
    assert "2 numbers of training samples; wanted 3" in needs_of(
        "label-efficiency", ClaimSubject("fused", LADDER, ("top-1",), breadth=Breadth((125, 250)))
    )


def test_groups_are_asked_for_on_ordinary_and_on_biased_training() -> None:
    biased: Any = needs_of("group-bias", replace(SUBJECT, biased=(("badge_agreement", 0.95),)))
    assert [(run.name, run.split, run.data) for run in biased] == [
        (name, "test", data) for data in ((), (("badge_agreement", 0.95),)) for name in ("fused", "fused [C0]")
    ]


def test_samples_of_one_class_are_counted_by_class() -> None:
    runs = needs_of("label-efficiency", replace(SUBJECT, one_class=True))
    assert not isinstance(runs, str)
    assert {(run.control, run.shots) for run in runs} == {
        (c, k) for c in (None, "C0") for k in (None, 1, 2, 4, 8, 16, 32)
    }
    assert not any(run.limit for run in runs)


def test_vision_alone_is_c0_then_the_stand_in_then_c1() -> None:
    chosen = [unfused_of("film", offered, name) for offered, name in (
        (("C0", "C1"), "probe"), (("C1",), "probe"), (("C1",), None), ((), None),
    )]  # fmt: skip
    assert [found and (found.name, found.model, found.control) for found in chosen] == [
        ("C0", "film", "C0"), ("C0 (probe)", "probe", None), ("C1", "film", "C1"), None,
    ]  # fmt: skip
    stood_in = needs_of("fusion-gain", ClaimSubject("film", ("C1", "C2"), ("top-1",), stand_in="probe"))
    assert [run.name for run in stood_in if isinstance(run, NeededRun)] == ["film", "probe", "film [C1]", "film [C2]"]


def test_a_tuned_model_takes_no_other_claims_place(world: Any, right: np.ndarray) -> None:
    """The setting that has its controls is judged, though tuned runs are newer; without any the model as it is."""
    world.add("fused", None, right, tune="frozen", created="2026-01-01")
    world.add("fused", "C2", right, tune="frozen", created="2026-01-01")
    tuned = world.add("fused", None, right, tune="lora", created="2026-01-02")
    (head,) = world.evidence().heads()
    assert head.settings["model.tune"] == "frozen"
    world.add("fused", "C2", right, tune="lora", created="2026-01-02")
    world.add("fused", "C1", right, tune="lora", created="2026-01-02")
    world.add("fused", "C0", right, created="2026-01-02")
    assert world.evidence().heads()[0].created == tuned[0].created


def test_code_that_a_policy_brings_with_it_is_no_newer_code(world: Any, right: np.ndarray) -> None:
    """A tuned model holds code that the plain one lacks: the plain one with its controls stays the head."""
    for control in (None, "C1"):
        world.add("fused", control, right, tune="frozen", created="2026-01-01", versions={"model": "plain"})
    world.add("fused", None, right, tune="lora", created="2026-01-02", versions={"model": "with lora"})
    for record in world.records:
        record.cell["training"]["options"]["tune"] = record.cell["training"]["recipe"]["tune"]
    (head,) = world.evidence().heads()
    assert head.settings["model.tune"] == "frozen"
    for control in (None, "C1"):
        world.add("fused", control, right, tune="frozen", created="2026-01-03", versions={"model": "newer"})
    (head,) = world.evidence().heads()
    assert {record.created for record in head.records} == {"2026-01-03"}

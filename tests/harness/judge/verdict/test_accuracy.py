"""Claim fusion-gain: every guard, which control kills, false alarms and power."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.judge.verdict.accuracy import judge
from harness.judge.verdict.verdict import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict
from harness.record import Estimate

MODALITY = {("wrong-image", 1): 0.05, ("blank-image", 1): 0.05, ("empty-text", 1): 0.05}
GAINS = dict.fromkeys(("C0", "C1", "C2", "C3", "C4"), 0.05)


def decide(world: Any, **options: Any) -> Verdict:
    evidence = world.evidence(**options)
    return judge(evidence, evidence.heads()[0])


def test_supported_above_all_controls(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS)
    found = decide(world)
    assert found.outcome == SUPPORTED
    assert found.mark == "✓ supported"
    assert "uses image and text (5 of 5 seeds" in found.reason
    assert [number.name for number in found.numbers] == [f"F − {name}" for name in GAINS]
    assert all(number.low is not None and number.low > 0 for number in found.numbers)
    assert found.numbers[0].value == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize(
    ("control", "why"),
    [
        ("C0", "no gain over vision alone"),
        ("C1", "capacity explains"),
        ("C2", "pretrained language model adds nothing"),
        ("C3", "content of the texts adds nothing"),
        ("C4", "side information does as much"),
    ],
)
def test_one_control_kills(control: str, why: str, world: Any, right: np.ndarray) -> None:
    world.ladder(right, {**GAINS, control: 0.0})
    found = decide(world)
    assert found.outcome == NOT_SUPPORTED
    assert why in found.reason
    assert f"F − {control}" in found.reason


def test_a_gain_below_the_margin_is_none(world: Any, right: np.ndarray) -> None:
    world.ladder(right, {**GAINS, "C2": 0.01})
    assert decide(world, margin=0.02).outcome == NOT_SUPPORTED
    assert decide(world, margin=0.001).outcome == SUPPORTED


def test_wide_intervals_are_inconclusive(world: Any) -> None:
    generator = np.random.default_rng(0)
    for control in (None, *GAINS):
        values = 0.7 + 0.4 * generator.standard_normal((5, 300)) + (0.02 if control is None else 0.0)
        records = world.add("fused", control, values)
        if control is None:
            world.sweep(records, {("wrong-image", 1): 0.05, ("wrong-text", 1): 0.05, ("empty-text", 1): 0.05,
                                  ("blank-image", 1): 0.05})  # fmt: skip
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert "not told apart" in found.reason
    assert any("would be found in 4 of 5" in item for item in found.missing)


def test_fewer_than_five_seeds_is_no_verdict(world: Any, right: np.ndarray) -> None:
    world.ladder(right[:4], GAINS)
    found = decide(world)
    assert (found.outcome, found.reason) == (INCONCLUSIVE, "4 of 5 seeds")
    assert any(item.startswith("bench run --task image-classification --model fused") for item in found.missing)
    assert "--seeds 5 --controls" in found.missing[-1]
    assert len(found.numbers) == 5


def test_one_seed_shows_numbers_and_no_verdict(world: Any, right: np.ndarray) -> None:
    world.ladder(right[:1], GAINS)
    found = decide(world)
    assert found.reason == "1 of 5 seeds"
    assert "variance is not known" in found.numbers[0].note


def test_a_control_with_fewer_seeds_blocks(world: Any, right: np.ndarray) -> None:
    world.ladder(right, {k: v for k, v in GAINS.items() if k != "C3"})
    world.add("fused", "C3", right[:3] - 0.05)
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert any("C3 shares 3 of 5 seeds" in item for item in found.missing)


def test_a_missing_control_blocks(world: Any, right: np.ndarray) -> None:
    world.ladder(right, {k: v for k, v in GAINS.items() if k not in ("C1", "C4")})
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert "C1, C4 not run" in found.missing


def test_an_unmatched_control_blocks(world: Any, right: np.ndarray) -> None:
    world.ladder(right, {k: v for k, v in GAINS.items() if k != "C1"})
    world.add("fused", "C1", right - 0.05, train={"steps": 200})
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert "C1 is not matched: train.steps 200, not 400" in found.missing


def test_a_control_of_other_code_is_not_matched(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right, versions={"model": "new"})
    for control in GAINS:
        world.add("fused", control, right - 0.05, versions={"model": "new" if control != "C0" else "old"})
    assert any("C0 is not matched: versions.model" in item for item in decide(world).missing)


def test_not_learnable_is_no_verdict(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right, learnable=False)
    for control in GAINS:
        world.add("fused", control, right - 0.05)
    assert "not learnable here" in decide(world).reason


def test_a_gate_that_was_not_run_blocks_support_only(world: Any, right: np.ndarray) -> None:
    fused = world.add("fused", None, right, learnable=None)
    world.sweep(fused, MODALITY)
    for control in GAINS:
        world.add("fused", control, right - 0.05)
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert any("gate of learnability" in item for item in found.missing)


def test_what_is_fitted_in_one_pass_has_no_gate(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right, learnable=None, train={"gate_steps": 120})
    (head,) = world.evidence().heads()
    assert head.learnable is True


def test_a_control_that_cannot_learn_is_no_fair_control(world: Any, right: np.ndarray) -> None:
    world.ladder(right, {k: v for k, v in GAINS.items() if k != "C2"})
    world.add("fused", "C2", right - 0.3, learnable=False)
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert any("C2 cannot fit 32 samples" in item for item in found.missing)


def test_modality_battery_missing_blocks(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS, battery=False)
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert any("modality battery" in item for item in found.missing)


def test_text_that_is_not_used_refutes(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS, battery=False)
    fused = [r for r in world.records if r.control is None]
    world.sweep(fused, {("wrong-image", s): 0.1 for s in range(1, 6)} | {("wrong-text", s): 0.8 for s in range(1, 6)},
                half=0.001)  # fmt: skip
    found = decide(world)
    assert found.outcome == NOT_SUPPORTED
    assert "text not used" in found.reason


def test_text_whose_use_is_undecided_blocks(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS, battery=False)
    fused = [r for r in world.records if r.control is None]
    cells = {("wrong-image", s): 0.1 for s in range(1, 6)} | {("wrong-text", s): 0.78 for s in range(1, 6)}
    world.sweep(fused, cells, half=0.1)
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert any("whether the text is used is undecided" in item for item in found.missing)


def test_a_model_that_reads_no_text_must_use_the_image_only(world: Any, right: np.ndarray) -> None:
    world.controls["fused"] = ("C1", "C2")
    world.ladder(right, {"C1": 0.05, "C2": 0.05}, battery=False)
    fused = [r for r in world.records if r.control is None]
    cells: dict[tuple[str, int], Any] = {("wrong-image", s): 0.1 for s in range(1, 6)}
    cells |= {("wrong-text", s): "skipped: the model reads no text" for s in range(1, 6)}
    world.sweep(fused, cells)
    found = decide(world)
    assert found.outcome == SUPPORTED  # C1 stands for vision alone where no C0 is offered
    assert "uses image (5 of 5" in found.reason


def test_without_an_unfused_control_nothing_is_supported(world: Any, right: np.ndarray) -> None:
    world.controls["fused"] = ("C2", "C3")
    world.ladder(right, {"C2": 0.05, "C3": 0.05})
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert "--stand-in" in found.missing[0]
    assert not any(item.startswith("bench run") for item in found.missing)
    world.add("plain", None, right - 0.05)
    assert decide(world, stand_in="plain").outcome == SUPPORTED
    assert any("nobody (as C0) was not run" in item for item in decide(world, stand_in="nobody").missing)


def test_older_records_fall_back_to_their_intervals(world: Any, right: np.ndarray) -> None:
    world.ladder(right, {**GAINS, "C0": 0.2})
    world.scores.clear()
    found = decide(world)
    assert all("unpaired" in number.note for number in found.numbers)
    paired_width = 0.02
    assert found.numbers[0].high - found.numbers[0].low > paired_width
    assert found.outcome in (INCONCLUSIVE, SUPPORTED)


def test_scores_of_another_record_are_not_trusted(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS)
    name = next(r.fingerprint for r in world.records if r.control == "C0")
    kept = world.scores[name, None]
    world.scores[name, None] = replace(kept, metrics={"top-1": kept.metrics["top-1"] + 0.1})
    notes = {number.name: number.note for number in decide(world).numbers}
    assert "unpaired" in notes["F − C0"]
    assert "unpaired" not in notes["F − C1"]


def test_samples_in_another_order_are_paired(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS)
    before = decide(world)
    for key, kept in list(world.scores.items()):
        if "C0" in key[0]:
            order = np.random.default_rng(0).permutation(len(kept.sample_ids))
            ids = tuple(kept.sample_ids[n] for n in order)
            world.scores[key] = replace(
                kept, sample_ids=ids, clusters=ids, metrics={"top-1": kept.metrics["top-1"][order]}
            )
    after = decide(world)
    assert after.numbers[0].low == pytest.approx(before.numbers[0].low)


def test_other_samples_are_unpaired(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS)
    for key, kept in list(world.scores.items()):
        if "C0" in key[0]:
            world.scores[key] = replace(kept, sample_ids=tuple(f"t{n}" for n in range(len(kept.sample_ids))))
    assert "unpaired" in decide(world).numbers[0].note


def test_a_score_that_is_no_number_is_named(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS)
    place = next(n for n, r in enumerate(world.records) if r.control == "C1" and r.seed == 2)
    record = world.records[place]
    broken = replace(record.metrics["top-1"], value=float("nan"))
    world.records[place] = replace(record, metrics={"top-1": broken})
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert any("not a finite number" in item and "seed 2" in item for item in found.missing)


def test_few_samples_are_no_verdict(world: Any, right: np.ndarray) -> None:
    world.ladder(right[:, :12], GAINS)
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert "12 independent test samples; wanted 20" in found.reason


def test_at_the_ceiling_nothing_can_be_told(world: Any, right: np.ndarray) -> None:
    ceilings = {"top-1": {"both": float(right.mean()) + 0.01}}
    world.add("fused", None, right, ceilings=ceilings)
    for control in GAINS:
        world.add("fused", control, right - 0.001, ceilings=ceilings)
    assert "within 2 points of the ceiling" in decide(world).reason


def test_identical_models_are_no_gain_but_few_alike_prove_nothing(world: Any) -> None:
    hits = (np.random.default_rng(0).random((1, 4000)) < 0.6).astype(float).repeat(5, axis=0)
    for control in (None, *GAINS):
        world.add("fused", control, hits)
    assert decide(world).outcome == NOT_SUPPORTED
    world.records.clear()
    for control in (None, *GAINS):
        world.add("fused", control, hits[:, :48])
    assert decide(world).outcome == INCONCLUSIVE


def _experiment(generator: np.random.Generator, gains: dict[str, float]) -> Any:
    """Right and wrong answers with chances that vary by sample and seed."""
    ease = generator.beta(2, 2, size=(1, 300))
    made = {}
    for control in (None, *gains):
        skill = gains.get(control, 0.0) if control else 0.0
        chance = np.clip(ease - skill + 0.015 * generator.standard_normal((5, 1)), 0, 1)
        made[control] = (generator.random((5, 300)) < chance).astype(float)
    return made


@pytest.mark.parametrize(("gain", "least", "most"), [(0.0, 0.0, 0.05), (0.15, 0.8, 1.0)])
def test_false_support_and_power(gain: float, least: float, most: float, world: Any) -> None:
    generator, rounds, supported = np.random.default_rng(2), 200, 0
    world.controls["fused"] = ("C0",)
    for _ in range(rounds):
        for kept in (world.records, world.scores, world.sweeps):
            kept.clear()
        for control, values in _experiment(generator, {"C0": gain}).items():
            records = world.add("fused", control, values)
            if control is None:
                world.sweep(records, MODALITY)
        supported += decide(world).outcome == SUPPORTED
    assert least <= supported / rounds <= most


def test_the_newest_settings_of_the_largest_training_are_judged(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS)
    world.add("fused", None, right - 0.3, train={"limit": 100}, created="2026-02-02")
    (head,) = world.evidence().heads()
    assert head.settings["train.limit"] is None
    world.add("fused", None, right - 0.1, train={"steps": 800}, created="2026-02-02")
    (head,) = world.evidence().heads()
    assert head.settings["train.steps"] == 400, "a newer one without controls takes nobody's place"
    for control in GAINS:
        world.add("fused", control, right - 0.2, train={"steps": 800}, created="2026-02-02")
    (head,) = world.evidence().heads()
    assert head.settings["train.steps"] == 800


def test_a_slice_that_goes_the_other_way_is_named(world: Any, right: np.ndarray) -> None:
    world.controls["fused"] = ("C0",)
    for control, whole, night in ((None, 0.0, 0.3), ("C0", 0.05, 0.6)):
        slices = {
            f"top-1[{n}]": Estimate(s, s - 0.05, s + 0.05, 300) for n, s in (("clear", 0.9 - whole), ("night", night))
        }
        records = world.add("fused", control, right - whole, slices=slices)
        if control is None:
            world.sweep(records, MODALITY)
    found = decide(world)
    assert found.outcome == SUPPORTED
    assert found.reason.endswith("; reversed in night")
    assert found.numbers[-1].name == "F − C0 in night"
    assert found.numbers[-1].value == pytest.approx(-0.3)


def test_tables_of_other_data_stay_apart(world: Any, right: np.ndarray) -> None:
    world.ladder(right, GAINS)
    world.records += [
        replace(r, data_digest="d2", fingerprint=f"{r.fingerprint}x", signature="top-1:2") for r in world.records
    ]
    assert len(world.tables()) == 2

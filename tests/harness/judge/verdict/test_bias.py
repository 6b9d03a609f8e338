"""Claim group-bias: worst group against its exact null, and the gap against vision alone's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.judge.robustness.worst_group import GroupScore
from harness.judge.verdict.bias import _gap_difference, judge_all
from harness.judge.verdict.group_sources import Groups
from harness.judge.verdict.verdict import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict
from harness.record import Estimate
from harness.records.group_columns import read_group_columns
from harness.stats.bias_amplification import OF_ATTRIBUTES
from harness.stats.intervals import wilson


def fill(
    world: Any, shares: dict[str | None, tuple[float, float]], count: int = 500, seeds: int = 5, divided: bool = True
) -> None:
    """The first samples of each group are right; `divided` is whether the group of each sample is stored."""
    for control, by_group in shares.items():
        rights = [round(share * count) for share in by_group]
        hits = np.concatenate([np.arange(count) < right for right in rights]).astype(float)
        slices = {
            f"top-1[{name}]": Estimate(right / count, *wilson(right, count), count)
            for name, right in zip("xy", rights, strict=True)
        }
        for record in world.add("fused", control, np.tile(hits, (seeds, 1)), slices=slices):
            if divided:
                key = record.fingerprint, None
                world.scores[key] = replace(world.scores[key], slices=("x",) * count + ("y",) * count)


def decide(world: Any) -> Verdict:
    evidence = world.evidence()
    (found,) = judge_all(evidence, evidence.heads())
    return found


def test_a_wider_gap_is_biased(world: Any) -> None:
    fill(world, {None: (0.9, 0.6), "C0": (0.8, 0.76)})
    found = decide(world)
    assert found.outcome == SUPPORTED
    assert found.numbers[0].value == pytest.approx(0.3 - 0.04)
    # paired, no variance of seeds here: .1 of group x are right by F alone, .16 of group y by C0 alone
    variance = (0.1 * 0.9 + 0.16 * 0.84) / 500
    assert found.numbers[0].low == pytest.approx(0.26 - 1.96 * variance**0.5, abs=2e-3)
    assert "worst group y 0.600" in found.reason
    assert "unpaired" not in str(found.numbers[0])


def test_models_are_independent_where_the_groups_of_samples_are_not_stored(world: Any) -> None:
    fill(world, {None: (0.9, 0.6), "C0": (0.8, 0.76)}, divided=False)
    found = decide(world)
    assert found.numbers[0].value == pytest.approx(0.3 - 0.04)
    # binomial, (k + 1) / (n + 2)
    variance = sum(p * (1 - p) / 500 for p in ((s * 500 + 1) / 502 for s in (0.9, 0.6, 0.8, 0.76)))
    assert found.numbers[0].low == pytest.approx(0.26 - 1.96 * variance**0.5, abs=1e-3)
    assert "models as independent" in found.numbers[0].note


def test_the_paired_interval_holds_a_true_difference_of_gaps() -> None:
    """Over made-up worlds whose two models are right on the same samples mostly, 95 % of intervals hold it."""
    rng = np.random.default_rng(0)
    names, ids = ("x",) * 300 + ("y",) * 300, tuple(map(str, range(600)))
    held = widths = 0.0
    for _ in range(300):
        ease = rng.random(600)
        sides = []
        for shares in ((0.8, 0.5), (0.75, 0.55)):
            limit = np.repeat(shares, 300)
            seeds = []
            for _ in range(5):
                right = (np.where(rng.random(600) < 0.9, ease, rng.random(600)) < limit).astype(float)
                counted = {g: GroupScore(int(right[k : k + 300].sum()), 300) for g, k in (("x", 0), ("y", 300))}
                seeds.append(Groups(counted, ids, names, right))
            sides.append(seeds)
        found = _gap_difference(*sides)
        held += found.low <= 0.1 <= found.high
        widths += found.high - found.low
    assert 0.93 <= held / 300 <= 0.995
    independent = 2 * 1.96 * (sum(p * (1 - p) / 300 for p in (0.8, 0.5, 0.75, 0.55))) ** 0.5
    assert widths / 300 < 0.75 * independent


def test_the_same_gap_is_not(world: Any) -> None:
    fill(world, {None: (0.8, 0.79), "C0": (0.9, 0.6)})
    found = decide(world)
    assert found.outcome == NOT_SUPPORTED
    assert "no wider gap than vision alone" in found.reason


def test_a_gap_within_chance_is_inconclusive(world: Any) -> None:
    fill(world, {None: (0.8, 0.76), "C0": (0.8, 0.78)})
    found = decide(world)
    assert found.outcome == INCONCLUSIVE
    assert any("test samples" in item for item in found.missing)


def test_small_groups_are_refused(world: Any) -> None:
    fill(world, {None: (0.9, 0.5), "C0": (0.8, 0.8)}, count=399)
    found = decide(world)
    assert (found.model, found.outcome) == (None, INCONCLUSIVE)
    assert found.reason == "group x has 399 of 400 samples"


def test_no_groups(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    assert decide(world).reason.startswith("no groups")


def test_a_seed_without_groups_is_told(world: Any) -> None:
    fill(world, {None: (0.9, 0.6), "C0": (0.8, 0.76)})
    last = world.records[-1]
    for name in [name for name in last.metrics if "[" in name]:
        del last.metrics[name]
    found = decide(world)
    assert found.outcome == INCONCLUSIVE and "not the same groups in every seed" in found.reason


def test_few_seeds(world: Any) -> None:
    fill(world, {None: (0.9, 0.5), "C0": (0.8, 0.8)}, seeds=2)
    assert decide(world).reason == "2 of 5 seeds"


def test_no_control(world: Any) -> None:
    fill(world, {None: (0.9, 0.5)})
    assert decide(world).reason == "C0 was not run"


def test_amplification_stands_beside_with_its_own_difference(world: Any) -> None:
    fill(world, {None: (0.9, 0.6), "C0": (0.8, 0.76)})
    for record in world.records:
        value = 0.1 if record.control is None else 0.04
        record.metrics[OF_ATTRIBUTES] = Estimate(value, value - 0.01, value + 0.01, 1000)
    shown = {number.name: number for number in decide(world).numbers}
    assert shown["bias amplification"].value == pytest.approx(0.1)
    difference = shown["bias amplification F − C0"]
    assert difference.value == pytest.approx(0.06)
    # errors of two independent intervals, the same in every seed
    assert difference.low == pytest.approx(0.06 - 0.01 * 2**0.5, abs=1e-3)


def test_groups_are_of_top_1_where_the_metric_that_ranks_has_none(world: Any) -> None:
    """As on groups of seen classes, where recall ranks."""
    fill(world, {None: (0.9, 0.6), "C0": (0.8, 0.76)})
    evidence = world.evidence()
    found = judge_all(replace(evidence, scope=replace(evidence.scope, metric="S")), evidence.heads())
    assert [verdict.outcome for verdict in found] == [SUPPORTED]


def by_column(world: Any, places: list[str], tmp_path: Path) -> list[Verdict]:
    evidence = world.evidence()
    file = tmp_path / "groups.csv"
    record = world.records[0]
    ids = evidence.read(record.task, record.fingerprint, None).sample_ids
    lines = [f"{sample},{place}" for sample, place in zip(ids, places, strict=True)]
    file.write_text("\n".join(["sample_id,place", *lines]), encoding="utf-8")
    options = replace(evidence.options, groups=read_group_columns(str(file)))
    return judge_all(replace(evidence, options=options), evidence.heads())


def test_a_column_of_the_user_divides_as_slices_do(world: Any, tmp_path: Path) -> None:
    fill(world, {None: (0.9, 0.6), "C0": (0.8, 0.76)})
    (found,) = by_column(world, ["x"] * 500 + ["y"] * 500, tmp_path)
    own = decide(world)
    assert found.outcome == own.outcome == SUPPORTED
    assert found.numbers == own.numbers
    assert found.reason == f"by place: {own.reason}"


def test_samples_without_a_group_are_left_out(world: Any, tmp_path: Path) -> None:
    """The first 90 of group y are right; leaving 80 of them out lowers it."""
    fill(world, {None: (0.9, 0.6), "C0": (0.8, 0.76)})
    (found,) = by_column(world, ["x"] * 500 + [""] * 80 + ["y"] * 420, tmp_path)
    worst = next(number for number in found.numbers if number.name == "worst group (y)")
    assert worst.value == pytest.approx(220 / 420)


@pytest.mark.parametrize(
    ("places", "told"),
    [(["x"] * 1000, "by place: fewer than two groups"), (["x"] * 990 + ["y"] * 10, "by place: group y has 10 of 400")],
)
def test_columns_that_divide_nothing_are_told(world: Any, places: list[str], told: str, tmp_path: Path) -> None:
    fill(world, {None: (0.9, 0.6), "C0": (0.8, 0.76)})
    (found,) = by_column(world, places, tmp_path)
    assert (found.model, found.outcome) == (None, INCONCLUSIVE)
    assert found.reason.startswith(told)


def test_a_file_of_other_samples_is_told(world: Any, tmp_path: Path) -> None:
    fill(world, {None: (0.9, 0.6), "C0": (0.8, 0.76)})
    file = tmp_path / "groups.csv"
    file.write_text("sample_id,place\nother,x\n", encoding="utf-8")
    evidence = world.evidence()
    options = replace(evidence.options, groups=read_group_columns(str(file)))
    (found,) = judge_all(replace(evidence, options=options), evidence.heads())
    assert found.outcome == INCONCLUSIVE
    assert "lacks 1000 of 1000 samples" in found.reason

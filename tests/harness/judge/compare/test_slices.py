"""Slices: which are compared, how their p are adjusted, what perturbed models leave behind, and NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import DataError, UsageError
from harness.judge.compare.comparison import Wanted, compare, pair_seeds
from harness.judge.compare.slices import (
    SeedStatistics,
    adjusted,
    perturbation_slices,
    require_finite_scores,
    scorer_slices,
    task_slices,
)
from harness.judge.select_records import Chosen
from harness.plan.run_plan import Environment
from harness.record import Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.records.rescore import DataPlace
from harness.records.store import Store
from harness.records.table_names import scores_name
from harness.report.comparison_tables import render_comparison
from harness.stats.proportions import ProportionStatistics, proportion
from harness.stats.resampling import MeanStatistics
from harness.stats.sample_scores import SampleScores
from harness.stats.significance import benjamini_hochberg

N = 60


def statistics(seed: int, share: float) -> dict[str, Any]:
    source = np.random.default_rng(seed)
    right = source.random(N) < share
    member = np.arange(N) < 20
    return {
        "top-1": proportion(right),
        "top-1[night]": proportion(right[:20]),
        "top-1[dusk]": proportion(right[:3]),
        "NLL[night]": MeanStatistics(source.random(20)),
        "top-1:dog": ProportionStatistics(right, member),
        "top-1:cat": ProportionStatistics(right, np.arange(N) > N - 3),
        "absent": None,
    }


def test_slices_of_the_metric_and_classes_are_compared_but_for_small_ones() -> None:
    found = SeedStatistics([statistics(0, 0.9)], [statistics(1, 0.3)])
    rows = scorer_slices(found, "top-1")
    assert [(row.kind, row.name, row.difference.count) for row in rows] == [
        ("slice", "night", 20),
        ("class", "dog", 20),
    ]
    right = found.a[0]["top-1"].per_sample[:20].mean(), found.b[0]["top-1"].per_sample[:20].mean()  # type: ignore[union-attr]
    assert rows[0].difference.found.value == pytest.approx(right[0] - right[1])
    assert rows[0].difference.flips is not None


def test_slices_of_the_task_are_scored_by_the_chosen_metric() -> None:
    found = SeedStatistics([statistics(0, 0.9)], [statistics(1, 0.3)])
    slices = {"size": {"small": range(0, 30), "large": range(30, 60), "tiny": range(4)}}
    rows = task_slices(found, "top-1", slices)
    assert [(row.kind, row.name, row.difference.count) for row in rows] == [
        ("size", "small", 30),
        ("size", "large", 30),
    ]
    expected = [found.a[0]["top-1"].per_sample[k : k + 30].mean() for k in (0, 30)]  # type: ignore[union-attr]
    assert [row.difference.a for row in rows] == pytest.approx(expected)


def test_p_are_adjusted_over_the_whole_table() -> None:
    found = SeedStatistics([statistics(0, 0.9)], [statistics(1, 0.6)])
    rows = adjusted(scorer_slices(found, "top-1") + task_slices(found, "top-1", {"x": {"y": range(40)}}))
    ps = [row.difference.p for row in rows]
    assert [row.adjusted for row in rows] == pytest.approx(benjamini_hochberg([p or 0.0 for p in ps]))


def sweep(record: RunRecord, **changes: Any) -> RobustnessRecord:
    scores = [
        PerturbedScore(f"f{name}{severity}", name, severity, "noise", "image", status, notes={"pixels_sha256": pixels})
        for name, severity, status, pixels in (
            ("clean", 0, "ok", "c"), ("fog", 3, "ok", "p"), ("jpeg", 1, "ok", "q"), ("typo", 1, "skipped", None),
        )
    ]  # fmt: skip
    made = RobustnessRecord(
        record.fingerprint, record.task, record.data, record.data_digest, record.split, record.model, None, record.seed,
        "main", "main:1", 0.0, N, 224, "a machine", tuple(scores), {}, record.created,
    )  # fmt: skip
    return replace(made, **changes)


def sample_scores(seed: int, shift: float) -> SampleScores:
    ids = tuple(str(n) for n in range(N))
    return SampleScores(ids, ids, {"main": np.random.default_rng(seed).random(N) + shift})


@pytest.fixture
def two(tmp_path: Path, record: Callable[..., RunRecord]) -> tuple[Store, RunRecord, RunRecord]:
    """Two records with sweeps; fog has stored scores, jpeg was made before these were kept."""
    store = Store(str(tmp_path))
    a, b = (replace(record(name, 0.5), fingerprint=digits * 16) for name, digits in (("one", "a"), ("two", "b")))
    for place, made in enumerate((a, b)):
        store.write_record(made)
        store.write_robustness(sweep(made))
        store.write_sample_scores(scores_name(made.task, made.fingerprint, "fog-3"), sample_scores(place, 0.4 * place))
    return store, a, b


def test_perturbations_are_compared_where_both_left_scores(two: tuple[Store, RunRecord, RunRecord]) -> None:
    store, a, b = two
    rows, notes = perturbation_slices([(a, b)], (store, store))
    assert [(row.kind, row.name) for row in rows] == [("perturbation", "fog 3")]
    expected = sample_scores(0, 0).metrics["main"].mean() - sample_scores(1, 0.4).metrics["main"].mean()
    assert rows[0].difference.found.value == pytest.approx(expected)
    assert rows[0].difference.found.told_apart
    assert notes == [
        "1 conditions have no stored scores of single samples (they were made before these were kept): "
        "bench run --perturb makes them."
    ]


def test_sweeps_on_other_pixels_are_not_compared(two: tuple[Store, RunRecord, RunRecord]) -> None:
    store, a, b = two
    store.write_robustness(sweep(b, shortest_px=128))
    rows, notes = perturbation_slices([(a, b)], (store, store))
    assert (rows, notes) == ([], ["Perturbations are not compared: shortest px 224 against 128."])
    other = sweep(b)
    moved = [replace(s, notes={"pixels_sha256": "other"}) if s.perturbation == "fog" else s for s in other.scores]
    store.write_robustness(replace(other, scores=tuple(moved)))
    assert perturbation_slices([(a, b)], (store, store))[0] == []


def test_records_alone_are_compared_by_their_estimates(two: tuple[Store, RunRecord, RunRecord], tmp_path: Path) -> None:
    store, a, b = two
    place = DataPlace(Environment(tmp_path, tmp_path))
    found = compare(Chosen("one", store, (a,)), Chosen("two", store, (b,)), place, Wanted())
    assert not found.paired
    assert "neither predictions nor scores" in render_comparison([found], "text")
    content = json.loads(render_comparison([found], "json"))["comparisons"][0]
    assert content["metrics"][0]["low"] < content["metrics"][0]["difference"] < content["metrics"][0]["high"]
    assert "UNPAIRED" in render_comparison([found], "md")


def test_stored_scores_that_are_no_numbers_are_refused() -> None:
    scores = sample_scores(0, 0)
    scores.metrics["main"][7] = np.inf
    with pytest.raises(DataError, match=r"here: main of sample 7 is inf, and 1 of 60 are no numbers"):
        require_finite_scores(scores, "here")


def test_estimates_that_are_no_numbers_are_refused(two: tuple[Store, RunRecord, RunRecord], tmp_path: Path) -> None:
    store, a, b = two
    wrong = replace(a, metrics={"main": Estimate(math.nan, 0.1, 0.2, 9)})
    place = DataPlace(Environment(tmp_path, tmp_path))
    with pytest.raises(DataError, match="one: main on its record is no number"):
        compare(Chosen("one", store, (wrong,)), Chosen("two", store, (b,)), place, Wanted())


def test_another_task_or_the_same_records_are_no_comparison(
    two: tuple[Store, RunRecord, RunRecord], tmp_path: Path
) -> None:
    store, a, b = two
    place = DataPlace(Environment(tmp_path, tmp_path))
    other = Chosen("two", store, (replace(b, task="b-task"),))
    with pytest.raises(UsageError, match="their scores have no common unit"):
        compare(Chosen("one", store, (a,)), other, place, Wanted())
    with pytest.raises(UsageError, match="are the same records"):
        compare(Chosen("one", store, (a,)), Chosen("one again", store, (a,)), place, Wanted())


def test_seeds_are_paired_by_number_else_in_order(two: tuple[Store, RunRecord, RunRecord]) -> None:
    store, a, b = two
    first = Chosen("one", store, tuple(replace(a, seed=seed) for seed in (0, 1, 2)))
    second = Chosen("two", store, tuple(replace(b, seed=seed) for seed in (1, 2)))
    pairs, notes = pair_seeds(first, second)
    assert [(x.seed, y.seed) for x, y in pairs] == [(1, 1), (2, 2)]
    assert notes == ["Seeds 0 of one model alone are left out."]
    pairs, notes = pair_seeds(first, Chosen("two", store, (replace(b, seed=7),)))
    assert [(x.seed, y.seed) for x, y in pairs] == [(0, 7)]
    assert "no seed in common" in notes[0]

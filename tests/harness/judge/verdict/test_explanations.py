"""Claim explanations on planted maps: those that hold, those that a baseline equals, void ones, and what is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.judge.explained import explained_seeds
from harness.judge.verdict.claim_needs import needs_of
from harness.judge.verdict.evidence import Evidence
from harness.judge.verdict.judge import judge
from harness.judge.verdict.needs import ClaimSubject, NeededRun
from harness.judge.verdict.verdict import Verdict
from harness.record import ExplanationRecord, RunRecord
from harness.records.explanations import column_of, read_explained, write_explanations
from harness.records.store import Store
from harness.stats.sample_scores import SampleScores

SAMPLES = 60
BASELINES = {"random": 0.1, "centre": 0.15, "edges": 0.2}
SUBJECT = ClaimSubject("fused", ("C0", "C1"), ("top-1",))


def explanation(record: RunRecord, methods: tuple[str, ...] = ("occlusion",)) -> ExplanationRecord:
    return ExplanationRecord(
        record.fingerprint, record.task, record.data, record.data_digest, record.split, record.model, record.control,
        record.seed, "e", methods, {"reference": "blur", "grid": 8}, SAMPLES, "cpu", (), {}, "2026",
    )  # fmt: skip


def maps(seed: int, levels: dict[str, float], measure: str = "mass") -> SampleScores:
    """What planted maps score: the level of each, with noise of samples and seeds."""
    generator = np.random.default_rng(seed)
    ids = tuple(map(str, range(SAMPLES)))
    found = {column_of(n, measure): v + 0.02 * generator.standard_normal(SAMPLES) for n, v in levels.items()}
    return SampleScores(ids, ids, found)


def explained(world: Any, levels: dict[str, dict[str, float]], control: str | None = None) -> Evidence:
    """Evidence with maps of every seed; `levels` by table."""
    evidence = world.evidence()
    records = [r for r in world.records if r.control == control]
    of_maps = {r.fingerprint: explanation(r) for r in records}
    tables = {
        (r.fingerprint, table): maps(r.seed, own, "mass" if "truth" in table else "insertion-deletion")
        for r in records
        for table, own in levels.items()
    }
    return replace(
        evidence, explained=of_maps, read_explained=lambda record, table: tables.get((record.fingerprint, table))
    )


def verdict(evidence: Evidence) -> Verdict:
    (found,) = judge(evidence, claims=["explanations"])
    return found


GOOD = {**BASELINES, "occlusion": 0.5, "occlusion@random-weights": 0.2}


def test_maps_above_every_baseline_and_shuffled_weights_hold(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    found = verdict(explained(world, {"image-truth": GOOD, "image-heed": GOOD}))
    assert found.outcome == "supported" and found.reason.startswith("by occlusion")
    assert [each.name for each in found.numbers] == [
        "occlusion: mass − edges", "occlusion: insertion-deletion − edges",
    ] or "random-weights" in found.numbers[0].name  # fmt: skip
    assert all(each.low is not None and each.low > 0.2 for each in found.numbers)


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ({**GOOD, "edges": 0.6}, "mass − edges"),
        ({**GOOD, "occlusion@random-weights": 0.55}, "mass − random-weights"),
    ],
)
def test_maps_that_edges_or_shuffled_weights_beat_do_not_hold(
    levels: dict[str, float], told: str, world: Any, right: np.ndarray
) -> None:
    world.add("fused", None, right)
    found = verdict(explained(world, {"image-truth": levels, "image-heed": GOOD}))
    assert found.outcome == "not supported" and told in found.reason


def test_words_count_where_the_data_knows_them(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    words = {"random": 0.2, "longest": 0.2, "occlusion": 0.2, "occlusion@random-weights": 0.2}
    found = verdict(explained(world, {"image-truth": GOOD, "text-truth": words}))
    assert found.outcome == "not supported" and "text mass" in found.reason


def test_without_shuffled_weights_or_seeds_nothing_is_decided(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    unchecked = {name: level for name, level in GOOD.items() if "@" not in name}
    found = verdict(explained(world, {"image-truth": unchecked}))
    assert found.outcome == "inconclusive" and "no weights that could be shuffled" in found.reason
    evidence = explained(world, {"image-truth": GOOD})
    some = dict(list(evidence.explained.items())[:3])
    found = verdict(replace(evidence, explained=some))
    assert found.outcome == "inconclusive" and found.reason == "2 of 5 seeds have no explanations"
    assert "--explain occlusion,integrated-gradients" in found.missing[0]
    none = verdict(replace(evidence, explained={}))
    assert (none.model, none.reason) == (None, "no answers were explained")


def test_vision_alone_stands_beside(world: Any, right: np.ndarray) -> None:
    world.add("fused", None, right)
    world.add("fused", "C0", right)
    ours, theirs = explained(world, {"image-truth": GOOD}), {**GOOD, "occlusion": 0.4}
    plain = explained(world, {"image-truth": theirs}, "C0")

    def read(record: ExplanationRecord, table: str) -> SampleScores | None:
        return (ours if record.control is None else plain).read_explained(record, table)

    found = verdict(replace(ours, explained={**ours.explained, **plain.explained}, read_explained=read))
    beside = found.numbers[-1]
    assert beside.name == "occlusion: mass: F − C0" and beside.value == pytest.approx(0.1, abs=0.02)


def test_needs_are_the_model_and_c0_with_maps() -> None:
    runs = needs_of("explanations", SUBJECT)
    assert not isinstance(runs, str)
    assert [(run.name, run.explain) for run in runs] == [
        (name, ("occlusion", "integrated-gradients")) for name in ("fused", "fused [C0]")
    ]
    assert {run.trained for run in runs} == {NeededRun("fused"), NeededRun("fused", "C0")}


def test_what_is_stored_is_read_again_and_a_changed_table_is_refused(
    world: Any, right: np.ndarray, tmp_path: Any
) -> None:
    from harness.errors import StoreError

    (record, *_) = world.add("fused", None, right)
    store = Store(str(tmp_path))
    write_explanations(store, explanation(record), {"image-truth": maps(0, GOOD)}, [])
    (stored,) = store.read_explanations(record.task)
    found = explained_seeds([stored], "image-truth", lambda r, t: read_explained(store, r, t))
    assert found is not None
    wanted = maps(0, GOOD).metrics[column_of("occlusion", "mass")]
    np.testing.assert_array_equal(found.values["occlusion", "mass"][0], wanted)
    assert read_explained(store, stored, "text-truth") is None
    path = tmp_path / record.task / "explanations" / record.fingerprint / "image-truth.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="another sha256 than its record says"):
        read_explained(store, stored, "image-truth")

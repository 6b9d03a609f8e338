"""What has been answered before is scored anew and not trained: found by all that can move answers, and no more."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from harness.cell import Cell
from harness.errors import StoreError
from harness.record import PerturbedScore, RobustnessRecord, RunRecord
from harness.records.sample_scores import Scored, table_digests, write_scores
from harness.records.store import Store
from harness.run.cell_records import record_of
from harness.run.stored_answers import find_answered, read_stored
from harness.run.stored_conditions import StoredConditions
from harness.sample import Outcome, Sample

OUTCOMES = [Outcome("1", "a cat"), Outcome("2", "a dog")]
ADDITIVE = [Outcome("2", "a bird")]


def keep(store: Store, cell: Cell) -> RunRecord:
    """Store a cell's record and answers, as a run does."""
    samples = [Sample(outcome.sample_id, Path(), "a cat") for outcome in OUTCOMES]
    write_scores(store, "a-task", cell.fingerprint, Scored(samples, OUTCOMES, {}, ADDITIVE), ())
    provenance = {
        **table_digests(store, "a-task", cell.fingerprint),
        "training": {"seconds": 2.0, "accumulation": 1},
        "skipped_samples": {"training": [], "evaluation": {"3": "broken"}},
        "preprocessing_sha256": None,
    }
    record = record_of(cell, status="ok", provenance=provenance, signature="old")
    store.write_record(record)
    return record


def scored_otherwise(cell: Cell) -> list[Cell]:
    """Cells with the same answers: only how they are scored, resampled or measured is another."""
    scoring = {"scoring": {"clip_score": "hf:a"}}
    return [
        replace(cell, scoring={"digest": "new"}),
        replace(cell, evaluate=replace(cell.evaluate, resamples=7)),
        replace(cell, measure=replace(cell.measure, runs=7)),
        replace(cell, training=replace(cell.training, data=replace(cell.training.data, **scoring))),  # type: ignore[arg-type]
    ]


def answering_otherwise(cell: Cell) -> list[Cell]:
    return [
        replace(cell, split="test"),
        replace(cell, evaluate=replace(cell.evaluate, limit=1)),
        replace(cell, evaluate=replace(cell.evaluate, batch_size=1)),
        replace(cell, training=replace(cell.training, seed=1)),
        replace(cell, training=replace(cell.training, versions={"training": "new"})),
    ]


def test_scoring_is_no_part_of_a_training_and_of_answers(cell: Cell) -> None:
    others = scored_otherwise(cell)
    assert {other.training.fingerprint for other in others} == {cell.training.fingerprint}
    assert {other.answers for other in others} == {cell.answers}
    assert len({cell.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_answers_are_found_for_cells_that_are_scored_otherwise(cell: Cell, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    record = keep(store, cell)
    for other in scored_otherwise(cell):
        assert find_answered(store, [other])[other.answers].fingerprint == record.fingerprint
    assert not find_answered(store, answering_otherwise(cell))
    found = read_stored(store, record)
    assert (list(found.predicted.outcomes), list(found.predicted.additive)) == (OUTCOMES, ADDITIVE)
    assert (found.predicted.skipped, found.training["skipped"]) == ({"3": "broken"}, [])
    assert found.efficiency(replace(cell, scoring={"digest": "new"})) == record.efficiency
    assert found.efficiency(replace(cell, measure=replace(cell.measure, runs=7))) is None
    assert found.provenance()["rescored"]["former"]["signature"] == "old"


def test_answers_that_are_gone_or_changed_are_not_taken(cell: Cell, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    record = keep(store, cell)
    store.write_outcomes(f"a-task/outcomes/{cell.fingerprint}", OUTCOMES[:1], {})
    with pytest.raises(StoreError, match="another sha256 than its record says"):
        read_stored(store, record)
    (tmp_path / f"a-task/outcomes/{cell.fingerprint}.parquet").unlink()
    assert not find_answered(store, [cell])


def test_answers_under_conditions_are_recalled_by_their_name(cell: Cell, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    keep(store, cell)
    scores = (
        PerturbedScore("f", "fog", 1, "weather", "image", "ok", notes={"pixels_sha256": "x"}, answers="foggy"),
        PerturbedScore("t", "typo-ocr", 1, "character", "text", "skipped", "the model reads no text", answers="typos"),
        PerturbedScore("l", "snow", 1, "weather", "image", "failed", "it broke", answers="snowy"),
        PerturbedScore("o", "frost", 1, "weather", "image", "ok"),
    )
    fields = asdict(record_of(cell, status="ok"))
    kept = {name: fields[name] for name in ("fingerprint", "task", "data", "data_digest", "split", "model", "control")}
    kept |= {name: fields[name] for name in ("seed", "device", "created")}
    write_scores(store, "a-task", cell.fingerprint, Scored([], OUTCOMES, {}), (), "fog-1")
    tables = {"tables": {"fog-1": table_digests(store, "a-task", cell.fingerprint, "fog-1")}}
    store.write_robustness(
        RobustnessRecord(
            **kept, metric="m", signature="s", chance=0.0, limit=None, shortest_px=224, scores=scores, provenance=tables
        )
    )
    stored = StoredConditions(store, [replace(cell, scoring={"digest": "new"})])
    fog, typos = stored.recall("foggy"), stored.recall("typos")
    assert fog is not None and typos is not None
    assert (fog.status, list(fog.answers), fog.notes) == (
        "ok",
        [("1", "a cat"), ("2", "a dog")],
        {"pixels_sha256": "x"},
    )
    assert (typos.status, typos.error) == ("skipped", "the model reads no text")
    assert [stored.recall(name) for name in ("snowy", "", "other")] == [None, None, None]
    assert StoredConditions(store, answering_otherwise(cell)).recall("foggy") is None

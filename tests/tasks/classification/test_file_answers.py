"""Probabilities that a file gave as columns score as the same lists do, in whatever order and however few at a time."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import parquet

import harness.metrics.labels.row_facts
from harness.errors import DataError
from harness.metrics.labels.row_facts import row_facts
from harness.sample import Classes, Dataset, Outcome, Sample
from tasks.classification.scoring import LabelScorer
from tasks.formats.label_column import LabelForms
from tasks.formats.label_outcomes import ClassColumns, LabelOutcomes
from tasks.formats.predictions import label_answers, read_label_table
from tasks.targets.targets import LabelTarget

NAMES = tuple("abcdefg")
COUNT = 40


def answers() -> Any:
    """Probabilities [40, 7], some of them equal to others of their row."""
    drawn = np.random.default_rng(0).integers(1, 5, (COUNT, len(NAMES))).astype(np.float64)
    return drawn / drawn.sum(axis=1, keepdims=True)


def samples(multilabel: bool) -> list[Sample]:
    source = np.random.default_rng(1)
    targets = [
        LabelTarget(-1, tuple(map(int, row))) if multilabel else LabelTarget(int(row.argmax()), image_id=str(number))
        for number, row in enumerate(source.integers(0, 2, (COUNT, len(NAMES))))
    ]
    return [Sample(f"s{number}", Path(), target) for number, target in enumerate(targets)]


@pytest.mark.parametrize(
    ("classes", "zero_shot"),
    [
        (Classes(NAMES, seen=(True,) * 7), False),
        (Classes(NAMES, seen=(True,) * 4 + (False,) * 3), True),
        (Classes(NAMES, multilabel=True), False),
    ],
    ids=["single", "zero-shot", "several"],
)
def test_columns_score_as_lists_do(classes: Classes, zero_shot: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.metrics.labels.row_facts, "_AT_ONCE", 3 * len(NAMES))
    wanted, table, order = samples(classes.multilabel), answers(), np.random.default_rng(2).permutation(COUNT)
    ids = [f"s{number}" for number in order]
    columns = LabelOutcomes(ids, ClassColumns(table[order].T[::-1].copy(), range(6, -1, -1)))
    lists = [Outcome(f"s{number}", row) for number, row in enumerate(table.tolist())]
    scorers = LabelScorer(classes, zero_shot), LabelScorer(classes, zero_shot)
    found, expected = scorers[0].score(wanted, columns), scorers[1].score(wanted, lists)
    assert list(found) == list(expected)
    drawn = np.random.default_rng(3).integers(0, 3, (5, COUNT))
    for name, one in expected.items():
        other = found[name]
        assert (one is None) == (other is None), name
        if one is not None and other is not None:
            assert one.value == other.value, name
            np.testing.assert_array_equal(one.per_sample, other.per_sample)
            if len(one.per_sample) == COUNT:
                np.testing.assert_array_equal(one.resample(drawn), other.resample(drawn))
    assert scorers[0].notes(wanted, columns) == scorers[1].notes(wanted, lists)


def test_columns_are_the_outcomes_of_their_rows() -> None:
    table = answers()
    found = LabelOutcomes([f"s{number}" for number in range(COUNT)], ClassColumns(table.T))
    expected = [Outcome(f"s{number}", row) for number, row in enumerate(table.tolist())]
    assert found == expected and list(found) == expected
    assert found[3] == expected[3] and found[-2] == expected[-2] and found[5:9] == expected[5:9]
    assert found != expected[:-1]


def test_facts_of_rows_by_hand() -> None:
    facts = row_facts(np.array([[0.5, 0.25, 0.25], [0.4, 0.4, 0.2]]), np.array([1, 2]))
    assert facts.own.tolist() == [0.25, 0.2]
    assert (facts.rank.tolist(), facts.above.tolist(), facts.top.tolist()) == ([2, 2], [1, 2], [0, -1])
    assert facts.highest.tolist() == [0.5, 0.4] and facts.squares.tolist() == pytest.approx([0.375, 0.36])


def test_a_wrong_row_beyond_the_first_block_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.metrics.labels.row_facts, "_AT_ONCE", 3 * len(NAMES))
    table = answers()
    table[20, 3] += 0.5
    with pytest.raises(DataError, match=r"Row 20 of the probabilities sums to 1\.5 \(1 such rows\)"):
        row_facts(ClassColumns(table.T), np.zeros(COUNT, dtype=np.int64))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_parquet_of_any_precision_in_several_parts_is_its_rows(kind: str, tmp_path: Path) -> None:
    table = answers().astype(kind)
    columns: dict[str, Any] = {"sample_id": [f"s{number}" for number in range(COUNT)]}
    columns |= {name: table[:, number] for number, name in enumerate(NAMES)}
    parquet.write_table(arrow.table(columns), tmp_path / "p.parquet", row_group_size=16)
    found = label_answers(read_label_table(tmp_path / "p.parquet"), LabelForms(NAMES))
    assert [outcome.prediction for outcome in found] == table.astype(float).tolist()


def test_a_data_set_leaves_what_was_read_behind_where_it_is_sent_elsewhere() -> None:
    data = Dataset("a", Path(), "", "labels", ("val",), None, None, "val", opened=["much"])
    sent = pickle.loads(pickle.dumps(data))
    assert sent == data and sent.opened is None and data.opened == ["much"]

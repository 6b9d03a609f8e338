"""Predictions made elsewhere: put into the order of the samples, or refused with the first three that are wrong."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.sample import Outcome
from tasks.formats.predictions import ClassPredictions, read_class_predictions, read_label_answers

CLASSES = ("cat", "dog", "2")
IDS = ("test/a.png", "007", "1e5")
LABELS = [{"sample_id": "1e5", "label": "cat"}, {"sample_id": "test/a.png", "label": "dog"}]
LABELS.append({"sample_id": "007", "label": "2"})


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    frame = pd.DataFrame(rows)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return path


def read(path: Path, several: bool = False) -> ClassPredictions:
    return read_class_predictions(path, CLASSES, IDS, several)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_labels_come_in_the_order_of_the_samples(suffix: str, tmp_path: Path) -> None:
    found = read(write(tmp_path / f"labels.{suffix}", LABELS))
    assert found.sample_ids == IDS
    assert found.labels is not None
    assert found.labels.tolist() == [1, 2, 0]
    assert found.probabilities is None


def test_an_index_counts_where_it_is_no_name(tmp_path: Path) -> None:
    rows = [row | {"label": value} for row, value in zip(LABELS, ("0", "1", "2"), strict=True)]
    found = read(write(tmp_path / "labels.csv", rows))
    assert found.labels is not None
    assert found.labels.tolist() == [1, 2, 0]


def test_whole_numbers_of_parquet_are_ids_and_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", [{"sample_id": 139, "label": 1}, {"sample_id": 7, "label": 0}])
    found = read_class_predictions(path, ("cat", "dog"), ("7", "139"))
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1]


def test_a_csv_that_people_write_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('\ufeffsample_id, label\r\n"test/a.png", dog\r\n007 ,2\r\n\r\n1e5,cat\r\n')
    found = read(path)
    assert found.labels is not None
    assert found.labels.tolist() == [1, 2, 0]


PROBABILITIES = [
    {"2": 0.2, "sample_id": "007", "dog": 0.7, "cat": 0.1},
    {"2": 0.4, "sample_id": "1e5", "dog": 0.2, "cat": 0.4},
    {"2": 1.0, "sample_id": "test/a.png", "dog": 0.0, "cat": 0.0},
]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_probabilities_by_name_in_any_order(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"probabilities.{suffix}", PROBABILITIES)
    found = read(path)
    assert found.probabilities is not None
    assert found.probabilities.tolist() == [[0, 0, 1], [0.1, 0.7, 0.2], [0.4, 0.2, 0.4]]
    assert found.labels is not None
    assert found.labels.tolist() == [2, 1, 0], "the first of equal ones"


def test_several_labels_a_sample_need_not_sum_to_one(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", [row | {"dog": 0.9} for row in PROBABILITIES])
    found = read(path, several=True)
    assert found.labels is None
    assert found.probabilities is not None
    assert found.probabilities[:, 1].tolist() == [0.9, 0.9, 0.9]
    with pytest.raises(DataError, match=r"row 1 \(sample 007\) sums to 1.2000; wanted probabilities that sum to 1"):
        read(path)
    with pytest.raises(DataError, match=r"has one label a sample, and samples of this data have several"):
        read(write(tmp_path / "labels.csv", LABELS), several=True)


def changed(position: int, **change: Any) -> list[dict[str, Any]]:
    return [row | change if i == position else row for i, row in enumerate(PROBABILITIES)]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (LABELS[:1], r"lacks 2 of the split's samples \(first: test/a.png, 007\)"),
        ([*LABELS, {"sample_id": "b", "label": "cat"}], r"predicts for 1 samples that are not in the split \(first: b"),
        ([*LABELS, *LABELS], r"predicts again for 3 samples \(first: 1e5, test/a.png, 007\)"),
        ([*LABELS[:2], {"sample_id": "007", "label": "cow"}], r"row 3 \(sample 007\) has the label 'cow'; wanted a cl"),
        ([*LABELS[:2], {"sample_id": "007", "label": "3"}], r"has the label '3'; wanted a class name or an index of 0"),
        ([{"id": "a", "label": "cat"}], r"has no column 'sample_id' \(seen: id, label\)"),
        ([{"sample_id": "a"}], r"has the columns sample_id; wanted .*lacking: cat, dog, 2; not understood: none"),
        ([{"sample_id": "a", "cat": 1, "cow": 0}], r"lacking: dog, 2; not understood: cow"),
        (changed(1, dog=-0.1, cat=0.7), r"row 2 \(sample 1e5\) has -0.1 for 'dog'; wanted a probability"),
        (changed(1, dog=3.5), r"row 2 \(sample 1e5\) has 3.5 for 'dog'; .*softmax"),
        (changed(1, dog=None), r"row 2 \(sample 1e5\) has nan for 'dog'"),
        (changed(1, dog=float("inf")), r"row 2 \(sample 1e5\) has inf for 'dog'"),
    ],
)
def test_what_is_wrong_is_named(rows: list[dict[str, Any]], message: str, suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"p.{suffix}", rows)
    with pytest.raises(DataError, match=rf"{path}.*{message}"):
        read(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_words_for_probabilities_are_refused(suffix: str, tmp_path: Path) -> None:
    rows = [{key: str(value) for key, value in row.items()} for row in changed(1, dog="high")]
    with pytest.raises(DataError, match=r"row 2 \(sample 1e5\) has 'high' for 'dog'"):
        read(write(tmp_path / f"p.{suffix}", rows))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"has no column 'sample_id' \(seen: none\)"),
        (b"sample_id,label\na,b,c\n", "cannot be read as CSV"),
        (b"sample_id,label,label\na,b,c\n", "has the column 'label' twice"),
        (b"\xff\xfe", "cannot be read as CSV"),
        (b"sample_id,label\n", r"lacks 3 of the split's samples \(first: test/a.png, 007, 1e5\)"),
    ],
)
def test_broken_files_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path} {message}"):
        read(path)
    (tmp_path / "p.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"p.parquet cannot be read as Parquet"):
        read(tmp_path / "p.parquet")
    for name in ("no.csv", "no.parquet"):
        with pytest.raises(DataError, match=rf"No file {tmp_path}/{name}"):
            read(tmp_path / name)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_answers_are_probabilities_in_the_order_of_the_file(suffix: str, tmp_path: Path) -> None:
    found = read_label_answers(write(tmp_path / f"labels.{suffix}", LABELS), CLASSES)
    assert found == [Outcome("1e5", [1, 0, 0]), Outcome("test/a.png", [0, 1, 0]), Outcome("007", [0, 0, 1])]
    found = read_label_answers(write(tmp_path / f"p.{suffix}", PROBABILITIES), CLASSES)
    assert found[0] == Outcome("007", [0.1, 0.7, 0.2])
    with pytest.raises(DataError, match=r"predicts again for 1 samples \(first: 007\)"):
        read_label_answers(write(tmp_path / f"p.{suffix}", [*PROBABILITIES, PROBABILITIES[0]]), CLASSES)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(st.sampled_from(IDS) | TEXT, st.sampled_from(CLASSES) | TEXT), max_size=5))
def test_any_csv_is_read_or_refused(rows: list[tuple[str, str]], tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("sample_id", "label"), *rows])
    try:
        found = read(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert found.labels is not None
        assert len(found.labels) == 3
        assert np.all((found.labels >= 0) & (found.labels < 3))

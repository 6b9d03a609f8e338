"""Predictions made elsewhere: labels stay labels and mean one thing in all rows, or the file is refused."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.sample import Outcome
from tasks.formats.label_column import LabelColumn, LabelForms, read_labels
from tasks.formats.predictions import label_answers, read_label_table

CLASSES = ("cat", "dog", "2")
LABELS = [{"sample_id": "1e5", "label": "cat"}, {"sample_id": "test/a.png", "label": "dog"}]
LABELS.append({"sample_id": "007", "label": "2"})


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    frame = pd.DataFrame(rows)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return path


def read(path: Path, names: tuple[str, ...] = CLASSES, **options: Any) -> dict[str, Any]:
    return {
        outcome.sample_id: outcome.prediction
        for outcome in label_answers(read_label_table(path), LabelForms(names), **options)
    }


def labelled(tmp_path: Path, labels: Sequence[str], column: str = "label") -> Path:
    return write(tmp_path / "labels.csv", [{"sample_id": f"s{i}", column: label} for i, label in enumerate(labels)])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_label_stays_a_label_in_the_order_of_the_file(suffix: str, tmp_path: Path) -> None:
    found = label_answers(read_label_table(write(tmp_path / f"labels.{suffix}", LABELS)), LabelForms(CLASSES))
    assert found == [Outcome("1e5", 0), Outcome("test/a.png", 1), Outcome("007", 2)]
    (note,) = found.notes
    assert str(note) == f"the column 'label' of labels.{suffix} is read as class names"


@pytest.mark.parametrize(
    ("names", "labels", "expected", "told"),
    [
        (("cat", "dog"), ["0", "1"], [0, 1], "indices of the classes from 0 ('0' is 'cat')"),
        (("cat", "dog"), ["dog", "dog"], [1, 1], "class names"),
        (("1", "2", "3"), ["0", "1", "2"], [0, 1, 2], "indices of the classes from 0 ('0' is '1')"),
        (("1", "2", "3"), ["1", "2", "3"], [0, 1, 2], "class names"),
        (("0", "1", "2"), ["2", "0"], [2, 0], "class names"),
        (("001", "002", "003"), ["001", "003"], [0, 2], "class names"),
        (("001", "002", "003"), ["1", "3"], [0, 2], "class names that have lost the zeros before them ('1' is '001')"),
        (("001", "002", "003"), ["0", "2"], [0, 2], "indices of the classes from 0 ('0' is '001')"),
        (("000", "001"), ["0", "1"], [0, 1], "class names that have lost the zeros before them ('0' is '000')"),
        (("caf\u00e9", "dog"), ["cafe\u0301"], [0], "class names"),
    ],
)
def test_a_column_is_read_in_the_one_way_that_fits(
    names: tuple[str, ...], labels: list[str], expected: list[int], told: str, tmp_path: Path
) -> None:
    found = label_answers(read_label_table(labelled(tmp_path, labels)), LabelForms(names))
    assert [outcome.prediction for outcome in found] == expected
    assert str(found.notes[0]).endswith(f"is read as {told}")


@pytest.mark.parametrize(
    ("names", "labels", "name", "index", "message"),
    [
        (("1", "2", "3"), ["1", "2"], [0, 1], [1, 2],
         r"In row 1 \(sample s0\) the label '1' is the class '1' as a class name, and the class '2' as an index"),
        (("001", "002", "003"), ["2", "1"], [1, 0], [2, 1],
         r"In row 1 .* the label '2' is the class '002' as a class name without its zeros, and the class '003' as an"),
        (("0", "2", "1"), ["0", "1"], [0, 2], [0, 1],
         r"In row 2 .* the label '1' is the class '1' as a class name, and the class '2' as an index from 0"),
    ],
)  # fmt: skip
def test_where_two_readings_fit_the_user_says_which(
    names: tuple[str, ...], labels: list[str], name: list[int], index: list[int], message: str, tmp_path: Path
) -> None:
    path = labelled(tmp_path, labels)
    with pytest.raises(DataError, match=f"{message}.*--set task.labels=name or --set task.labels=index, or name"):
        read(path, names)
    assert list(read(path, names, wish="name").values()) == name
    assert list(read(path, names, wish="index").values()) == index
    assert list(read(labelled(tmp_path, labels, "label_index"), names).values()) == index


@pytest.mark.parametrize(
    ("names", "labels", "wish", "message"),
    [
        (("cat", "dog"), ["cat", "1"], None,
         r"row 2 \(sample s1\) has the label '1'; wanted .* 1 of 2 are class names: a column is read in one way"),
        (("cat", "dog"), ["0", "1", "dog"], None, r"row 3 .* has the label 'dog'.* 2 of 3 are indices"),
        (("cat", "dog"), ["cat", "dgo"], None, r"the label 'dgo'; wanted a class name or an index of 0..1 .* 'dog'"),
        (("cat", "dog"), ["0"], "name", "the label '0'; wanted a class name in 'label'"),
        (("cat", "dog"), ["cat"], "index", r"the label 'cat'; wanted an index of 0..1 in 'label'"),
        (("cat", "dog"), ["-1"], None, "the label '-1'"),
        (("cat", "dog"), ["1.0"], None, r"the label '1.0'"),
    ],
)  # fmt: skip
def test_a_column_that_no_reading_fits_is_refused(
    names: tuple[str, ...], labels: list[str], wish: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read(labelled(tmp_path, labels), names, wish=wish)


def test_class_folders_are_labels_and_columns_too(tmp_path: Path) -> None:
    forms = LabelForms(("tench", "goldfish"), ("n01440764", "n01443537"))
    found = label_answers(read_label_table(labelled(tmp_path, ["n01443537", "n01440764"])), forms)
    assert [outcome.prediction for outcome in found] == [1, 0]
    assert str(found.notes[0]).endswith("is read as names of class folders ('n01443537' is 'goldfish')")
    assert [o.prediction for o in label_answers(read_label_table(labelled(tmp_path, ["goldfish"])), forms)] == [1]
    path = write(tmp_path / "p.csv", [{"sample_id": "a", "n01443537": 0.75, "n01440764": 0.25}])
    assert label_answers(read_label_table(path), forms)[0].prediction == [0.25, 0.75]


@given(
    names=st.lists(st.sampled_from(["0", "1", "2", "01", "02", "a", "b"]), unique=True, min_size=2, max_size=5),
    values=st.lists(st.sampled_from(["0", "1", "2", "01", "02", "a", "b", "3"]), min_size=1, max_size=5),
)
def test_a_label_means_the_same_in_every_row_or_the_column_is_refused(names: list[str], values: list[str]) -> None:
    """Whatever is read is one of the readings throughout, and no other reading says something else."""
    column = LabelColumn(Path("p.csv"), "label", values, lambda row: f"row {row + 1}")
    as_name = [names.index(value) if value in names else None for value in values]
    as_index = [int(value) if value.isdigit() and int(value) < len(names) else None for value in values]
    fitting = [reading for reading in (as_name, as_index) if None not in reading]
    try:
        found = read_labels(column, LabelForms(tuple(names)))[0].tolist()
    except DataError:
        assert len(fitting) != 1 or all(name.isdigit() for name in names)
    else:
        assert all(found == reading for reading in fitting)
        assert fitting or [int(names[label]) for label in found] == [int(value) for value in values]


def test_whole_numbers_of_parquet_are_ids_and_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", [{"sample_id": 139, "label": 1}, {"sample_id": 7, "label": 0}])
    assert read(path, ("cat", "dog")) == {"139": 1, "7": 0}


def test_a_csv_that_people_write_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('\ufeffsample_id, label\r\n"test/a.png", dog\r\n007 ,2\r\n\r\n1e5,cat\r\n')
    assert read(path) == {"test/a.png": 1, "007": 2, "1e5": 0}


PROBABILITIES = [
    {"2": 0.2, "sample_id": "007", "dog": 0.7, "cat": 0.1},
    {"2": 0.4, "sample_id": "1e5", "dog": 0.2, "cat": 0.4},
    {"2": 1.0, "sample_id": "test/a.png", "dog": 0.0, "cat": 0.0},
]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_probabilities_by_name_in_any_order(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"probabilities.{suffix}", PROBABILITIES)
    found = label_answers(read_label_table(path), LabelForms(CLASSES))
    assert found[0] == Outcome("007", [0.1, 0.7, 0.2])
    assert read(path) == {"007": [0.1, 0.7, 0.2], "1e5": [0.4, 0.2, 0.4], "test/a.png": [0, 0, 1]}
    assert found.notes == ()
    with pytest.raises(DataError, match=r"predicts again for 1 samples \(first: 007\)"):
        read(write(tmp_path / f"p.{suffix}", [*PROBABILITIES, PROBABILITIES[0]]))


def test_several_labels_a_sample_need_not_sum_to_one(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", [row | {"dog": 0.9} for row in PROBABILITIES])
    assert [answer[1] for answer in read(path, several=True).values()] == [0.9, 0.9, 0.9]
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


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(TEXT, st.sampled_from(CLASSES) | TEXT), max_size=5))
def test_any_csv_is_read_or_refused(rows: list[tuple[str, str]], tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("sample_id", "label"), *rows])
    try:
        found = read(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert len(found) == len(rows)
        assert all(label in range(3) for label in found.values())

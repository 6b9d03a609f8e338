"""Predicted classes made elsewhere, in CSV or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError, nearest
from harness.parquet_files import read_parquet
from harness.sample import Outcome
from tasks.formats.sample_ids import require_distinct_ids, require_same_ids

ID_COLUMN, LABEL_COLUMN = "sample_id", "label"
_SUM_TOLERANCE = 1e-3
_FORMAT = "wanted `sample_id, label`, or `sample_id` and a column of probabilities for each class, named as it"


@dataclass(frozen=True)
class ClassPredictions:
    """Predicted classes of N samples, in the order that was asked for.

    `labels` int64 `[N]` are class indices (of the first largest probability where there are probabilities), None for
    several labels a sample; `probabilities` are float64 `[N, C]`, 0..1, or None.
    """

    sample_ids: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None
    probabilities: npt.NDArray[np.float64] | None


@dataclass(frozen=True)
class _Table:
    """The columns of a file by name."""

    path: Path
    columns: Mapping[str, Sequence[Any]]

    def place(self, row: int) -> str:
        """Name a row; the first one under the header is 1."""
        return f"row {row + 1} (sample {self.columns[ID_COLUMN][row]})"


def read_class_predictions(
    path: Path, class_names: Sequence[str], sample_ids: Sequence[str], several: bool = False
) -> ClassPredictions:
    """Read a CSV or Parquet file; rows may be in any order.

    A label is a class name, or an index where it is none. With `several` labels a sample each probability stands for
    itself; otherwise those of a sample sum to 1. Raises DataError naming the first three sample ids that are unknown,
    missing or repeated, and the row of whatever else is wrong.
    """
    table = _read(path)
    kind = _kind_of(table, class_names, several)
    ids = table.columns[ID_COLUMN]
    require_same_ids(path, ids, sample_ids)
    row_of = {sample_id: row for row, sample_id in enumerate(ids)}
    order = np.array([row_of[sample_id] for sample_id in sample_ids], np.int64)
    if kind == LABEL_COLUMN:
        return ClassPredictions(tuple(sample_ids), _labels(table, class_names)[order], None)
    probabilities = _probabilities(table, class_names, several)[order]
    labels = None if several else probabilities.argmax(axis=1)
    return ClassPredictions(tuple(sample_ids), labels, probabilities)


def read_label_answers(path: Path, class_names: Sequence[str], several: bool = False) -> list[Outcome]:
    """Read the same files before the samples are known: C probabilities a sample, in the file's order.

    A label becomes probability 1. Raises DataError as above, but for samples that are unknown or missing.
    """
    table = _read(path)
    ids = table.columns[ID_COLUMN]
    kind = _kind_of(table, class_names, several)
    require_distinct_ids(path, ids)
    if kind == LABEL_COLUMN:
        probabilities = np.zeros((len(ids), len(class_names)))
        probabilities[np.arange(len(ids)), _labels(table, class_names)] = 1
    else:
        probabilities = _probabilities(table, class_names, several)
    return [Outcome(sample_id, row) for sample_id, row in zip(ids, probabilities.tolist(), strict=True)]


def _read(path: Path) -> _Table:
    return _read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _read_csv(path)


def _kind_of(table: _Table, class_names: Sequence[str], several: bool) -> str:
    names = set(table.columns)
    if names == {ID_COLUMN, *class_names}:
        return "probabilities"
    if names == {ID_COLUMN, LABEL_COLUMN}:
        if several:
            raise DataError(
                f"{table.path} has one label a sample, and samples of this data have several; wanted `{ID_COLUMN}` and "
                "a column of probabilities for each class."
            )
        return LABEL_COLUMN
    lacking = [name for name in (ID_COLUMN, *class_names) if name not in names]
    strange = [name for name in table.columns if name != ID_COLUMN and name not in class_names]
    raise DataError(
        f"{table.path} has the columns {_first(list(table.columns))}; {_FORMAT} (lacking: {_first(lacking)}; not "
        f"understood: {_first(strange)})."
    )


def _labels(table: _Table, class_names: Sequence[str]) -> npt.NDArray[np.int64]:
    index = {name: i for i, name in enumerate(class_names)}
    found = []
    for row, text in enumerate(table.columns[LABEL_COLUMN]):
        label = index.get(text)
        if label is None and text.isascii() and text.isdigit() and len(text) < 10 and int(text) < len(class_names):
            label = int(text)
        if label is None:
            raise DataError(
                f"{table.path}: {table.place(row)} has the label '{text:.60}'; wanted a class name or an index of "
                f"0..{len(class_names) - 1}. {nearest(text[:60], class_names) if len(class_names) < 1000 else ''}"
            )
        found.append(label)
    return np.array(found, np.int64)


def _probabilities(table: _Table, class_names: Sequence[str], several: bool) -> npt.NDArray[np.float64]:
    values = np.stack([_floats(table.columns[name]) for name in class_names], axis=1)
    bad = ~((values >= 0) & (values <= 1 + _SUM_TOLERANCE))
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        value = np.array(table.columns[class_names[column]][row]).item()
        raise DataError(
            f"{table.path}: {table.place(row)} has {value!r:.40} for '{class_names[column]}'; wanted a probability, "
            "0..1 (of logits, take the softmax or the sigmoid)."
        )
    sums = values.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)
    if len(off) and not several:
        row = int(off[0])
        raise DataError(
            f"{table.path}: {table.place(row)} sums to {sums[row]:.4f}; wanted probabilities that sum to 1."
        )
    return values


def _floats(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    """NaN stands for whatever is no number."""
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError):
        return np.array([_float_or_nan(value) for value in values], np.float64)


def _float_or_nan(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _read_csv(path: Path) -> _Table:
    """Read ids and labels as the strings that they are ("007" and "1e5" too), all else as numbers."""
    from pyarrow import csv as arrow_csv
    from pyarrow import float64, string

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = [name.strip() for name in next(csv.reader(file, skipinitialspace=True), [])]
    except FileNotFoundError:
        raise DataError(f"No file {path}. Check the path.") from None
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}. Write it again as UTF-8.") from None
    _require_distinct(path, header)
    texts = dict.fromkeys(header, string())
    numbers = {name: string() if name in (ID_COLUMN, LABEL_COLUMN) else float64() for name in header}
    options = arrow_csv.ReadOptions(column_names=header, skip_rows=1)
    problem: Exception | None = None
    for kinds in (numbers, texts):  # words among the numbers are named later, with their row
        try:
            return _table(
                path,
                arrow_csv.read_csv(path, options, convert_options=arrow_csv.ConvertOptions(column_types=kinds)),
            )
        except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
            problem = error
    raise DataError(f"{path} cannot be read as CSV: {problem}; {_FORMAT}.")


def _read_parquet(path: Path) -> _Table:
    from pyarrow import ArrowException

    try:
        table = read_parquet(path)
    except FileNotFoundError:
        raise DataError(f"No file {path}. Check the path.") from None
    except (OSError, ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}. Write it again.") from None
    _require_distinct(path, table.column_names)
    return _table(path, table)


def _table(path: Path, table: Any) -> _Table:
    """Take columns out of an Arrow table: texts as lists, numbers as arrays."""
    texts = (ID_COLUMN, LABEL_COLUMN)
    columns = {
        name: [str(value).strip() for value in table.column(name).to_pylist()]
        if name in texts
        else table.column(name).to_numpy()
        for name in table.column_names
    }
    return _Table(path, columns)


def _require_distinct(path: Path, header: Sequence[str]) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"{path} has the column '{repeated[0]}' twice. Keep one.")
    if ID_COLUMN not in header:
        raise DataError(f"{path} has no column '{ID_COLUMN}' (seen: {_first(header)}); {_FORMAT}.")


def _first(names: Sequence[str]) -> str:
    return (", ".join(names[:6]) + (" …" if len(names) > 6 else "")) if names else "none"

"""Predicted classes made elsewhere, in CSV or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.sample import FileOutcomes, Outcome
from harness.storage.parquet_files import WideTable, are_numbers, numbers, read_wide_parquet
from harness.text.spelling import normal_form
from tasks.formats.label_column import INDEX, LabelColumn, LabelForms, name_columns, read_labels
from tasks.formats.label_outcomes import ClassColumns, LabelOutcomes
from tasks.formats.sample_ids import require_distinct_ids

ID_COLUMN, LABEL_COLUMN, INDEX_COLUMN = "sample_id", "label", "label_index"
_TEXTS = (ID_COLUMN, LABEL_COLUMN, INDEX_COLUMN)
_SUM_TOLERANCE = 1e-3
_FORMAT = (
    "wanted `sample_id, label` (or `label_index`), or `sample_id` and a column of probabilities for each class, named "
    "as it"
)


@dataclass(frozen=True)
class LabelTable:
    """The columns of a file by name."""

    path: Path
    columns: Mapping[str, Sequence[Any]]
    together: WideTable | None = None
    """Where some of the columns are rows of one array."""

    def place(self, row: int) -> str:
        """Name a row; the first one under the header is 1."""
        return f"row {row + 1} (sample {self.columns[ID_COLUMN][row]})"


def read_label_table(path: Path) -> LabelTable:
    """Read a CSV or Parquet file; raises DataError for one that is broken or has no column of sample ids."""
    return _read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _read_csv(path)


def label_answers(
    table: LabelTable, forms: LabelForms, *, several: bool = False, wish: str | None = None
) -> FileOutcomes | LabelOutcomes:
    """Take the answers of a file; they stay in its order.

    A label stays the index of a class alone: nothing is known of the others. With `several` labels a sample each of C
    probabilities stands for itself; otherwise those of a sample sum to 1. `wish` says how labels are meant where they
    can be read in two ways (`tasks.formats.label_column`). Raises DataError naming the first three sample ids that are
    repeated, and the row of whatever else is wrong.
    """
    ids = table.columns[ID_COLUMN]
    labels = _label_column(table, forms, several)
    require_distinct_ids(table.path, ids)
    if labels is not None:
        column = LabelColumn(table.path, labels, table.columns[labels], table.place)
        found, note = read_labels(column, forms, INDEX if labels == INDEX_COLUMN else wish)
        return FileOutcomes(map(Outcome, ids, found.tolist()), (note,))
    return LabelOutcomes(ids, _probabilities(table, forms, several))


def _label_column(table: LabelTable, forms: LabelForms, several: bool) -> str | None:
    """Name the column of labels, None for one of probabilities a class; raises DataError for anything else."""
    others = [name for name in table.columns if name != ID_COLUMN]
    if name_columns(others, forms) is not None:
        return None
    if len(others) == 1 and others[0] in (LABEL_COLUMN, INDEX_COLUMN):
        if several:
            raise DataError(
                f"{table.path} has one label a sample, and samples of this data have several; wanted `{ID_COLUMN}` and "
                "a column of probabilities for each class."
            )
        return others[0]
    names = {normal_form(name): name for name in forms.names}
    seen = {normal_form(name) for name in others}
    lacking = [name for form, name in names.items() if form not in seen]
    strange = [name for name in others if normal_form(name) not in names]
    raise DataError(
        f"{table.path} has the columns {_first(list(table.columns))}; {_FORMAT} (lacking: {_first(lacking)}; not "
        f"understood: {_first(strange)})."
    )


def _probabilities(table: LabelTable, forms: LabelForms, several: bool) -> ClassColumns:
    class_names = name_columns([name for name in table.columns if name != ID_COLUMN], forms)
    assert class_names is not None
    found = _class_columns(table, class_names)
    count, classes = found.shape
    sums, usual = np.zeros(count), count > 0
    for column in map(found.column, range(classes if usual else 0)):
        usual = usual and bool(column.min() >= 0 and column.max() <= 1 + _SUM_TOLERANCE)  # false of NaN
        sums += column
    if not usual or (not several and np.abs(sums - 1).max() > _SUM_TOLERANCE / 2):
        _require_probabilities(table, class_names, found[:], several)
    return found


def _class_columns(table: LabelTable, class_names: Sequence[str]) -> ClassColumns:
    if table.together is not None:
        places = {name: place for place, name in enumerate(table.together.numbers)}
        if places.keys() >= set(class_names):
            return ClassColumns(table.together.values, [places[name] for name in class_names])
    return ClassColumns(np.stack([_floats(table.columns[name]) for name in class_names]))


def _require_probabilities(
    table: LabelTable, class_names: Sequence[str], values: npt.NDArray[np.float64], several: bool
) -> None:
    """Raise DataError at the first value [N, C] that is no probability, and the first row that does not sum to 1."""
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


def _read_csv(path: Path) -> LabelTable:
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
    numbers = {name: string() if name in _TEXTS else float64() for name in header}
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


def _read_parquet(path: Path) -> LabelTable:
    from pyarrow import ArrowException

    try:
        wide = read_wide_parquet(path, _TEXTS)
    except FileNotFoundError:
        raise DataError(f"No file {path}. Check the path.") from None
    except (OSError, ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}. Write it again.") from None
    _require_distinct(path, wide.names)
    columns = {**_table(path, wide.others).columns, **dict(zip(wide.numbers, wide.values, strict=True))}
    return LabelTable(path, {name: columns[name] for name in wide.names}, wide)


def _table(path: Path, table: Any) -> LabelTable:
    """Take columns out of an Arrow table: texts as lists, numbers as arrays."""
    columns: dict[str, Sequence[Any]] = {}
    for name in table.column_names:
        column = table.column(name)
        if name in _TEXTS:
            columns[name] = [str(value).strip() for value in column.to_pylist()]
        else:
            columns[name] = numbers(column) if are_numbers(column) else column.to_numpy()  # type: ignore[assignment]
    return LabelTable(path, columns)


def _require_distinct(path: Path, header: Sequence[str]) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"{path} has the column '{repeated[0]}' twice. Keep one.")
    if ID_COLUMN not in header:
        raise DataError(f"{path} has no column '{ID_COLUMN}' (seen: {_first(header)}); {_FORMAT}.")


def _first(names: Sequence[str]) -> str:
    return (", ".join(names[:6]) + (" …" if len(names) > 6 else "")) if names else "none"

"""Columns of groups that a user gives for samples: a CSV file of sample_id and any columns, nothing guessed.

`FILE.csv` takes every column, `FILE.csv:place,light` those. A column `NAME predicted` beside a column NAME holds what a
model says of the group, for bias amplification in the other direction.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError, MissingPath, UsageError, nearest
from harness.text.spelling import normal_form

ID, PREDICTED = "sample_id", " predicted"


@dataclass(frozen=True)
class GroupColumns:
    """The group of each sample by column and sample id; `predicted` is what is said of it, where the file has that."""

    path: Path
    columns: Mapping[str, Mapping[str, str]]
    predicted: Mapping[str, Mapping[str, str]]

    def of(self, column: str, sample_ids: Sequence[str]) -> list[str]:
        """Give the groups of samples; "" for one that the file leaves empty. Raises DataError for missing samples."""
        return _chosen(self.columns[column], sample_ids, f"{self.path}: column '{column}'")

    def predicted_of(self, column: str, sample_ids: Sequence[str]) -> list[str] | None:
        """Give what is said of the groups; None where the file says nothing."""
        found = self.predicted.get(column)
        return None if found is None else _chosen(found, sample_ids, f"{self.path}: column '{column}{PREDICTED}'")


def read_group_columns(wish: str) -> GroupColumns:
    """Read `FILE.csv` or `FILE.csv:column,column`; raises MissingPath, UsageError or DataError naming what is wrong."""
    place, _, asked = wish.partition(".csv:")
    path = Path(f"{place}.csv" if asked else wish).expanduser()
    if not path.is_file():
        raise MissingPath(f"{wish}: there is no file {path}. Wanted FILE.csv or FILE.csv:column.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.reader(stream, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no CSV in UTF-8: {error}. Write it anew.") from None
    header, content = _header(rows, path), rows[1:]
    ids = [row[header.index(ID)] if len(row) == len(header) else "" for row in content]
    for number, row in enumerate(content, start=2):
        if len(row) != len(header):
            raise DataError(f"{path}: line {number} has {len(row)} fields, its header {len(header)}. Mend the file.")
    twice = next((one for one in ids if ids.count(one) > 1), None) if len(set(ids)) < len(ids) else None
    if twice is not None:
        raise DataError(f"{path}: the sample {twice} stands there more than once. Keep one line a sample.")
    names = [name for name in header if name != ID and not name.endswith(PREDICTED)]
    chosen = [name.strip() for name in asked.split(",")] if asked else names
    for name in chosen:
        if name not in names:
            raise UsageError(f"{wish}: {path.name} has no column '{name}'. {nearest(name, names)}")
    columns = {name: _column(header.index(name), ids, content) for name in header if name != ID}
    return GroupColumns(
        path,
        {name: columns[name] for name in chosen},
        {name: columns[name + PREDICTED] for name in chosen if name + PREDICTED in columns},
    )


def _column(place: int, ids: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, str]:
    return {normal_form(sample_id): row[place].strip() for sample_id, row in zip(ids, rows, strict=True)}


def _header(rows: Sequence[Sequence[str]], path: Path) -> list[str]:
    header = [name.strip() for name in rows[0]] if rows else []
    if ID not in header or len(header) < 2 or len(set(header)) < len(header):
        raise DataError(
            f"{path} has the columns {', '.join(header) or 'none'}; wanted {ID} and one or more of groups, "
            "each named once."
        )
    return header


def _chosen(known: Mapping[str, str], sample_ids: Sequence[str], where: str) -> list[str]:
    missing = [sample_id for sample_id in sample_ids if normal_form(sample_id) not in known]
    if missing:
        raise DataError(
            f"{where} lacks {len(missing)} of {len(sample_ids)} samples (first: {', '.join(missing[:3])}). Give each a "
            "line, with an empty field where its group is not known."
        )
    return [known[normal_form(sample_id)] for sample_id in sample_ids]

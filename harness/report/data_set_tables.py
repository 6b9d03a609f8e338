"""The data sets that have a name -> a table: what each is, and what of it is on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.acquire.installed_sets import InstalledSet
from harness.acquire.known_sets import KnownSet
from harness.report.tables.table import ALWAYS, Table, TableCell, TableColumn, TableRow, name_column, text_column


@dataclass(frozen=True)
class DataSetRow:
    """What is known of a data set, and what is here: `bytes` are those of its default parts as served, where known."""

    name: str
    title: str
    licence: str
    homepage: str
    tasks: Sequence[str]
    parts: Sequence[str]
    bytes: int | None
    gated: bool
    here: Sequence[str]
    folder: str | None


def data_set_rows(known: Mapping[str, KnownSet], installed: Sequence[InstalledSet]) -> list[DataSetRow]:
    """A row for each name that is known, then for each choice of images that is here."""
    by_name = {each.name: each for each in installed}
    rows = [_row(name, each, by_name.pop(name, None)) for name, each in known.items()]
    rows += [_row(name, known[each.of], each) for name, each in by_name.items() if each.of in known]
    return rows


def data_set_table(rows: Sequence[DataSetRow]) -> Table:
    """A row for each data set."""
    columns: tuple[TableColumn, ...] = (
        name_column("name"), text_column("to fetch", importance=ALWAYS, least=8),
        text_column("here", importance=ALWAYS, least=8), text_column("licence", least=16),
        text_column("tasks", least=20), text_column("what", importance=ALWAYS, least=30),
    )  # fmt: skip
    shown = tuple(TableRow(tuple(map(TableCell, _shown(row))), key=row.name) for row in rows)
    return Table("data-sets", "Data sets by name", columns, shown)


def _row(name: str, known: KnownSet, found: InstalledSet | None) -> DataSetRow:
    sizes = [file.bytes for part in known.parts.values() if part.default for file in part.files]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    here = () if found is None else tuple(part for part in found.parts if part not in found.unfinished)
    folder = None if found is None else str(found.data_folder)
    return DataSetRow(
        name, known.title, known.licence, known.homepage, known.tasks, tuple(known.parts), total, bool(known.gated),
        here, folder,
    )  # fmt: skip


def _shown(row: DataSetRow) -> tuple[str, ...]:
    return row.name, _size(row), _here(row), row.licence, ", ".join(row.tasks) or "none yet", row.title


def _size(row: DataSetRow) -> str:
    if row.gated:
        return "by you"
    return "not known" if row.bytes is None else f"{row.bytes / 1e9:.1f} GB"


def _here(row: DataSetRow) -> str:
    return ", ".join(row.here) or "no"

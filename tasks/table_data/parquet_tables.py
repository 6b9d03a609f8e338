"""Parquet files with images and texts, as hubs serve them: `--data parquet:FOLDER#image=COLUMN,caption=COLUMN`.

An image is a binary column or a struct of bytes and path; captions, answers and options are text or lists of text,
answers also objects with an `answer`; labels are text or numbers, whose names stand in the file's metadata (ClassLabel
of `datasets`) where it has them. Splits are those of the file names (`train-00000-of-00003.parquet`, `test/0.parquet`)
or of a column.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import DataError
from harness.storage.content import Contents
from tasks.table_data.columns import (
    ColumnRoles,
    ImageRow,
    options_in,
    parse_columns,
    role_of,
    roles_in_paths,
    split_wish,
    texts_in,
)
from tasks.table_data.write_folder import find_or_write

Progress = Callable[[str, int, int], None]
_ROWS_AT_ONCE = 128
_VERSION = 2


def open_parquet(wish: str, cache: Path, progress: Progress) -> Path:
    """Give the folder of `FOLDER-OR-FILE#COLUMNS`; raises DataError or UsageError."""
    place, text = split_wish(wish)
    root = Path(place).expanduser()
    files = sorted(root.rglob("*.parquet")) if root.is_dir() else [root]
    if not place.strip() or not files or not files[0].is_file():
        raise DataError(f"No Parquet file in {root}. Give --data parquet:FOLDER with .parquet files, or one file.")
    digests = Contents(cache, progress).of(files)
    return read_tables(f"parquet:{place}", root, files, digests, text, cache, progress)


def read_tables(
    wish: str, root: Path, files: Sequence[Path], identity: Sequence[str], text: str, cache: Path, progress: Progress
) -> Path:
    """Give the folder of some Parquet files; `identity` says what they contain."""
    schema = _schema(files[0])
    columns = parse_columns(text, schema.names, wish)
    _require_types(schema, columns, files[0])
    base = root if root.is_dir() else root.parent
    names = [file.relative_to(base).as_posix() for file in files]
    roles = [""] * len(files) if columns.split else roles_in_paths(names, wish)
    key = hashlib.sha256(repr((_VERSION, list(zip(names, identity, strict=True)), columns)).encode()).hexdigest()[:12]
    folder = cache / "table-data" / f"{root.stem or 'table'}-{key}"

    def rows() -> Iterator[ImageRow]:
        for file, role in zip(files, roles, strict=True):
            yield from _rows(file, role, columns)

    return find_or_write(folder, rows, progress)


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from None


def _require_types(schema: pa.Schema, columns: ColumnRoles, path: Path) -> None:
    """Raise DataError for a column that holds something else than its role."""
    image = schema.field(columns.image).type
    bytes_of = image.field("bytes").type if pa.types.is_struct(image) and image.get_field_index("bytes") >= 0 else image
    if not (pa.types.is_binary(bytes_of) or pa.types.is_large_binary(bytes_of)):
        raise DataError(
            f"{path}: the column {columns.image} is {image}. Wanted encoded images: binary, or a struct with bytes. "
            "Tables of URLs are turned into shards by img2dataset."
        )
    for name in columns.names()[1:]:
        kind, several = schema.field(name).type, name in columns.lists
        item = _item(kind) if several else kind
        if pa.types.is_struct(item) and name == columns.answer and item.get_field_index("answer") >= 0:
            item = _item(item.field("answer").type)
        if pa.types.is_dictionary(item):
            item = item.value_type
        if not (_is_text(item) or (name != columns.caption and pa.types.is_integer(item))):
            raise DataError(f"{path}: the column {name} is {kind}. Wanted text"
                            f"{', or lists of it' if several else ' or whole numbers'}.")  # fmt: skip


def _item(kind: pa.DataType) -> pa.DataType:
    """What a column of lists holds; another column's own type."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return kind.value_type if lists else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _rows(path: Path, role: str, columns: ColumnRoles) -> Iterator[ImageRow]:
    names = _class_names(_schema(path), columns.label), _class_names(_schema(path), columns.split)
    try:
        with pq.ParquetFile(path) as opened:
            missing = [name for name in columns.names() if name not in opened.schema_arrow.names]
            if missing:
                raise DataError(f"{path} has no column {missing[0]}, which the first file has.")
            position = 0
            for batch in opened.iter_batches(_ROWS_AT_ONCE, columns=columns.names()):
                for row in batch.to_pylist():
                    yield _row(row, role, columns, names, f"{path}: row {position}")
                    position += 1
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from None


def _row(row: Any, role: str, columns: ColumnRoles, names: tuple[Sequence[str], Sequence[str]], where: str) -> ImageRow:
    image = row[columns.image]
    image = image.get("bytes") if isinstance(image, dict) else image
    if not image:
        raise DataError(f"{where}: there are no bytes of an image.")
    split = role_of(_text(row[columns.split], names[1], where), where) if columns.split else role
    if columns.label is not None:
        return ImageRow(split, image, label=_text(row[columns.label], names[0], where))
    if columns.question is not None:
        return _question(row, columns, split, image, where)
    texts = texts_in(row[columns.caption])
    if not texts:
        raise DataError(f"{where}: there is no caption.")
    return ImageRow(split, image, texts)


def _question(row: Any, columns: ColumnRoles, split: str, image: bytes, where: str) -> ImageRow:
    question, answers = row[columns.question], texts_in(row[columns.answer])
    if not isinstance(question, str) or not question.strip():
        raise DataError(f"{where}: nothing is asked.")
    if not answers:
        raise DataError(f"{where}: there is no answer.")
    options = () if columns.options is None else options_in(row[columns.options], where)
    return ImageRow(split, image, question=question, answers=answers, options=options)


def _text(value: Any, names: Sequence[str], where: str) -> str:
    if value is None:
        raise DataError(f"{where}: there is no value.")
    if isinstance(value, int) and names:
        if not 0 <= value < len(names):
            raise DataError(f"{where}: {value} is none of the {len(names)} classes that the file names.")
        return names[value]
    return str(value)


def _class_names(schema: pa.Schema, column: str | None) -> Sequence[str]:
    """Read the names of a column's numbers from the metadata that `datasets` writes; empty where there are none."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[column]["names"]]
    except (KeyError, TypeError, ValueError):
        return []

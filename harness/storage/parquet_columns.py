"""A Parquet file in memory whose columns are read one by one, and known again by the bytes in which they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.storage.parquet_files import as_invalid


@dataclass(frozen=True)
class ParquetColumns:
    """The bytes of a file, opened, with the names of its columns."""

    content: bytes
    file: Any
    names: tuple[str, ...]

    @staticmethod
    def of(content: bytes) -> ParquetColumns:
        """Open the bytes of a file; raises `pyarrow.ArrowInvalid` for another or a broken one."""
        import pyarrow as arrow
        from pyarrow import parquet

        file = as_invalid(arrow, lambda: parquet.ParquetFile(arrow.BufferReader(content), pre_buffer=False))
        return ParquetColumns(content, file, tuple(file.schema_arrow.names))

    def read(self, names: Sequence[str]) -> Any:
        """Some columns as a `pyarrow.Table`; raises KeyError for one that is not there, ArrowInvalid as `of`."""
        import pyarrow as arrow

        if lacking := [name for name in names if name not in self.names]:
            raise KeyError(lacking[0])
        table = as_invalid(arrow, lambda: self.file.read(columns=list(names), use_threads=False))
        table.validate(full=True)
        return table

    def stored(self, name: str) -> tuple[Any, ...]:
        """The bytes of a column as they lie in the file, with how they are read: where equal, so are the values.

        Raises KeyError for one that is not there.
        """
        if name not in self.names:
            raise KeyError(name)
        place, meta = self.names.index(name), self.file.metadata
        parts: list[Any] = [str(self.file.schema_arrow.field(name).type)]
        for group in range(meta.num_row_groups):
            column = meta.row_group(group).column(place)
            start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
            how = column.physical_type, column.compression, column.num_values
            parts += [*how, self.content[start : start + column.total_compressed_size]]
        return tuple(parts)

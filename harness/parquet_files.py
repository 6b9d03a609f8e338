"""Reads Parquet in the calling thread: pyarrow's own threads can outlive the work and abort the process at its exit.

"terminate called without an active exception" (apache/arrow issues 34314, 50482) ended a run here whose work was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def read_parquet(source: Any, columns: Sequence[str] | None = None, dictionaries: Sequence[str] = ()) -> Any:
    """Read a path or bytes into a `pyarrow.Table`; raises `pyarrow.ArrowException` for what is no Parquet file.

    Columns named in `dictionaries` keep each distinct value once.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    opened = arrow.BufferReader(source) if isinstance(source, bytes) else source
    file = parquet.ParquetFile(opened, read_dictionary=list(dictionaries) or None, pre_buffer=False)
    return file.read(columns=None if columns is None else list(columns), use_threads=False)

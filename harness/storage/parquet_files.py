"""Reads Parquet in the calling thread: pyarrow's own threads can outlive the work and abort the process at its exit.

"terminate called without an active exception" (apache/arrow issues 34314, 50482) ended a run here whose work was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

_FLOATS = {"double": "f8", "float": "f4", "halffloat": "f2"}
"""Arrow's floating types, as numpy calls them."""


def read_parquet(source: Any, columns: Sequence[str] | None = None, dictionaries: Sequence[str] = ()) -> Any:
    """Read a path or bytes into a `pyarrow.Table`; raises `pyarrow.ArrowInvalid` for another or a broken file.

    Columns named in `dictionaries` keep each distinct value once. A file that cannot be opened raises OSError.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    if isinstance(source, bytes):
        return _table(parquet, arrow, arrow.BufferReader(source), columns, dictionaries)
    with Path(source).open("rb") as file:  # a missing file is an OSError, content is not
        return _table(parquet, arrow, file, columns, dictionaries)


def are_numbers(column: Any) -> bool:
    """Whether a column of a table is of floating numbers, none missing: then `numbers` need not look at each."""
    return str(column.type) in _FLOATS and not column.null_count


def numbers(column: Any) -> FloatArray:
    """A column of a table as float64; raises TypeError or ValueError for one that holds no numbers.

    Not by pyarrow's own way, which imports pandas: that takes a second. A column of one part is not copied.
    """
    import numpy as np

    if not are_numbers(column):
        return np.array(column.to_pylist(), float)
    kind = np.dtype(_FLOATS[str(column.type)])
    parts: list[FloatArray] = [
        np.frombuffer(c.buffers()[1], kind, len(c), kind.itemsize * c.offset).astype(np.float64, copy=False)
        for c in column.chunks
        if len(c)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0), *parts])


def _table(parquet: Any, arrow: Any, opened: Any, columns: Sequence[str] | None, dictionaries: Sequence[str]) -> Any:
    try:
        file = parquet.ParquetFile(opened, read_dictionary=list(dictionaries) or None, pre_buffer=False)
        table = file.read(columns=None if columns is None else list(columns), use_threads=False)
        table.validate(full=True)
    except arrow.ArrowInvalid:
        raise
    except Exception as error:  # of broken bytes: OSError from thrift, ValueError, KeyError, UnicodeDecodeError, …
        raise arrow.ArrowInvalid(f"{type(error).__name__}: {error}") from None
    return table

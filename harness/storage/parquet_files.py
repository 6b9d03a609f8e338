"""Reads Parquet in the calling thread: pyarrow's own threads can outlive the work and abort the process at its exit.

"terminate called without an active exception" (apache/arrow issues 34314, 50482) ended a run here whose work was done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

_COLUMNS = 32  # read at once
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


@dataclass(frozen=True)
class WideTable:
    """A table most of whose columns are numbers: these are rows of `values`, all others columns of `others`."""

    names: tuple[str, ...]  # of all columns, in their order
    others: Any  # pyarrow.Table
    numbers: tuple[str, ...]
    values: FloatArray  # [len(numbers), N]


def read_wide_parquet(path: Path, never: Collection[str] = ()) -> WideTable:
    """Read a file with many columns of floating numbers, none missing; those named in `never` are among the others.

    Raises as `read_parquet`. A few columns are read at a time: to take new memory from the system for all of them takes
    longer than to read them.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    def read() -> WideTable:
        import numpy as np

        whole = parquet.ParquetFile(source, pre_buffer=False)
        kinds = [(field.name, str(field.type)) for field in whole.schema_arrow]
        names = tuple(name for name, _ in kinds)
        floats = [name for name, kind in kinds if kind in _FLOATS and name not in never]
        if len(set(names)) < len(names) or not floats:
            return WideTable(names, _read(whole, None), (), np.empty((0, 0)))
        values, found = np.empty((len(floats), whole.metadata.num_rows)), list[str]()
        for start in range(0, len(floats), _COLUMNS):
            some = floats[start : start + _COLUMNS]
            part = _read(whole, some, use_threads=True)
            for name in some:
                if not part.column(name).null_count:
                    _write(part.column(name), values[len(found)])
                    found.append(name)
        others = _read(whole, [name for name in names if name not in set(found)])
        return WideTable(names, others, tuple(found), values[: len(found)])

    with path.open("rb") as file, _opened(arrow, path, file) as source:
        wide: WideTable = as_invalid(arrow, read)
        return wide


def _opened(arrow: Any, path: Path, file: Any) -> AbstractContextManager[Any]:
    """The file without a detour over Python's bytes, where Arrow can spell its name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return nullcontext(file)
    opened: AbstractContextManager[Any] = arrow.OSFile(str(path))
    return opened


def _write(column: Any, into: FloatArray) -> None:
    import numpy as np

    start, kind = 0, np.dtype(_FLOATS[str(column.type)])
    for c in column.chunks:
        if len(c):
            into[start : start + len(c)] = np.frombuffer(c.buffers()[1], kind, len(c), kind.itemsize * c.offset)
        start += len(c)


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
    def read() -> Any:
        file = parquet.ParquetFile(opened, read_dictionary=list(dictionaries) or None, pre_buffer=False)
        return _read(file, columns)

    return as_invalid(arrow, read)


def _read(file: Any, columns: Sequence[str] | None, *, use_threads: bool = False) -> Any:
    table = file.read(columns=None if columns is None else list(columns), use_threads=use_threads)
    table.validate(full=True)
    return table


def as_invalid(arrow: Any, read: Callable[[], Any]) -> Any:
    """What a reader gives; raises ArrowInvalid for whatever it raises."""
    try:
        return read()
    except arrow.ArrowInvalid:
        raise
    except Exception as error:  # of broken bytes: OSError from thrift, ValueError, KeyError, UnicodeDecodeError, …
        raise arrow.ArrowInvalid(f"{type(error).__name__}: {error}") from None

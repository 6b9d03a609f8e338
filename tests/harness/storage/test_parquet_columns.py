"""Columns of a Parquet file that are stored alike are known to be equal without being read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as arrow
import pytest
from pyarrow import parquet

from harness.storage.parquet_columns import ParquetColumns


def stored(columns: dict[str, Sequence[Any]], **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(arrow.table(columns), sink, **options)
    return sink.getvalue()


IDS = [f"s{n}" for n in range(50)]


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"row_group_size": 7}, {"compression": "none"}])
def test_equal_columns_are_stored_alike_beside_others_and_no_other_is(options: dict[str, Any]):
    one = ParquetColumns.of(stored({"id": IDS, "a": [0.5] * 50}, **options))
    two = ParquetColumns.of(stored({"id": IDS, "b": list(range(50)), "c": IDS}, **options))
    other = ParquetColumns.of(stored({"id": [*IDS[:-1], "s5O"]}, **options))
    assert one.names == ("id", "a") and two.names == ("id", "b", "c")
    assert one.stored("id") == two.stored("id") == two.stored("c")
    assert two.stored("id") not in (two.stored("b"), other.stored("id"))
    assert two.read(["c", "b"]).to_pydict() == {"c": IDS, "b": list(range(50))}
    assert one.read([]).num_columns == 0


def test_what_is_read_otherwise_is_not_stored_alike():
    numbers = [ParquetColumns.of(stored({"n": arrow.array([1, 2], kind)})) for kind in (arrow.int64(), arrow.uint64())]
    assert numbers[0].stored("n") != numbers[1].stored("n")


def test_a_column_that_is_not_there_and_broken_bytes_are_named():
    columns = ParquetColumns.of(stored({"id": IDS}))
    for ask in (lambda: columns.stored("other"), lambda: columns.read(["other"])):
        with pytest.raises(KeyError, match="other"):
            ask()
    content = stored({"id": IDS, "a": [0.5] * 50})
    with pytest.raises(arrow.ArrowInvalid):
        ParquetColumns.of(content[:-9])
    with pytest.raises(arrow.ArrowInvalid):
        ParquetColumns.of(b"\0" * 40 + content[40:]).read(["id"])

"""Tables as values for machines: CSV with one heading for all of them, and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.report.tables.table import Table, unique
from harness.text.outside_text import csv_text


def table_csv(tables: Sequence[Table]) -> str:
    """Write the rows of all tables under one heading; what one table lacks is empty there."""
    records = [record for table in tables for record in table.records()]
    names = unique(name for table in tables for name in table.names())
    return csv_text([names, *([record.get(name) for name in names] for record in records)]).rstrip("\n")


def json_text(content: Any) -> str:
    """Write JSON as every command does; raises ValueError for a number that is none."""
    return json.dumps(content, indent=1, allow_nan=False)

"""The tests of the instrument as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.instrument.expectation import CheckResult
from harness.report.tables.table import ALWAYS, Table, TableCell, TableRow, text_column

_WORKS = "The instrument works: {count} of {total} tests say what is there."
_BROKEN = "THE INSTRUMENT DOES NOT WORK: {count} of {total} tests say something else: {names}."
_OPEN = "Not shown to work: {count} of {total} tests are not decided: {names}. Take more seeds with --seeds."


def conclusion(results: Sequence[CheckResult]) -> str:
    """Say in a line whether the verdicts may be believed."""
    broken = [result.name for result in results if result.wrong]
    told = broken or [result.name for result in results if not result.works]
    form = _BROKEN if broken else _OPEN if told else _WORKS
    return form.format(count=len(told) or len(results), total=len(results), names=", ".join(told))


def instrument_table(results: Sequence[CheckResult]) -> Table:
    """A row for each test: what is there, what was wanted of the verdicts, and what they said."""
    columns = (
        text_column("state", importance=ALWAYS), text_column("test", importance=ALWAYS),
        text_column("there is", importance=ALWAYS, least=20), text_column("wanted", importance=ALWAYS, least=16),
        text_column("found", importance=ALWAYS, least=36),
    )  # fmt: skip
    rows = (TableRow(tuple(map(TableCell, (r.state, r.name, r.there, r.wanted, _found(r))))) for r in results)
    return Table("instrument", "Does the instrument see what is there?", columns, tuple(rows))


def instrument_json(results: Sequence[CheckResult]) -> dict[str, Any]:
    """Turn into plain JSON types."""
    return {"works": all(result.works for result in results), "tests": [result.to_json() for result in results]}


def _found(result: CheckResult) -> str:
    problems = (*result.wrong, *result.undecided)
    return f"{'; '.join(problems)}. {result.found}" if problems else result.found

"""The frozen model that corruption errors are divided by: its name, its errors, and what they may be compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.errors import DataError, UsageError, nearest
from harness.judge.robustness.cells import SEVERITIES, table_of
from harness.judge.robustness.reference import ReferenceScope, ReferenceTable
from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.record import RobustnessRecord, name_of
from harness.stats.propagation import over_seeds

FORMAT = 1


def reference_from(records: Sequence[RobustnessRecord], source: str) -> ReferenceTable:
    """Freeze a model's seeds as a reference; raises DataError unless all of 15 x 5 and the clean score are there."""
    if not records:
        raise DataError("No robustness record of the reference model. Run it with --perturb standard first.")
    first, tables = records[0], [table_of(record) for record in records]
    values: dict[str, tuple[float, ...]] = {}
    for name in STANDARD_CORRUPTIONS:
        figures = [over_seeds([table.at((name, severity)) for table in tables]) for severity in SEVERITIES]
        lacking = next((figure for figure in figures if figure.value is None), None)
        if lacking is not None:
            raise DataError(f"{first.model} cannot be the reference: {lacking.reason}. Run it with --perturb standard.")
        values[name] = tuple(figure.known for figure in figures)
    clean = over_seeds([table.clean for table in tables])
    if clean.value is None:
        raise DataError(f"{first.model} cannot be the reference: {clean.reason}. Run it with --perturb standard.")
    names = ("task", "metric", "data_digest", "split", "signature", "limit", "shortest_px", "chance")
    scope = ReferenceScope(**{name: getattr(first, name) for name in names})
    label = name_of(first.model, first.control)
    return ReferenceTable(label, _errors(values), 1 - clean.value, source, scope, values)


def find_reference(name: str, records: Sequence[RobustnessRecord]) -> ReferenceTable:
    """Find a reference by name: `alexnet`, a file of a table, or a model among the records (the newest data's).

    Raises UsageError with the nearest name for none of these, DataError for an incomplete one.
    """
    from harness.judge.robustness.published import ALEXNET

    if name == "alexnet":
        return ALEXNET
    if name.endswith(".json"):
        return read_reference_table(Path(name))
    plain = [record for record in records if record.control is None]
    chosen = [record for record in plain if record.model == name]
    if not chosen:
        known = {record.model for record in plain} | {"alexnet"}
        raise UsageError(f"--reference {name}: no such model here, and no .json file. {nearest(name, known)}")
    newest = chosen[-1]
    alike = [r for r in chosen if (r.data_digest, r.split, r.limit) == (newest.data_digest, newest.split, newest.limit)]
    return reference_from(alike, "the records of this results folder")


def write_reference_table(path: Path, table: ReferenceTable) -> None:
    """Write a table with scores at each severity as JSON; raises DataError for one without."""
    if not table.values or table.clean_error is None:
        raise DataError(f"{path}: the table of {table.name} lacks scores at each severity; it cannot be written.")
    content = {
        "format": FORMAT,
        "name": table.name,
        "source": table.source,
        "scope": asdict(table.scope) if table.scope else None,
        "clean": 1 - table.clean_error,
        "values": {name: list(scores) for name, scores in table.values.items()},
    }
    path.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def read_reference_table(path: Path) -> ReferenceTable:
    """Read what `write_reference_table` wrote; raises DataError naming the file and the key that is wrong."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"Cannot read the reference table {path}: {error.strerror}.") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); wanted a reference table.") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path} is no reference table of format {FORMAT}; make one with a record's scores.")
    try:
        scope = None if content["scope"] is None else ReferenceScope(**content["scope"])
        clean = _score(path, "clean", content["clean"])
        values = {name: _scores(path, name, scores) for name, scores in content["values"].items()}
        return ReferenceTable(content["name"], _errors(values), 1 - clean, content["source"], scope, values)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} lacks or misspells {error} of a reference table.") from None


def _errors(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: 1 - sum(scores) / len(scores) for name, scores in values.items()}


def _scores(path: Path, name: str, scores: Any) -> tuple[float, ...]:
    if not isinstance(scores, list) or len(scores) != len(SEVERITIES):
        raise DataError(f"{path}: {name} has {scores!r:.60}; wanted {len(SEVERITIES)} scores, severities 1 to 5.")
    return tuple(_score(path, name, score) for score in scores)


def _score(path: Path, name: str, score: Any) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise DataError(f"{path}: {name} has the score {score!r:.40}; wanted a fraction 0..1.")
    return float(score)

"""A table of facts that the user gives about classes: class, relation, value. No torch here.

Facts enter as words after each text of a class, or as a vector of one entry a pair of relation and value beside the
text's. Their control gives each class the facts of another one: the same table, shuffled.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, MissingPath, UsageError

TEXTS, VECTORS = "texts", "vectors"
OWN, SHUFFLED = "own", "shuffled"
_COLUMNS = ("class", "relation", "value")
Facts = tuple[tuple[str, str], ...]
"""Pairs of relation and value, in the order of the table."""


@dataclass(frozen=True)
class FactTable:
    """The facts of each class, by its name as `plain_class` writes it."""

    path: Path
    rows: Mapping[str, Facts]

    @property
    def digest(self) -> str:
        """The sha256 of what is said, wherever it is written and in which of the formats."""
        return hashlib.sha256(json.dumps(self.rows, sort_keys=True).encode()).hexdigest()

    def of(self, names: Sequence[str]) -> tuple[Facts, ...]:
        """The facts of some classes; those of others are left aside. Raises DataError for classes without any."""
        lacking = [name for name in names if plain_class(name) not in self.rows]
        if lacking:
            raise DataError(
                f"{self.path} says nothing of {len(lacking)} of {len(names)} classes: {', '.join(lacking[:3])} …. "
                "Give each a row, with the class as 'bench list data' or the data's own files name it."
            )
        return tuple(self.rows[plain_class(name)] for name in names)


@dataclass(frozen=True)
class Knowledge:
    """What is known of C classes: words `[C]` to add to their texts, or vectors `[C][K]`, 0 or 1; one is empty."""

    words: tuple[str, ...] = ()
    vectors: tuple[tuple[float, ...], ...] = ()

    def told(self, texts: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
        """Add the words of each class to its texts."""
        if not self.words:
            return [tuple(group) for group in texts]
        return [tuple(f"{text}, {words}" for text in group) for group, words in zip(texts, self.words, strict=True)]


def knowledge_of(table: FactTable, names: Sequence[str], form: str, rows: str) -> Knowledge:
    """Take the facts of these classes in a form (texts, vectors), their own or, as a control, those of another class.

    Raises DataError for a class without facts, UsageError for a form that there is not.
    """
    check_forms(form, rows)
    facts = table.of(names)
    if rows == SHUFFLED:
        facts = tuple(facts[place] for place in _others(len(facts)))
    if form == TEXTS:
        return Knowledge(words=tuple(", ".join(f"{relation} {value}" for relation, value in own) for own in facts))
    pairs = list(dict.fromkeys(pair for own in sorted(facts) for pair in own))
    return Knowledge(vectors=tuple(tuple(float(pair in own) for pair in pairs) for own in facts))


def check_forms(form: str, rows: str) -> None:
    """Raise UsageError for what is neither."""
    if form not in (TEXTS, VECTORS):
        raise UsageError(f"model.knowledge_as={form}: wanted {TEXTS} or {VECTORS}.")
    if rows not in (OWN, SHUFFLED):
        raise UsageError(f"model.knowledge_rows={rows}: wanted {OWN}, or {SHUFFLED} for the control.")


def read_facts(wish: str) -> FactTable:
    """Read FILE.csv of class, relation, value or FILE.toml of a section a class; raises MissingPath or DataError."""
    path = Path(wish).expanduser()
    if not path.is_file():
        raise MissingPath(f"model.knowledge: there is no file {path}. Wanted FILE.csv or FILE.toml of facts.")
    import tomllib  # slow to import, and lists of models need none of it

    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _of_toml(text, path) if path.suffix == ".toml" else _of_csv(text, path)
    except (csv.Error, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path} cannot be read as {path.suffix[1:] or 'a table'}: {error}. Write it anew.") from None
    if not rows:
        raise DataError(f"{path} holds no fact; wanted rows of {', '.join(_COLUMNS)}.")
    return FactTable(path, {name: tuple(dict.fromkeys(own)) for name, own in rows.items()})


def plain_class(name: str) -> str:
    """Write a class name so that case, underscores and blanks make no difference.

    >>> plain_class("Holed_striped  triangle")
    'holed striped triangle'
    """
    return " ".join(name.replace("_", " ").casefold().split())


def _of_csv(text: str, path: Path) -> dict[str, list[tuple[str, str]]]:
    rows = [[field.strip() for field in row] for row in csv.reader(text.splitlines(), strict=True) if row]
    header = rows[0] if rows else []
    if sorted(header) != sorted(_COLUMNS):
        raise DataError(f"{path} has the columns {', '.join(header) or 'none'}; wanted {', '.join(_COLUMNS)}.")
    places = [header.index(name) for name in _COLUMNS]
    found: dict[str, list[tuple[str, str]]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(_COLUMNS) or not all(row):
            raise DataError(
                f"{path}: row {number} is {','.join(row)}; wanted {', '.join(_COLUMNS)}, none of them empty."
            )
        name, relation, value = (row[place] for place in places)
        found.setdefault(plain_class(name), []).append((relation, value))
    return found


def _of_toml(text: str, path: Path) -> dict[str, list[tuple[str, str]]]:
    import tomllib

    content: dict[str, Any] = tomllib.loads(text)
    found: dict[str, list[tuple[str, str]]] = {}
    for name, relations in content.items():
        if not isinstance(relations, dict):
            raise DataError(
                f'{path}: {name} = {relations!r}; wanted a section a class, ["class name"] relation = "value".'
            )
        for relation, told in relations.items():
            values = told if isinstance(told, list) else [told]
            if any(isinstance(value, dict | list) for value in values):
                raise DataError(f"{path}: {name}, {relation}: wanted a value, or a list of values.")
            found.setdefault(plain_class(name), []).extend((relation, str(value)) for value in values)
    return found


def _others(count: int) -> list[int]:
    """For each class another one: one cycle through all, in a random order that is always the same."""
    order = list(range(count))
    random.Random(20_26).shuffle(order)
    given = [0] * count
    for place, index in enumerate(order):
        given[index] = order[(place + 1) % count]
    return given

"""Class files (`--classes FILE`): names, and what folders, label values or colours belong to them.

Understood are, one class a line: `name`; `index name`; `folder name` where the folder is a WordNet id (ImageNet's
`n01440764 tench, Tinca tinca`) or ends at a tab; `red green blue name`; and ADE20K's table `objectInfo150.txt`.
In JSON: a list of names; `{"name": index}`; `{"index": "name"}`; `{"index": ["folder", "name"]}`;
`{"folder": "name"}`. All lines, or all entries, are of one form: keys are indices where all of them are whole numbers.
Names are kept as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from harness.errors import DataError
from tasks.formats.coco_entries import is_integer
from tasks.formats.json_files import read_json

Colour: TypeAlias = tuple[int, int, int]
"""Red, green, blue, 0..255."""
_COLOURED = re.compile(r"(\d{1,9})[\s,]+(\d{1,9})[\s,]+(\d{1,9})[\s,]+(\S.*)", re.ASCII)
_INDEXED = re.compile(r"(\d{1,9})[:,]?\s+(\S.*)", re.ASCII)
_WORDNET = re.compile(r"(n\d{8})\s+(\S.*)")
_TABBED = re.compile(r"([^\t]+)\t\s*(\S.*)")


@dataclass(frozen=True)
class ClassFile:
    """The classes of a file, ordered by value; `values` are 0, 1, … in the file's order where it states none.

    `written` are stated indices as they are written (001), since class folders may be numbers too.
    """

    path: Path
    names: tuple[str, ...]
    values: tuple[int, ...]
    folders: tuple[str, ...] | None = None
    colours: tuple[Colour, ...] | None = None
    written: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _Row:
    place: str
    name: str
    value: int | None = None
    folder: str | None = None
    colour: Colour | None = None
    written: str | None = None


def read_class_file(path: Path) -> ClassFile:
    """Read a class file; raises DataError naming both places of a name, value, folder or colour that is repeated."""
    rows = _json_rows(path) if path.suffix.lower() == ".json" else _text_rows(path)
    if not rows:
        raise DataError(f"{path} names no class. Write one name a line.")
    for what, key in _IDENTITIES:
        _require_distinct(path, what, [(row.place, key(row)) for row in rows])
    rows = [row if row.value is not None else _numbered(row, i) for i, row in enumerate(rows)]
    rows.sort(key=lambda row: row.value or 0)
    folders = tuple(row.folder for row in rows if row.folder is not None)
    colours = tuple(row.colour for row in rows if row.colour is not None)
    values = tuple(row.value for row in rows if row.value is not None)
    written = tuple(row.written for row in rows if row.written is not None)
    names = tuple(row.name for row in rows)
    return ClassFile(path, names, values, folders or None, colours or None, written or None)


_IDENTITIES: tuple[tuple[str, Callable[[_Row], Any]], ...] = (
    ("name", lambda row: row.name),
    ("index", lambda row: row.value),
    ("folder", lambda row: row.folder),
    ("colour", lambda row: row.colour),
)


def _numbered(row: _Row, value: int) -> _Row:
    return replace(row, value=value)


def _require_distinct(path: Path, what: str, values: Sequence[tuple[str, Any]]) -> None:
    first: dict[Any, str] = {}
    for place, value in values:
        if value is not None and first.setdefault(value, place) != place:
            shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
            raise DataError(
                f"{path}: {first[value]} and {place} have the same {what} '{shown}'. "
                "Every class needs one of its own, such as 'crane (bird)' and 'crane (machine)'."
            )


def _text_rows(path: Path) -> list[_Row]:
    lines = [(number, line.strip()) for number, line in enumerate(_text(path).split("\n"), 1) if line.strip()]
    header = re.split(r"[\t,]", lines[0][1].lower()) if lines else []
    if "idx" in header and "name" in header:
        return _table_rows(path, header, lines[1:])
    for pattern, make in _FORMS:
        matches = [(number, line, pattern.fullmatch(line)) for number, line in lines]
        fitting = sum(match is not None for _, _, match in matches)
        if 2 * fitting <= len(lines):
            continue
        for number, line, match in matches:
            if match is None:
                raise DataError(
                    f"{path}: line {number} is '{line:.60}', unlike the {fitting} lines such as "
                    f"'{next(text for _, text, fit in matches if fit):.60}'. Write all lines in one form."
                )
        return [make(path, number, match) for number, _, match in matches if match]
    return [_Row(f"line {number}", " ".join(line.split())) for number, line in lines]


def _coloured(path: Path, number: int, match: re.Match[str]) -> _Row:
    red, green, blue = (int(match[i]) for i in (1, 2, 3))
    if max(red, green, blue) > 255:
        raise DataError(f"{path}: line {number} has the colour {red} {green} {blue}; wanted values of 0..255. Mend it.")
    return _Row(f"line {number}", match[4], colour=(red, green, blue))


def _indexed(path: Path, number: int, match: re.Match[str]) -> _Row:
    return _Row(f"line {number}", match[2], value=_index(path, f"line {number}", match[1]), written=match[1])


def _in_folder(path: Path, number: int, match: re.Match[str]) -> _Row:
    return _Row(f"line {number}", match[2], folder=match[1].strip())


_FORMS = ((_COLOURED, _coloured), (_WORDNET, _in_folder), (_INDEXED, _indexed), (_TABBED, _in_folder))


def _table_rows(path: Path, header: Sequence[str], lines: Sequence[tuple[int, str]]) -> list[_Row]:
    """ADE20K's objectInfo150: columns Idx, Ratio, Train, Val, Stuff, Name, tab- or comma-separated."""
    index, name = header.index("idx"), header.index("name")
    rows = []
    for number, line in lines:
        cells = [cell.strip() for cell in re.split(r"\t" if "\t" in line else ",", line, maxsplit=len(header) - 1)]
        if len(cells) < len(header) or not cells[name]:
            raise DataError(f"{path}: line {number} has {len(cells)} columns; wanted {len(header)}. Mend it.")
        rows.append(_Row(f"line {number}", cells[name], value=_index(path, f"line {number}", cells[index])))
    return rows


def _json_rows(path: Path) -> list[_Row]:
    content = read_json(path)
    if isinstance(content, list):
        return [_Row(f"entry {i}", _name(path, f"entry {i}", value)) for i, value in enumerate(content)]
    if not isinstance(content, dict):
        raise DataError(f"{path} holds {content!r:.60}; wanted a list of class names or an object.")
    return [*_object_rows(path, content)]


def _object_rows(path: Path, content: dict[str, Any]) -> Iterator[_Row]:
    """Read all entries in the form of the first: a key is an index where all keys are whole numbers."""
    of_names = all(is_integer(value) for value in list(content.values())[:1])
    of_pairs = all(isinstance(value, list) for value in list(content.values())[:1])
    of_indices = all(key.isascii() and key.isdigit() for key in content)
    for key, value in content.items():
        place = f"the key '{key}'"
        if of_names:
            if not is_integer(value):
                raise DataError(f"{path}: {place} has {value!r:.60}; wanted an index as the other entries have.")
            yield _Row(place, _name(path, place, key), value=_index(path, place, str(value)))
        elif of_pairs:
            if not isinstance(value, list) or len(value) != 2:
                raise DataError(f"{path}: {place} has {value!r:.60}; wanted [folder, name] as the other entries have.")
            yield _Row(place, _name(path, place, value[1]), _index(path, place, key), _name(path, place, value[0]))
        elif of_indices:
            yield _Row(place, _name(path, place, value), value=_index(path, place, key), written=key)
        else:
            yield _Row(place, _name(path, place, value), folder=key)


def _name(path: Path, place: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{path}: {place} has {value!r:.60}; wanted a class name. Mend it.")
    return value.strip()


def _index(path: Path, place: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > 65_535:
        raise DataError(f"{path}: {place} has the index '{text:.40}'; wanted a whole number of 0..65535. Mend it.")
    return int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"No file {path}. Check the path.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}. Save it as UTF-8.") from None

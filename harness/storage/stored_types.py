"""Checks the types of stored JSON against the dataclass that it becomes: a valid digest says nothing of them.

Records may be written by foreign tools; a text where a number is wanted must be named where it is read, and not fail
somewhere in a table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, get_type_hints


def require_types(kind: type, content: Any, skipped: tuple[str, ...] = (), text: str | bytes | None = None) -> None:
    """Raise ValueError that names the first key whose value has not the type of `kind`'s field.

    Nothing is converted. Missing and unknown keys are left to the constructor. `text` is the same content as JSON,
    where that is at hand.
    """
    from pydantic import ValidationError

    if not isinstance(content, Mapping):
        raise ValueError(f"{str(content)[:80]!r} stands where a table of {kind.__name__} was wanted")
    try:
        _model(kind, skipped).model_validate_json(json.dumps(content) if text is None else text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{key} = {str(first['input'])[:80]!r}: {first['msg'].lower()}") from None


def require_tables(content: Mapping[str, Any], names: tuple[str, ...], place: str) -> None:
    """Raise ValueError where one of these keys is there and holds no table."""
    for name in names:
        if not isinstance(content.get(name) or {}, Mapping):
            raise ValueError(f"{place}.{name} = {str(content[name])[:80]!r}: wanted a table")


def require_file_names(content: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raise ValueError where one of these keys could not name a file, or would lead out of its folder."""
    for name in names:
        value = content.get(name)
        if isinstance(value, str) and (not value.isprintable() or not value.strip(". ") or set(value) & set("/\\")):
            raise ValueError(f"{name} = {value[:80]!r}: wanted a name that a file can have")


@cache
def _model(kind: type, skipped: tuple[str, ...]) -> Any:
    from pydantic import create_model

    fields: dict[str, Any] = {name: (hint, None) for name, hint in get_type_hints(kind).items() if name not in skipped}
    return create_model(f"Stored{kind.__name__}", **fields)

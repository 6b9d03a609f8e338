"""Which records were found whole and of the right types before, byte for byte: these need only be parsed again.

Digesting and checking a record takes three times as long as parsing it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from harness.storage.remembered import Remembered, name_of_content, own_code


@dataclass(frozen=True)
class CheckedRecords:
    """Some files of records; `names` are digests of their contents, with the code that checks them."""

    names: Mapping[str, bytes]
    memory: Remembered
    known: Set[bytes]

    @staticmethod
    def among(stored: Mapping[str, bytes], kind: str, *, worth: bool) -> CheckedRecords:
        """Look up the contents of files; nothing is known, or remembered later, where it is not `worth` that."""
        memory = Remembered.here("records")
        if not worth or memory.cache is None:
            return CheckedRecords({}, memory, frozenset())
        code = own_code()
        names = {name: name_of_content(code, kind, content) for name, content in stored.items()}
        return CheckedRecords(names, memory, memory.find(list(names.values())).keys())

    def before(self, name: str) -> bool:
        """Whether a file was checked before."""
        return self.names.get(name) in self.known

    def keep(self, found: Iterable[str]) -> None:
        """Remember the files that were checked and are records of this version."""
        names = {self.names[name] for name in found if name in self.names}
        self.memory.keep(dict.fromkeys(names - self.known, b""))


def parsed_again(stored: bytes) -> dict[str, Any]:
    """Parse a record that was checked before, without its digest; in a third of the time of `json.loads`."""
    from pydantic_core import from_json

    try:
        content = dict(from_json(stored))
    except ValueError:  # half a surrogate pair, which it refuses
        content = json.loads(stored)
    del content["digest"]
    return content

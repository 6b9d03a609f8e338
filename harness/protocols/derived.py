"""What models derive from the training split while they are built, kept beside the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any


class Derived:
    """Values by name, such as a vocabulary: made when they are first asked for, and known when a training is loaded.

    A model that asks here reads no training sample to answer, to be measured or to be perturbed.
    """

    def __init__(self, known: Mapping[str, Any] | None = None) -> None:
        """Take what an earlier building of the same model has derived."""
        self._values: dict[str, Any] = dict(known or {})

    def get(self, name: str, make: Callable[[], Any]) -> Any:
        """Return a value as JSON gives it back: lists for tuples; `make` is called where it is not known yet.

        Raises TypeError or ValueError where what is made is nothing that JSON can hold.
        """
        if name not in self._values:
            self._values[name] = json.loads(json.dumps(make(), allow_nan=False))
        return self._values[name]

    def to_json(self) -> dict[str, Any]:
        """All that has been asked for."""
        return dict(self._values)

"""What scorers have in common that start no program: nothing to enter or to leave, and a split that is not empty."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from harness.errors import DataError
from harness.sample import Sample


class PlainScorer:
    """A scorer without processes of its own, which itself refuses answers that do not fit the samples."""

    matches = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def require_samples(samples: Sequence[Sample]) -> None:
    """Raise DataError for an empty split."""
    if not samples:
        raise DataError("The split has no samples: there is nothing to score. Choose another with --split.")

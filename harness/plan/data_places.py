"""Remembers on this machine where a run found its data, so that its records can be scored again without being told.

<cache>/data-places/<digest of task, data and split>.json holds what the data was opened with: what `--data` said, the
working directory, `$BENCH_DATA`, the task's settings. Paths on a disk are nobody else's business, so records, which are
shared, do not hold them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.files import replace_atomically
from harness.protocols import DataContext

_FOLDER = "data-places"


@dataclass(frozen=True)
class Place:
    """What a data set was opened with; `split` is the one that was asked for, None for the default one."""

    wish: str | None
    split: str | None
    environment: str | None
    working_directory: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluate_only: bool = False


def remember(task: str, digest: str, split: str, context: DataContext) -> None:
    """Keep what data of this digest was opened with; a cache that cannot be written keeps nothing.

    Nothing is lost then but the convenience: the data must be named with --data.
    """
    place = Place(
        context.wish, context.split, context.environment, str(context.working_directory), dict(context.settings),
        context.evaluate_only,
    )  # fmt: skip
    with contextlib.suppress(OSError), replace_atomically(_path(context.cache, task, digest, split)) as temporary:
        temporary.write_text(json.dumps(asdict(place), indent=1, default=str), encoding="utf-8")


def recall(cache: Path, task: str, digest: str, split: str) -> Place | None:
    """What data of this digest was last opened with here; None where nobody knows or the file is broken."""
    try:
        return Place(**json.loads(_path(cache, task, digest, split).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _path(cache: Path, task: str, digest: str, split: str) -> Path:
    name = hashlib.sha256(json.dumps([task, digest, split]).encode()).hexdigest()[:24]
    return cache / _FOLDER / f"{name}.json"

"""Checks that predictions are there for each sample of a split, once, and for no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness.errors import DataError


def require_same_ids(path: Path, seen: Sequence[str], wanted: Sequence[str]) -> None:
    """Check ids of predictions against those of the samples; raises DataError naming the first three."""
    known, counts = set(wanted), Counter(seen)
    unknown = [key for key in counts if key not in known]
    missing = [key for key in wanted if key not in counts]
    _refuse(path, unknown, "predicts for {} samples that are not in the split", "Predict for the split that is scored.")
    require_distinct_ids(path, seen)
    _refuse(path, missing, "lacks {} of the split's samples", "Predict for every sample: none is left out of a score.")


def require_distinct_ids(path: Path, seen: Sequence[str]) -> None:
    """Check that no sample is predicted twice; raises DataError naming the first three."""
    repeated = [key for key, count in Counter(seen).items() if count > 1]
    _refuse(path, repeated, "predicts again for {} samples", "Keep one prediction a sample.")


def _refuse(path: Path, ids: Sequence[str], what: str, remedy: str) -> None:
    if ids:
        raise DataError(f"{path} {what.format(len(ids))} (first: {', '.join(ids[:3])}). {remedy}")

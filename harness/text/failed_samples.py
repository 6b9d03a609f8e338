"""Words for samples that have no answer: how many, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

_NAMED = 3


def counted_reasons(failed: Mapping[str, str]) -> dict[str, int]:
    """Count the reasons of samples that have no answer, by id; the most frequent first."""
    return dict(Counter(failed.values()).most_common())


def no_answers_told(failed: Mapping[str, str], total: int) -> str:
    """Say how many of `total` samples have no answer, and the most frequent reasons.

    >>> no_answers_told({"a": "status 500", "b": "it is empty", "c": "status 500"}, 8)
    '3 of 8 samples have no answer (2: status 500; 1: it is empty)'
    """
    reasons = counted_reasons(failed)
    told = [f"{count}: {reason}" for reason, count in list(reasons.items())[:_NAMED]]
    more = [f"{len(reasons) - _NAMED} other reasons"] if len(reasons) > _NAMED else []
    return f"{len(failed):,} of {total:,} samples have no answer ({'; '.join([*told, *more])})"

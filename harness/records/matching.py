"""Checks that answers and samples belong together, whatever a plugin's task or reader takes care of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.errors import DataError
from harness.protocols import MatchesAnswers, Scorer
from harness.sample import Outcome, Sample

_SHOWN = 3


def require_matching(scorer: Scorer, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> None:
    """Raise DataError for answers that are missing, twice there, or for no sample; it says how many and names three.

    A scorer that is `MatchesAnswers` does so itself: it may know several spellings of an id, or what no answer means.
    """
    if isinstance(scorer, MatchesAnswers) and scorer.matches:
        return
    wanted = dict.fromkeys(sample.sample_id for sample in samples)
    given = Counter(outcome.sample_id for outcome in outcomes)
    faults = [
        _fault("are for samples that the split does not have", [name for name in given if name not in wanted]),
        _fault("are there more than once", [name for name, count in given.items() if count > 1]),
        _fault("are missing", [name for name in wanted if name not in given]),
    ]
    if found := [fault for fault in faults if fault]:
        raise DataError(
            f"The answers do not fit the {len(wanted)} samples: {'; '.join(found)}. Every sample needs exactly one; "
            "check that both are of the same split and that ids are written alike."
        )


def _fault(what: str, names: Sequence[str]) -> str:
    return f"{len(names)} {what} (first: {', '.join(names[:_SHOWN])})" if names else ""

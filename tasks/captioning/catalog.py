"""The metrics of captions on Scenes, registered by the entry points of `bench.metrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.metrics.metric import Golden, Metric

if TYPE_CHECKING:
    from harness.stats.sums import SumStatistics

_COUNTS = ((4, 2, 5, 2), (1, 1, 3, 1), (0, 0, 2, 0))
"""Of three images: asserted, asserted and true, in the references, of these asserted."""
_SCORES = {"proposition-precision": 3 / 5, "proposition-recall": 3 / 10, "proposition-F1": 2 * 0.6 * 0.3 / 0.9}
_CASE = Golden(_COUNTS, _SCORES, name="three captions counted by hand")
_TITLES = {
    "proposition-precision": "share of what captions claim that is true of the scene",
    "proposition-recall": "share of what references claim that captions claim too",
    "proposition-F1": "harmonic mean of both",
}
_SOURCE = "exact tuples in the place of SPICE's parsed ones (Anderson et al. 2016, arXiv 1607.08822)"


def _scores(counts: Sequence[Sequence[int]]) -> Mapping[str, SumStatistics]:
    import numpy as np

    from tasks.captioning.propositions import statistics_of_counts

    return statistics_of_counts(np.array(counts, dtype=np.float64))


PROPOSITIONS = tuple(Metric(name, title, True, _SOURCE, _scores, (_CASE,)) for name, title in _TITLES.items())

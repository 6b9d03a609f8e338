"""What a model scores above its additive projection, as a metric: how much of its score needs both modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.metrics.metric import Golden, Metric

if TYPE_CHECKING:
    from harness.stats.intervals import DifferenceOf

PROJECTED = "EMAP "
"""Before the name of a metric: that metric of the additive projection."""


def _above(scores: tuple[Sequence[float], Sequence[float]]) -> Mapping[str, DifferenceOf]:
    import numpy as np

    from harness.stats.intervals import DifferenceOf
    from harness.stats.resampling import MeanStatistics

    own, additive = (MeanStatistics(np.array(part, dtype=np.float64)) for part in scores)
    return {"interaction": DifferenceOf(own, additive)}


INTERACTION = Metric(
    "interaction",
    "score above that of the additive projection of the same model",
    None,
    "Hessel & Lee 2020, arXiv 2010.06572",
    _above,
    (Golden(((1.0, 1.0, 0.0), (1.0, 0.0, 0.0)), {"interaction": 1 / 3}),),
    lowest=None,
    highest=None,
)

"""The share of answers that cannot be read as one: beside right and wrong the third outcome of an answer in words.

One metric for classes, choices and questions: where a model writes, what it has written is looked for among what could
be said, and may name none of it, or several. It counts as wrong in every other metric, and how much of the error it is
stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.metrics.metric import Golden, HasValue, Metric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.stats.proportions import ProportionStatistics

_NAME = "unparsed"


def unparsed_share(answered: Sequence[bool] | npt.NDArray[np.bool_]) -> ProportionStatistics:
    """[N] whether an answer could be read -> the share that could not, 0..1."""
    import numpy as np

    from harness.stats.proportions import ProportionStatistics

    read = np.asarray(answered, dtype=np.bool_)
    return ProportionStatistics(~read, np.ones(len(read), dtype=np.bool_))


def _compute(answered: Sequence[bool]) -> Mapping[str, HasValue | None]:
    return {_NAME: unparsed_share(answered)}


UNPARSED = Metric(
    _NAME,
    "share of answers that cannot be read as one; they count as wrong",
    False,
    "definition: answers that name none of the options, or several, divided by all",
    _compute,
    (Golden((True, False, True, True), {_NAME: 0.25}, name="one of four counted by hand"),),
    each_condition=True,
)

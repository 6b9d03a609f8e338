"""The score that the best of k trials is expected to have, from the scores of n of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def expected_best(scores: Sequence[float], k: int) -> float:
    """Expect the highest of `k` scores drawn with replacement (Dodge et al. 2019, arXiv 1909.03004, equation 7).

    Raises ValueError without scores and for a `k` below 1.

    >>> expected_best([0.2, 0.6], 1), round(expected_best([0.2, 0.6], 2), 12)
    (0.4, 0.5)
    """
    if not len(scores) or k < 1:
        raise ValueError(f"{len(scores)} scores and k = {k}; wanted at least one of each")
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    reached = (np.arange(len(ordered) + 1) / len(ordered)) ** k
    return float(np.diff(reached) @ ordered)

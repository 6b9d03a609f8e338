"""Recalls that are multiplied out are those that pycocotools finds by comparing."""

from __future__ import annotations

import numpy as np

from harness.metrics.boxes.engines import RECALL_THRESHOLDS
from harness.metrics.boxes.recall_steps import Arrays, recall_steps


def test_every_number_found_reaches_the_recalls_that_a_search_finds() -> None:
    for several in (range(1, 120), range(980, 1001), (39_999, 40_000, 40_001, 50_000)):
        most = max(several)
        found = np.minimum(np.arange(most + 1)[:, None], np.array(several))
        steps = recall_steps(np.array(several, dtype=np.float64))
        for dtype in (np.float32, np.float64):
            newly = steps.newly(found.astype(dtype), 0, most + 1, Arrays())
            expected = np.searchsorted(RECALL_THRESHOLDS, found / np.array(several), side="right")
            assert (np.cumsum(newly, axis=0, dtype=np.int64) == expected).all()


def test_rows_from_the_middle_reach_what_is_new_in_them() -> None:
    found = np.arange(21.0)[:, None] + np.zeros(2)
    steps = recall_steps(np.array([20.0, 47.0]))
    whole = steps.newly(found, 0, 21, Arrays())
    assert (steps.newly(found, 7, 11, Arrays()) == whole[7:11]).all()

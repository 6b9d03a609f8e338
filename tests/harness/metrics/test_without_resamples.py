"""Of 0 resamples no metric of boxes, masks, label maps and labels is resampled, and each keeps its value.

Those of captions start Java or load a network, and take the same way through `estimates`.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness.metrics.boxes.catalog import METRICS as OF_BOXES
from harness.metrics.labels.catalog import METRICS as OF_LABELS
from harness.metrics.maps.catalog import METRICS as OF_MAPS
from harness.stats import intervals
from harness.stats.estimates import NOT_ASKED_FOR, estimates


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("resampled")


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [(OF_BOXES, {"AP", "AR-100"}), (OF_MAPS, {"mIoU", "PQ"}), (OF_LABELS, {"top-1", "ECE", "NLL"})],
)
def test_no_metric_is_resampled(metrics: Any, expected: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "draw_resamples", refuse)
    monkeypatch.setattr(intervals, "jackknife_together", refuse)
    seen = set()
    for metric in {metric.compute: metric for metric in metrics}.values():  # each computes several at once
        found: dict[str, Any] = dict(metric.compute(metric.golden[0].inputs))
        for name, estimate in estimates(found, 0).items():
            if estimate is not None:
                assert (estimate.value, estimate.interval, estimate.note) == (found[name].value, None, NOT_ASKED_FOR)
                seen.add(name)
    assert expected <= seen

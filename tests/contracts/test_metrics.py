"""What every installed metric must keep: it says what it is, and gives its known values for golden inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from harness.metrics.metric import Metric, check_golden
from harness.plan.installed_metrics import load_metrics, metric_named
from harness.plan.plugins import load_all

INSTALLED, BROKEN = load_metrics()
_COMPUTED: dict[tuple[int, int], Mapping[str, Any]] = {}
"""By function and case: metrics of one suite are computed once."""


def computed(compute: Callable[[Any], Mapping[str, Any]], case: Any) -> Mapping[str, Any]:
    key = (id(compute), id(case))
    if key not in _COMPUTED:
        _COMPUTED[key] = compute(case.inputs)
    return _COMPUTED[key]


@pytest.mark.parametrize("metric", INSTALLED.values(), ids=INSTALLED)
def test_golden_inputs_give_the_known_value(metric: Metric) -> None:
    for case in metric.golden:
        seen = computed(metric.compute, case)
        needs_models = metric.name == "SPICE"  # which no package brings
        assert seen.get(metric.name) is not None or needs_models
        check_golden(seen, case, absent=True)


@pytest.mark.parametrize("metric", INSTALLED.values(), ids=INSTALLED)
def test_a_metric_says_what_it_is(metric: Metric) -> None:
    assert metric.title and metric.title != metric.name
    counted = metric.reference.startswith("definition: ") and len(metric.reference.split()) > 3
    assert counted or any(letter.isdigit() for letter in metric.reference), "author and year, or a definition"
    assert metric.arrow in "↑↓"


def test_every_metric_of_every_task_is_registered() -> None:
    assert not BROKEN
    tasks, _ = load_all("tasks")
    named = {name for task in tasks for name in task.metrics}
    assert named <= set(INSTALLED)
    assert all(metric_named(task.metrics[0]).higher_is_better for task in tasks), "the first one ranks"

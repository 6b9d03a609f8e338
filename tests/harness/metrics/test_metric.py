"""What a metric says of itself: direction, range, golden values."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.metrics.metric import Golden, Metric, MetricDrift, check_golden, check_metrics


@dataclass(frozen=True)
class Number:
    value: float


def metric(higher_is_better: bool | None = True, **more: object) -> Metric:
    return Metric("m", "a metric", higher_is_better, "Nobody 2020", lambda inputs: {"m": Number(inputs)}, (), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("direction", "arrow", "more", "less"),
    [(True, "↑", "better", "worse"), (False, "↓", "worse", "better"), (None, "", "higher", "lower")],
)
def test_a_difference_is_named_by_the_direction(direction: bool | None, arrow: str, more: str, less: str) -> None:
    found = metric(direction)
    assert (found.arrow, found.better(0.1), found.better(-0.1)) == (arrow, more, less)


def test_only_what_lies_in_0_to_1_is_a_share() -> None:
    assert metric().is_share
    assert not metric(highest=10.0).is_share
    assert not metric(highest=None).is_share
    assert not metric(lowest=-1.0).is_share


def test_drift_is_found_to_the_tolerance() -> None:
    check_golden({"m": Number(0.5)}, Golden(None, {"m": 0.5 + 1e-10}))
    with pytest.raises(MetricDrift, match=r"m gives 0\.5 instead of 0\.51 on the golden case 'by hand'"):
        check_golden({"m": Number(0.5)}, Golden(None, {"m": 0.51}, name="by hand"))
    with pytest.raises(MetricDrift, match="nan"):
        check_golden({"m": Number(float("nan"))}, Golden(None, {"m": 0.5}))


def test_what_cannot_be_computed_here_passes_only_where_it_may() -> None:
    check_golden({"m": None}, Golden(None, {"m": 0.5}), absent=True)
    with pytest.raises(MetricDrift, match=r"m gives None instead of 0\.5"):
        check_golden({}, Golden(None, {"m": 0.5}))


def test_metrics_that_share_a_case_are_computed_once() -> None:
    calls: list[int] = []

    def both(inputs: int) -> dict[str, Number]:
        calls.append(inputs)
        return {"a": Number(1.0), "b": Number(2.0)}

    case = Golden(7, {"a": 1.0, "b": 2.0})
    check_metrics([Metric(name, name, True, "", both, (case,)) for name in "ab"])
    assert calls == [7]
    with pytest.raises(MetricDrift, match=r"b gives 2\.0"):
        check_metrics([Metric("b", "b", True, "", both, (Golden(7, {"b": 3.0}),))])

"""A sign of life is made by who works, and seldom enough to disturb nothing."""

from __future__ import annotations

from harness.jobs.heartbeat import Heartbeat


def test_it_reports_at_most_once_a_second() -> None:
    told: list[tuple[str, int, int]] = []
    beat = Heartbeat(lambda *now: told.append(now), "attacking")
    for _ in range(100):
        beat()
    assert told == []
    beat.last -= 1.0
    for _ in range(100):
        beat()
    assert told == [("attacking", 0, 0)]

"""Requests leave when they are due, whatever became of those before; what waits is told as lateness and latency."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise

from harness.measure.open_loop import LOST, Ending, closed_loop, one_after_another, open_loop, poisson_times


def test_times_are_those_of_a_poisson_process() -> None:
    times = poisson_times(50.0, 200.0, seed=3)
    gaps = [after - before for before, after in pairwise(times)]
    assert times == sorted(times) == poisson_times(50.0, 200.0, seed=3) and times[-1] < 200.0
    assert abs(len(times) - 10_000) < 400  # 4 standard deviations of a Poisson count
    assert abs(statistics.mean(gaps) * 50 - 1) < 0.05 and abs(statistics.stdev(gaps) * 50 - 1) < 0.1
    assert len(poisson_times(0.001, 0.1, seed=0)) == 1


def test_a_slow_answer_holds_up_nobody() -> None:
    def ask(number: int) -> Ending:
        time.sleep(0.4 if number == 0 else 0.0)
        return Ending()

    sent = open_loop(ask, [0.02 * number for number in range(10)])
    assert [each.due for each in sent] == [0.02 * number for number in range(10)]
    assert sent[0].latency >= 0.4 and max(each.left for each in sent) < 0.4


def test_latency_counts_from_when_a_request_was_due_not_from_when_it_left() -> None:
    """With one connection the stall of the first hits all that were due meanwhile: a closed loop would see it once."""

    def ask(number: int) -> Ending:
        time.sleep(0.3 if number == 0 else 0.0)
        return Ending()

    sent = open_loop(ask, [0.01 * number for number in range(20)], most_at_once=1)
    assert sum(each.latency > 0.1 for each in sent) == 20
    assert all(each.latency == each.lateness + (each.done - each.left) for each in sent)
    assert sent[10].lateness > 0.15
    closed = one_after_another(ask, 0.0, 20)
    assert sum(each.latency > 0.1 for each in closed) == 1 and len(closed) == 20


def test_a_closed_loop_keeps_so_many_on_their_way() -> None:
    inside, most = [0], [0]

    def ask(number: int) -> Ending:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        inside[0] -= 1
        return Ending(LOST, "gone")

    sent = closed_loop(ask, 0.0, 40, 4)
    assert len(sent) == 40 and most[0] == 4 and {each.ending.reason for each in sent} == {"gone"}

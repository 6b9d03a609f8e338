"""The standard deviation is that of `statistics.stdev`, which is exact, to the last bit."""

from __future__ import annotations

import math
import random
import statistics

from harness.stats.exact_deviation import exact_deviation


def test_deviations_are_right_to_the_last_bit() -> None:
    draw = random.Random(0)
    for turn in range(2000):
        scale = 10 ** draw.uniform(-300, 150) if turn % 3 == 0 else 1.0
        base = draw.random()
        values = [
            scale * draw.choice([draw.random(), draw.gauss(0, 1), base + 1e-15 * draw.random()]) for _ in range(5)
        ]
        values = values[: draw.randint(2, 5)]
        assert exact_deviation(values) == statistics.stdev(values)
    assert exact_deviation([0.5, 0.5]) == 0.0
    assert exact_deviation([5e-324, 0.0]) == statistics.stdev([5e-324, 0.0])
    assert math.isnan(exact_deviation([math.nan, 1.0])) and math.isnan(exact_deviation([math.inf, 1.0]))

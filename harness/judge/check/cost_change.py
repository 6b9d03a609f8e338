"""Changes of latency and memory: ratios now / before, in units of the spread that ratios have in this very table.

Latency is compared by its ratio to the calibration workload timed in the same run. Its standard error is at least
`least` and has the spread of the blocks within the processes, which tells a disturbed process from a quiet one. Most
rows of a table did not change, so how far the ratios of all rows stray in units of their errors is what two runs
differ by for no reason: where it is wider, all errors are, and less is called a change. Tails are Student's, since
timings have heavier ones than the normal distribution.

Where a job had to wait for a core, medians over calls moved up to six times and nothing within the process told: there
latency is not compared. Neither cost is compared across kinds of machines.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.judge.check.change import LATENCY, MEMORY, Change
from harness.judge.check.measured import Latency, Measured
from harness.judge.check.score_change import SeedPair
from harness.measure.foreign_load import CROWDED
from harness.stats.t_distribution import t_cdf, t_quantile

_FEW_ROWS = 6
_BIWEIGHT = 9.0  # values further out than so many median absolute deviations do not count
_OF_MEDIAN = 1.2533  # standard error of a median over that of a mean, of a normal distribution


@dataclass(frozen=True)
class Noise:
    """Of the logarithm of now / before where nothing changed: standard deviation at `least`, degrees of `freedom`.

    `alone` is the deviation that is taken where a table has too few rows to tell.
    """

    least: float
    alone: float
    freedom: int


LATENCY_NOISE = Noise(least=0.02, alone=0.06, freedom=12)
MEMORY_NOISE = Noise(least=0.01, alone=0.03, freedom=7)


def latency_changes(rows: Sequence[Sequence[SeedPair]]) -> list[Change]:
    """One change a subject: `loss` is how much slower it became, as a share; of the seeds timed undisturbed, if any."""
    return _changes([_undisturbed(pairs) or pairs for pairs in rows], LATENCY, LATENCY_NOISE)


def memory_changes(rows: Sequence[Sequence[SeedPair]]) -> list[Change]:
    """One change a subject: `loss` is how much more memory it takes at its peak, as a share."""
    return _changes(rows, MEMORY, MEMORY_NOISE)


def is_crowded(latency: Latency) -> bool:
    """Tell whether others kept the machine so busy that the timed calls had to wait for a core."""
    return latency.crowding > CROWDED


def _undisturbed(pairs: Sequence[SeedPair]) -> Sequence[SeedPair]:
    return [pair for pair in pairs if not any(side.latency and is_crowded(side.latency) for side in pair)]


def _changes(rows: Sequence[Sequence[SeedPair]], kind: str, noise: Noise) -> list[Change]:
    found = [_ratios(pairs, kind) for pairs in rows]
    compared = [
        (pairs, statistics.fmean(ratios)) for pairs, ratios in zip(rows, found, strict=True) if isinstance(ratios, list)
    ]
    widening = _widening([(log, _error(pairs, kind, noise.least)) for pairs, log in compared])
    changes = []
    for pairs, ratios in zip(rows, found, strict=True):
        if isinstance(ratios, str):
            changes.append(_change(pairs, kind, note=ratios))
            continue
        log = statistics.fmean(ratios)
        error = _error(pairs, kind, noise.alone) if widening is None else widening * _error(pairs, kind, noise.least)
        reach = t_quantile(noise.freedom, 0.975) * error
        interval = (math.expm1(log), math.expm1(log - reach), math.expm1(log + reach))
        changes.append(_change(pairs, kind, interval, 2 * t_cdf(-abs(log / error), noise.freedom)))
    return changes


def _ratios(pairs: Sequence[SeedPair], kind: str) -> list[float] | str:
    """log(now / before) of each seed, or why there is none."""
    logs = []
    for before, now in pairs:
        if before.machine != now.machine:
            return f"other hardware: {before.machine} before, {now.machine} now"
        sides = [_cost(side, kind) for side in (before, now)]
        if sides[0] is None or sides[1] is None:
            return "not measured before" if sides[0] is None else "not measured now"
        if kind == LATENCY and before.latency and now.latency:
            if before.latency.version != now.latency.version:
                return f"calibration workload {before.latency.version} before, {now.latency.version} now"
            busy = [side for side, own in (("before", before.latency), ("now", now.latency)) if is_crowded(own)]
            if busy:
                return f"others kept the machine busy {' and '.join(busy)}"
        logs.append(math.log(sides[1] / sides[0]))
    return logs


def _cost(side: Measured, kind: str) -> float | None:
    value = side.memory_bytes if kind == MEMORY else side.latency and side.latency.ratio
    return float(value) if value else None


def _error(pairs: Sequence[SeedPair], kind: str, least: float) -> float:
    """Standard error of a row's mean log ratio, as far as it can be told from the row alone."""
    return math.hypot(least, _within(pairs) if kind == LATENCY else 0.0)


def _within(pairs: Sequence[SeedPair]) -> float:
    """Standard error of the mean log ratio from the spread of blocks within the processes."""
    blocks = [side.latency.blocks for pair in pairs for side in pair if side.latency]
    variances = [statistics.variance(map(math.log, b)) / len(b) for b in blocks if len(b) > 1]
    return _OF_MEDIAN * math.sqrt(sum(variances)) / len(pairs)


def _widening(rows: Sequence[tuple[float, float]]) -> float | None:
    """By how much the table's (log ratio, error) stray more than the errors say, 1 at least; None for few rows."""
    if len(rows) < _FEW_ROWS:
        return None
    return max(1.0, _biweight([log / error for log, error in rows]))


def _biweight(values: Sequence[float]) -> float:
    """Standard deviation that far ones do not move (biweight midvariance; Lax 1985, J. Am. Stat. Assoc. 80).

    Nearly as steady as the plain one where nothing is far, which a median absolute deviation is not.
    """
    middle = statistics.median(values)
    reach = _BIWEIGHT * statistics.median(abs(value - middle) for value in values)
    if reach == 0:
        return 0.0
    near = [(value - middle, ((value - middle) / reach) ** 2) for value in values if abs(value - middle) < reach]
    above = sum(distance**2 * (1 - u) ** 4 for distance, u in near)
    below = sum((1 - u) * (1 - 5 * u) for _, u in near)
    return math.sqrt(len(values) * above) / abs(below)


def _change(
    pairs: Sequence[SeedPair],
    kind: str,
    loss: tuple[float | None, float | None, float | None] = (None, None, None),
    p: float | None = None,
    note: str = "",
) -> Change:
    subject = pairs[0][0].subject
    measure = "latency / calibration" if kind == LATENCY else "peak MiB"
    before, now = (_shown([pair[place] for pair in pairs], kind) for place in (0, 1))
    return Change(subject.task, subject.label, kind, measure, before, now, *loss, p, note)


def _shown(sides: Sequence[Measured], kind: str) -> float | None:
    """Geometric mean over seeds, so that the change shown is the ratio of what is shown."""
    values = [value for side in sides if (value := _cost(side, kind)) is not None]
    if not values:
        return None
    return statistics.geometric_mean(values) / (2**20 if kind == MEMORY else 1)

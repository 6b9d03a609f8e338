"""The worst group's accuracy beside its null: what the minimum would be were all groups equally good.

A minimum over groups is biased down: with a true accuracy of 70 % and 100 samples a group, the worst of 4, 8 and 16
reads 65, 63 and 62 %. The null is exact: groups are independent binomials of the pooled accuracy p, so
P(min > t) = product over groups of P(Bin(n_g, p) > t n_g).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import DataError
from harness.record import Estimate
from harness.stats.intervals import wilson
from harness.stats.propagation import Figure

LEAST_IN_A_GROUP = 400
"""Below it the bias is larger than most differences between groups."""


@dataclass(frozen=True)
class GroupScore:
    """How many samples a group has and how many of them are right."""

    right: int
    count: int


@dataclass(frozen=True)
class WorstGroup:
    """The lowest accuracy of all groups, 0..1, and what equally good groups would show.

    `null` is the expected minimum with its central 95 % range; `p` the chance of a minimum this low under it;
    `interpretable` is whether every group has enough samples.
    """

    name: str
    accuracy: Figure
    count: int
    null: Figure
    p: float
    groups: int
    smallest: int
    interpretable: bool


def slice_scores(metrics: Mapping[str, Estimate | None], metric: str) -> dict[str, GroupScore]:
    """Take the slices `METRIC[NAME]` of a record as groups, where the metric is a share of right answers.

    Empty where there are no slices, or where they overlap or leave samples out: then they are no groups.
    """
    whole = metrics.get(metric)
    slices = {name[len(metric) + 1 : -1]: e for name, e in metrics.items() if name.startswith(f"{metric}[") and e}
    if whole is None or sum(e.count for e in slices.values()) != whole.count:
        return {}
    scores = {name: GroupScore(round(e.value * e.count), e.count) for name, e in slices.items()}
    exact = all(abs(scores[name].right - e.value * e.count) < 1e-6 * e.count for name, e in slices.items())
    return scores if exact and sum(s.right for s in scores.values()) == round(whole.value * whole.count) else {}


def worst_group(groups: Mapping[str, GroupScore]) -> WorstGroup:
    """Find the worst group and its null; raises DataError for fewer than two groups or an empty one."""
    if len(groups) < 2:
        raise DataError(f"{len(groups)} groups: a worst group needs at least two.")
    empty = next((name for name, score in groups.items() if score.count < 1), None)
    if empty is not None:
        raise DataError(f"Group {empty} has no samples; leave it out.")
    name = min(groups, key=lambda group: (groups[group].right / groups[group].count, group))
    worst = groups[name]
    sizes = tuple(score.count for score in groups.values())
    pooled = sum(score.right for score in groups.values()) / sum(sizes)
    null, p = minimum_under_null(sizes, pooled, worst.right / worst.count)
    return WorstGroup(
        name=name,
        accuracy=Figure(worst.right / worst.count, *wilson(worst.right, worst.count)),
        count=worst.count,
        null=null,
        p=p,
        groups=len(groups),
        smallest=min(sizes),
        interpretable=min(sizes) >= LEAST_IN_A_GROUP,
    )


def minimum_under_null(sizes: tuple[int, ...], accuracy: float, observed: float) -> tuple[Figure, float]:
    """Return the minimum's mean and central 95 % range where all groups are equal, and P(minimum <= observed)."""
    import numpy as np
    from scipy.special import bdtrc

    # The minimum changes only at k / n_g; between two such places P(min > t) is constant.
    places = np.unique(np.concatenate([np.arange(n + 1) / n for n in set(sizes)]))
    above = np.ones(len(places))
    for n, times in zip(*np.unique(np.asarray(sizes), return_counts=True), strict=True):
        # A place k / n as a float times n may fall short of k by rounding.
        below = np.floor(places * n + 1e-9)
        tail = np.where(below >= n, 0.0, bdtrc(np.minimum(below, n - 1), int(n), accuracy))
        above *= tail ** int(times)
    mean = float(np.sum(np.diff(places) * above[:-1]))
    low, high = (float(places[np.argmax(1 - above >= share - 1e-12)]) for share in (0.025, 0.975))
    reached = int(np.searchsorted(places, observed + 1e-9, side="right")) - 1
    return Figure(mean, low, high), float(1 - above[reached])

"""What each sample contributes to a cell's metrics (`harness.stats.contributions`), stored beside the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.protocols import Statistics
    from harness.stats.resampling import FloatArray


@dataclass(frozen=True)
class SampleScores:
    """Contributions `[N]` by metric, in the metric's unit; the mean over samples is the metric.

    Samples of one cluster (such as questions about one image) are not independent; where no samples share one,
    `clusters` are the sample ids. `slices` names the group of each sample where every sample is in one of several.
    """

    sample_ids: tuple[str, ...]
    clusters: tuple[str, ...]
    metrics: Mapping[str, FloatArray]
    slices: tuple[str, ...] = ()


def sample_scores(
    sample_ids: Sequence[str],
    statistics: Mapping[str, Statistics | None],
    names: Sequence[str],
    slices: Sequence[Sequence[str]] = (),
) -> SampleScores:
    """Compute the contributions to those of the named metrics that are about all samples.

    `slices` are those that each sample is in: kept where it is one of several for each.
    """
    from harness.stats.contributions import contributions

    present = {name: s for name in names if (s := statistics.get(name)) is not None}
    whole = {name: s for name, s in present.items() if len(s.per_sample) == len(sample_ids)}
    groups = next((s.groups for s in whole.values() if hasattr(s, "groups")), sample_ids)
    return SampleScores(
        tuple(sample_ids),
        tuple(str(group) for group in groups),
        {n: contributions(s) for n, s in whole.items()},
        _divided(slices),
    )


def _divided(slices: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The one slice of each sample; empty where a sample is in none or in several, or all are in one."""
    if not all(len(names) == 1 for names in slices):
        return ()
    found = tuple(name for (name,) in slices)
    return found if len(set(found)) > 1 else ()

"""Where the groups of claim group-bias come from: slices of the task's metric, or a column that the user gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.errors import DataError
from harness.judge.robustness.worst_group import GroupScore, slice_scores
from harness.judge.verdict.evidence import Evidence, Group
from harness.records.group_columns import GroupColumns

_RIGHT = "top-1"
_ROUNDING = 1e-3
"""Contributions are differences of sums, so that 0 and 1 are not exact."""
Groups = Mapping[str, GroupScore]


@dataclass(frozen=True)
class GroupSource:
    """One way to divide samples into groups; `column` is the user's, "" where the slices of a metric are groups.

    `groups` raises DataError where it cannot tell the groups of a model's samples.
    """

    column: str
    groups: Callable[[Group, int], Groups]


def group_sources(evidence: Evidence) -> list[GroupSource]:
    """The user's columns where there are some, else the slices."""
    given = evidence.options.groups
    if given is None:
        return [GroupSource("", lambda group, seed: _of_slices(evidence, group, seed))]
    return [GroupSource(column, _of_column(evidence, given, column)) for column in given.columns]


def _of_slices(evidence: Evidence, group: Group, seed: int) -> Groups:
    """Groups by the metric that ranks, else by the share of right answers among all classes."""
    metrics = group.by_seed[seed].metrics
    return slice_scores(metrics, evidence.metric) or slice_scores(metrics, _RIGHT)


def _of_column(evidence: Evidence, columns: GroupColumns, column: str) -> Callable[[Group, int], Groups]:
    def groups(group: Group, seed: int) -> Groups:
        record = group.by_seed[seed]
        scores = evidence.read(record.task, record.fingerprint, None)
        right = None if scores is None else scores.metrics.get(evidence.metric, scores.metrics.get(_RIGHT))
        if scores is None or right is None:
            raise DataError(f"{group.name} seed {seed}: what each sample scores is not stored. Run it anew.")
        if not np.allclose(right, whole := np.rint(right), atol=_ROUNDING) or not np.isin(whole, (0.0, 1.0)).all():
            raise DataError(f"{evidence.metric} is no share of right answers: bench groups has gaps of any metric")
        if len(set(scores.clusters)) < len(scores.clusters):
            raise DataError("several samples share an image: bench groups has gaps with intervals over images")
        names = columns.of(column, scores.sample_ids)
        return {
            name: GroupScore(int(whole[own].sum()), int(own.sum()))
            for name in sorted(set(names) - {""})
            for own in [np.array([each == name for each in names])]
        }

    return groups

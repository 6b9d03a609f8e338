"""Where the groups of claim group-bias come from: slices of the task's metric, or a column that the user gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import DataError
from harness.judge.robustness.worst_group import GroupScore, slice_scores
from harness.judge.verdict.evidence import Evidence, Group
from harness.records.group_columns import GroupColumns
from harness.stats.resampling import FloatArray
from harness.stats.sample_scores import SampleScores

_RIGHT = "top-1"
_ROUNDING = 1e-3
"""Contributions are differences of sums, so that 0 and 1 are not exact."""


@dataclass(frozen=True, eq=False)
class Groups:
    """How many samples of each group are right, and, where it is stored, which: `right` [N] (0, 1) and `names` [N].

    `names` has "" where a sample is in no group. Without them models are not compared sample by sample.
    """

    scores: Mapping[str, GroupScore]
    sample_ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    right: FloatArray | None = None


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
    record = group.by_seed[seed]
    metric = next((name for name in (evidence.metric, _RIGHT) if slice_scores(record.metrics, name)), None)
    if metric is None:
        return Groups({})
    counted = slice_scores(record.metrics, metric)
    scores = evidence.read(record.task, record.fingerprint, None)
    right = None if scores is None else _right(scores, metric)
    if scores is None or right is None or _counted(scores.slices, right) != counted:
        return Groups(counted)
    return Groups(counted, scores.sample_ids, scores.slices, right)


def _right(scores: SampleScores, metric: str) -> FloatArray | None:
    """[N] which samples are right; None where contributions are no shares, or samples share an image."""
    values = scores.metrics.get(metric)
    if values is None or len(set(scores.clusters)) < len(scores.clusters):
        return None
    whole = np.rint(values)
    return whole if np.allclose(values, whole, atol=_ROUNDING) and np.isin(whole, (0.0, 1.0)).all() else None


def _counted(names: Sequence[str], right: FloatArray) -> dict[str, GroupScore]:
    own = np.array(names)
    return {
        name: GroupScore(int(right[own == name].sum()), int((own == name).sum())) for name in sorted(set(names) - {""})
    }


def _of_column(evidence: Evidence, columns: GroupColumns, column: str) -> Callable[[Group, int], Groups]:
    def groups(group: Group, seed: int) -> Groups:
        record = group.by_seed[seed]
        scores = evidence.read(record.task, record.fingerprint, None)
        metric = next((m for m in (evidence.metric, _RIGHT) if scores is not None and m in scores.metrics), None)
        if scores is None or metric is None:
            raise DataError(f"{group.name} seed {seed}: what each sample scores is not stored. Run it anew.")
        if len(set(scores.clusters)) < len(scores.clusters):
            raise DataError("several samples share an image: bench groups has gaps with intervals over images")
        right = _right(scores, metric)
        if right is None:
            raise DataError(f"{evidence.metric} is no share of right answers: bench groups has gaps of any metric")
        names = tuple(columns.of(column, scores.sample_ids))
        return Groups(_counted(names, right), scores.sample_ids, names, right)

    return groups

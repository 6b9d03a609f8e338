"""How models do by groups that the user gives: the worst group, the gap, and directional bias amplification.

Groups come from a column of the user's alone: nothing is guessed from a face, a name or a voice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.answers import LABELS, answered_class, form_of
from harness.errors import UsageError, nearest
from harness.judge.stored_rows import leaderboard_rows
from harness.plan.installed_metrics import metric_named
from harness.protocols import Statistics, Task
from harness.record import Estimate
from harness.records.group_columns import GroupColumns
from harness.records.rescore import DataPlace, Rescorer
from harness.records.sample_scores import Scored
from harness.records.store import Store
from harness.sample import Dataset
from harness.stats.bias_amplification import BiasAmplification, numbered
from harness.stats.estimates import estimate
from harness.stats.group_gaps import GroupGap, group_gap
from harness.stats.grouped import GroupedStatistics
from harness.stats.resampling import IntArray
from harness.stats.slices import groups_of, slice_part

_RESAMPLES = 1000


@dataclass(frozen=True)
class GroupLine:
    """One model on one column: how many samples have a group, its gap, and amplification in both directions.

    None where there are not two groups, or where a direction cannot be computed; `notes` say why.
    """

    name: str
    column: str
    metric: str
    samples: int
    of: int
    gap: GroupGap | None
    to_labels: Estimate | None = None
    to_groups: Estimate | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        gap = None
        if self.gap is not None:
            found = self.gap
            groups = {name: e.to_json() if e else None for name, e in found.groups.items()}
            gap = asdict(found) | {"groups": groups, "gap": found.gap.to_json() if found.gap else None}
        amplified = {"to_labels": self.to_labels, "to_groups": self.to_groups}
        return {
            "name": self.name, "column": self.column, "metric": self.metric, "samples": self.samples, "of": self.of,
            "gap": gap, "bias_amplification": {way: e.to_json() if e else None for way, e in amplified.items()},
            "notes": list(self.notes),
        }  # fmt: skip


def stored_group_lines(
    name: str, store: Store, columns: GroupColumns, place: DataPlace, metric: str | None
) -> list[GroupLine]:
    """Score the predictions behind a task's leaderboard by group: a line for each row, seed and column.

    Raises BenchError for predictions or data that are not there, DataError for samples without a line in the file.
    """
    records = {record.fingerprint: record for record in store.read_records(name)}
    lines = []
    for rows in leaderboard_rows(name, store):
        scored = [(row, fingerprint) for row in rows if row.metrics for fingerprint in row.fingerprints]
        if not scored:
            continue
        with Rescorer(records[scored[0][1]], place) as rescorer:
            for row, fingerprint in scored:
                found = rescorer.score(store, records[fingerprint])
                classes = class_count(rescorer.task, rescorer.data)
                seed = f" seed {records[fingerprint].seed}" if len(row.fingerprints) > 1 else ""
                lines += group_lines(f"{row.name}{seed}", rescorer.task, found, columns, metric, classes)
    return lines


def class_count(task: Task, data: Dataset) -> int:
    """Count the classes of data whose answers are labels; 0 for other kinds of answer."""
    return len(task.spec(data, ()).classes.names) if form_of(task.answers) == LABELS else 0


def group_lines(
    name: str, task: Task, scored: Scored, columns: GroupColumns, metric: str | None = None, classes: int = 0
) -> list[GroupLine]:
    """Score one model's answers by each column; `metric` None takes the one that ranks.

    `classes` is how many classes the data has, where it has some: amplification is a mean over all of them, also those
    that this model never answers.
    """
    chosen = _metric(task, scored.statistics, metric)
    whole = scored.statistics[chosen]
    assert whole is not None
    return [_line(name, task, scored, whole, columns, (column, chosen), classes) for column in columns.columns]


def _metric(task: Task, statistics: Mapping[str, Statistics | None], wish: str | None) -> str:
    known = [name for name, found in statistics.items() if found is not None and not set(name) & set("[:")]
    if wish is not None and wish not in known:
        raise UsageError(f"--metric {wish}: these answers have none. {nearest(wish, known)}")
    return wish or next((name for name in task.metrics if name in known), known[0])


def _line(
    name: str, task: Task, scored: Scored, whole: Statistics, columns: GroupColumns, asked: tuple[str, str],
    classes: int,
) -> GroupLine:  # fmt: skip
    column, metric = asked
    ids = [sample.sample_id for sample in scored.samples]
    groups = columns.of(column, ids)
    places = np.array([place for place, group in enumerate(groups) if group], dtype=np.int64)
    notes = [] if len(places) == len(ids) else [f"{len(ids) - len(places)} of {len(ids)} samples have no {column}"]
    gap = None
    if len(places):
        kept = [groups[place] for place in places]
        higher = metric_named(metric).higher_is_better
        if higher is None:
            notes.append(f"neither end of {metric} is better: 'best' is the highest group, 'worst' the lowest")
        gap = group_gap(slice_part(whole, places), kept, higher_is_better=higher is not False, resamples=_RESAMPLES)
    if gap is None:
        notes.append(f"{column}: fewer than two groups of two samples or more")
    to_labels = to_groups = None
    if gap is not None and (labels := _labels(task, scored)) is not None:
        truth, said = (values[places] for values in labels)
        number, names = numbered([groups[place] for place in places])
        count = max(classes, int(max(truth.max(), said.max())) + 1)
        clusters = groups_of(slice_part(whole, places))
        to_labels = _amplified(BiasAmplification(number, truth, said, len(names), count), clusters)
        predicted = columns.predicted_of(column, ids)
        if predicted is None:
            notes.append(f"no column '{column} predicted': amplification from labels to {column} is not known")
        else:
            own = {each: at for at, each in enumerate(names)}
            guess = np.array([own.get(predicted[place], -1) for place in places], dtype=np.int64)
            to_groups = _amplified(BiasAmplification(truth, number, guess, count, len(names)), clusters)
    return GroupLine(name, column, metric, len(places), len(ids), gap, to_labels, to_groups, tuple(notes))


def _amplified(found: BiasAmplification, clusters: Sequence[Any] | None) -> Estimate | None:
    """Samples of an image stay together."""
    statistics: Statistics = found
    return estimate(statistics if clusters is None else GroupedStatistics(found, list(map(str, clusters))), _RESAMPLES)


def _labels(task: Task, scored: Scored) -> tuple[IntArray, IntArray] | None:
    """The true and the answered class of each sample; None where answers are no single labels."""
    if form_of(task.answers) != LABELS or any(getattr(s.target, "labels", ()) for s in scored.samples):
        return None
    said = {outcome.sample_id: outcome.prediction for outcome in scored.outcomes}
    truth = np.array([sample.target.label for sample in scored.samples], dtype=np.int64)
    answers = np.array([answered_class(said[s.sample_id]) for s in scored.samples], dtype=np.int64)
    return truth, answers

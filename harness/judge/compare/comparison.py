"""Compares two chosen models: on stored predictions where they are there, else on what is left of them.

Three ways, and the result says which: *stored predictions* scored anew side by side; *stored scores* of the same
single samples, whose mean is the metric to first order (`harness.stats.contributions`); *stored estimates* alone, as
from different samples, where data, split or limit differ or nothing else was kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.errors import DataError, PluginError, UsageError, nearest
from harness.judge.compare.flips import FlippedSample, greatest_changes
from harness.judge.compare.metric_difference import MetricDifference, of_estimates
from harness.judge.compare.sides import names_of, told_settings, unlike_samples
from harness.judge.compare.slices import (
    SeedStatistics,
    SliceDifference,
    adjusted,
    perturbation_slices,
    require_finite_scores,
    same_seeds,
    scorer_slices,
    task_slices,
    whole_names,
)
from harness.judge.select_records import Chosen
from harness.plan.plugins import load_task
from harness.protocols import HasSlices, Statistics
from harness.record import Estimate, RunRecord
from harness.records.rescore import DataPlace, Rescorer
from harness.records.sample_scores import Scored, read_scores, uncovered
from harness.records.store import Store
from harness.records.table_names import outcomes_name, scores_name
from harness.stats.grouped import GroupedStatistics
from harness.stats.resampling import FloatArray, MeanStatistics
from harness.stats.sample_scores import SampleScores
from harness.storage.metric_names import asked_name

PREDICTIONS, SCORES, ESTIMATES = "stored predictions", "stored scores of samples", "stored estimates"
_ADDITIVE = ("interaction", "EMAP ")
_DRIFT = 1e-9


@dataclass(frozen=True)
class Wanted:
    """What is asked: one metric alone (None: all of them), how many flips to show.

    `other_data` allows scores of other samples beside each other, as if independent.
    """

    metric: str | None = None
    flips: int = 12
    other_data: bool = False


@dataclass(frozen=True)
class Comparison:
    """Everything about two models; differences are A - B. `refused` are metrics that must not be compared, and why."""

    a: Chosen
    b: Chosen
    basis: str
    paired: bool
    seeds: tuple[tuple[int, int], ...]
    samples: int | None
    metrics: tuple[MetricDifference, ...]
    refused: Mapping[str, str]
    slices: tuple[SliceDifference, ...] = ()
    flips: tuple[FlippedSample, ...] = ()
    notes: tuple[str, ...] = ()
    other_samples: str | None = None
    """In what the samples differ, where it was asked for all the same."""

    @property
    def names(self) -> tuple[str, str]:
        """Both names, told apart (`harness.judge.compare.sides`)."""
        return names_of(self.a, self.b)

    @property
    def main(self) -> MetricDifference | None:
        """The metric that ranks, or the one that was asked for."""
        return self.metrics[0] if self.metrics else None

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        sides = {
            side: {
                "name": chosen.name,
                "setting": chosen.setting,
                "results": chosen.store.url,
                "fingerprints": [record.fingerprint for record in chosen.records],
                "signature": chosen.first.signature,
                "data_digest": chosen.first.data_digest,
                "split": chosen.first.split,
            }
            for side, chosen in (("a", self.a), ("b", self.b))
        }
        return {
            "task": self.a.first.task,
            "data": self.a.first.data,
            **sides,
            "basis": self.basis,
            "paired": self.paired,
            "seeds": [list(pair) for pair in self.seeds],
            "samples": self.samples,
            "metrics": [difference.to_json() for difference in self.metrics],
            "refused": dict(self.refused),
            "slices": [row.to_json() for row in self.slices],
            "flips": [flip.to_json() for flip in self.flips],
            "notes": list(self.notes),
            "other_samples": self.other_samples,
        }


def compare(a: Chosen, b: Chosen, place: DataPlace, wanted: Wanted) -> Comparison:
    """Compare two models of one task; raises BenchError for tasks that differ, data that is not there, NaN scores."""
    if a.first.task != b.first.task:
        raise UsageError(
            f"{a.name} answers {a.first.task} and {b.name} {b.first.task}: their scores have no common unit."
        )
    if {r.fingerprint for r in a.records} == {r.fingerprint for r in b.records}:
        others = f" Other settings of it here: {'; '.join(a.others)}." if a.others else ""
        raise UsageError(
            f"{a.title} and {b.title} are the same records. Name two models, two seeds as MODEL@SEED, or two records "
            f"by their fingerprints.{others}"
        )
    notes = told_settings(a, b)
    other_samples = unlike_samples(a, b) if a.samples_key != b.samples_key else None
    if other_samples is not None and not wanted.other_data:
        raise UsageError(
            f"{a.title} and {b.title} were scored on other samples ({other_samples}), so a difference says nothing of "
            "the models. Run both on the same; or compare all the same, as if independent, with --other-data."
        )
    refused = _refused(a, b, wanted)
    if refused:
        return Comparison(
            a, b, ESTIMATES, False, (), None, (), refused, notes=tuple(notes), other_samples=other_samples
        )
    pairs, of_seeds = pair_seeds(a, b)
    notes += of_seeds
    if other_samples is not None:
        why = (
            f"Unpaired: they were scored on different samples ({other_samples}), so the samples' own difficulty adds "
            "to the noise."
        )
        return replace(_from_estimates(a, b, pairs, wanted, [*notes, why]), other_samples=other_samples)
    lacking = [
        f"{name} seed {record.seed}"
        for name, chosen in zip(names_of(a, b), (a, b), strict=True)
        for record in chosen.records
        if not chosen.store.exists(f"{outcomes_name(record.task, record.fingerprint)}.parquet")
    ]
    if not lacking:
        return _from_predictions(a, b, pairs, place, wanted, notes)
    notes = [*notes, f"The predictions of {', '.join(lacking)} were not kept."]
    return _from_scores(a, b, pairs, wanted, notes)


def pair_seeds(a: Chosen, b: Chosen) -> tuple[list[tuple[RunRecord, RunRecord]], list[str]]:
    """Put the records of equal seeds beside each other; in order where the seeds differ, and say so."""
    mine, theirs = ({record.seed: record for record in side.records} for side in (a, b))
    common = [seed for seed in mine if seed in theirs]
    if common:
        left = sorted({*mine, *theirs} - set(common))
        notes = [f"Seeds {', '.join(map(str, left))} of one model alone are left out."] if left else []
        return [(mine[seed], theirs[seed]) for seed in common], notes
    pairs = list(zip(a.records, b.records, strict=False))
    seeds = ", ".join(f"{one.seed} with {other.seed}" for one, other in pairs)
    return pairs, [f"The models have no seed in common: paired in order, {seeds}."]


def _refused(a: Chosen, b: Chosen, wanted: Wanted) -> dict[str, str]:
    """Metrics that were computed in two ways; one signature covers all metrics of a task."""
    signatures = dict.fromkeys(record.signature for side in (a, b) for record in side.records)
    if len(signatures) == 1:
        return {}
    seen = " against ".join(str(signature) for signature in signatures)
    reason = f"the metric signatures differ: {seen}. Bring both to today's with `bench rescore --write`"
    present = [n for n, e in a.first.metrics.items() if e is not None and b.first.metrics.get(n) is not None]
    return dict.fromkeys([wanted.metric] if wanted.metric else whole_names(present), reason)


def _from_predictions(
    a: Chosen,
    b: Chosen,
    pairs: Sequence[tuple[RunRecord, RunRecord]],
    place: DataPlace,
    wanted: Wanted,
    notes: Sequence[str],
) -> Comparison:
    with Rescorer(a.first, place) as rescorer:
        scored = [(_score(rescorer, a, one), _score(rescorer, b, other)) for one, other in pairs]
        scored, left = _on_common_samples(rescorer, scored)
        alike = [_alike(rescorer, one, other) for one, other in scored]
        a_scored, b_scored = (
            [{**both[side].statistics, **more[side]} for both, more in zip(scored, alike, strict=True)]
            for side in (0, 1)
        )
        found = SeedStatistics(a_scored, b_scored, same_seeds(pairs))
        first = _main_metric(rescorer.task.metrics, found.names(), wanted)
        names, refused = _defined(found, _ordered(whole_names(found.names()), rescorer.task.metrics, wanted))
        metrics = [d for name in names if (d := found.difference(name)) is not None]
        rows, more = _slices(rescorer, found, first, (a, b), pairs)
        scores = _mean_scores(found, first)
        flips = greatest_changes(rescorer, scored[0], scores, wanted.flips)
        drift = _drift(rescorer, found, pairs)
    return Comparison(
        a, b, PREDICTIONS, True, _seeds(pairs), len(scored[0][0].samples), tuple(metrics), refused, tuple(rows),
        tuple(flips), (*notes, *left, *drift, *more),
    )  # fmt: skip


def _score(rescorer: Rescorer, chosen: Chosen, record: RunRecord) -> Scored:
    return rescorer.score(chosen.store, record)


def _on_common_samples(
    rescorer: Rescorer, scored: list[tuple[Scored, Scored]]
) -> tuple[list[tuple[Scored, Scored]], list[str]]:
    """Keep the samples that all have answered: a model may have skipped one that it could not read."""
    every = [each for pair in scored for each in pair]
    sets = [{sample.sample_id for sample in each.samples} for each in every]
    common = set.intersection(*sets)
    if all(each == common for each in sets):
        return scored, []
    if not common:
        raise DataError("The models have no answered sample in common. Run both again on the same samples.")

    def cut(each: Scored) -> Scored:
        samples = [sample for sample in each.samples if sample.sample_id in common]
        outcomes = [outcome for outcome in each.outcomes if outcome.sample_id in common]
        return Scored(samples, outcomes, rescorer.scorer.score(samples, outcomes))

    left = len(set.union(*sets)) - len(common)
    return [(cut(a), cut(b)) for a, b in scored], [f"{left} samples that not all have answered are left out."]


def _alike(rescorer: Rescorer, a: Scored, b: Scored) -> tuple[Mapping[str, Statistics | None], ...]:
    """Metrics of both that only answers made alike can be compared by, such as captions of the same length."""
    return rescorer.scorer.score_alike(a.samples, a.outcomes, b.outcomes)


def _slices(
    rescorer: Rescorer,
    found: SeedStatistics,
    metric: str,
    sides: tuple[Chosen, Chosen],
    pairs: Sequence[tuple[RunRecord, RunRecord]],
) -> tuple[list[SliceDifference], list[str]]:
    rows = scorer_slices(found, metric)
    if isinstance(rescorer.task, HasSlices):
        record = pairs[0][0]
        rows += task_slices(found, metric, rescorer.task.slices(rescorer.samples_of(record)))
    perturbed, notes = perturbation_slices(pairs, (sides[0].store, sides[1].store))
    return adjusted([*rows, *perturbed]), notes


def _mean_scores(found: SeedStatistics, metric: str) -> tuple[FloatArray, FloatArray]:
    a, b = (np.asarray(np.mean([own.per_sample for own in side], axis=0)) for side in found.of(metric))
    return a, b


def _drift(rescorer: Rescorer, found: SeedStatistics, pairs: Sequence[tuple[RunRecord, RunRecord]]) -> list[str]:
    """Say where the numbers are no longer those of the records."""
    records = [record for pair in pairs for record in pair]
    parts = [each for pair in zip(found.a, found.b, strict=True) for each in pair]
    moved = {
        name
        for record, statistics in zip(records, parts, strict=True)
        for name, estimate in record.metrics.items()
        if estimate and (s := statistics.get(name)) and abs(s.value - estimate.value) > _DRIFT
    }
    notes = []
    if moved:
        notes.append(f"Recomputed {', '.join(sorted(moved)[:5])} is not what the records say: see `bench rescore`.")
    if records[0].signature != rescorer.signature:
        notes.append(f"Scored anew with the signature {rescorer.signature}; the records have {records[0].signature}.")
    return notes


def _from_scores(
    a: Chosen, b: Chosen, pairs: Sequence[tuple[RunRecord, RunRecord]], wanted: Wanted, notes: Sequence[str]
) -> Comparison:
    """Compare by what each sample contributes to each metric, which needs neither data nor predictions."""
    scores = [tuple(_read_scores(side, r) for side, r in zip((a, b), pair, strict=True)) for pair in pairs]
    known = [part for both in scores for part in both if part is not None]
    alike = len(known) == 2 * len(pairs) and len({part.sample_ids for part in known}) == 1
    if not alike:
        why = "Unpaired: neither predictions nor scores of the same single samples are there for both."
        return _from_estimates(a, b, pairs, wanted, [*notes, why])
    of_a, of_b = ([_as_statistics(both[side]) for both in scores] for side in (0, 1))
    found = SeedStatistics(of_a, of_b, same_seeds(pairs))
    names = _ordered(found.names(), _metrics_of(a), wanted)
    metrics = [d for name in names if (d := found.difference(name)) is not None]
    rows, more = perturbation_slices(pairs, (a.store, b.store))
    told = "Compared by stored scores of single samples: to first order, for metrics that are no means over samples."
    return Comparison(
        a, b, SCORES, True, _seeds(pairs), len(known[0].sample_ids), tuple(metrics), {}, tuple(adjusted(rows)), (),
        (*notes, told, *_uncovered(pairs, (a.store, b.store)), *more),
    )  # fmt: skip


def _uncovered(pairs: Sequence[tuple[RunRecord, RunRecord]], stores: tuple[Store, ...]) -> list[str]:
    """Say which records do not vouch for the scores that they are compared by."""
    sides = [(store, [pair[side] for pair in pairs]) for side, store in enumerate(stores)]
    return list(dict.fromkeys(told for store, records in sides if (told := uncovered(store, records))))


def _read_scores(chosen: Chosen, record: RunRecord) -> SampleScores | None:
    name = scores_name(record.task, record.fingerprint)
    scores = read_scores(chosen.store, record)
    if scores is not None:
        require_finite_scores(scores, chosen.store.place(f"{name}.parquet"))
    return scores


def _as_statistics(scores: SampleScores | None) -> dict[str, Statistics | None]:
    if scores is None:
        return {}
    shared = len(set(scores.clusters)) < len(scores.clusters)
    means = {name: MeanStatistics(values) for name, values in scores.metrics.items()}
    return {n: GroupedStatistics(mean, scores.clusters) if shared else mean for n, mean in means.items()}


def _from_estimates(
    a: Chosen, b: Chosen, pairs: Sequence[tuple[RunRecord, RunRecord]], wanted: Wanted, notes: Sequence[str]
) -> Comparison:
    sides = [_estimates(chosen, [pair[side] for pair in pairs]) for side, chosen in enumerate((a, b))]
    names = _ordered(whole_names([name for name in sides[0] if name in sides[1]]), _metrics_of(a), wanted)
    same = same_seeds(pairs)
    metrics = [of_estimates(name, sides[0][name], sides[1][name], same_seeds=same) for name in names]
    return Comparison(a, b, ESTIMATES, False, (), None, tuple(metrics), {}, notes=tuple(notes))


def _metrics_of(chosen: Chosen) -> tuple[str, ...]:
    """The task's metrics, the one that ranks first; in the record's own order where its plugin is not installed."""
    try:
        return tuple(load_task(chosen.first.task).metrics)
    except (UsageError, PluginError):
        return tuple(chosen.first.metrics)


def _estimates(chosen: Chosen, records: Sequence[RunRecord]) -> dict[str, list[Estimate]]:
    """Each metric by seed; raises DataError for one that is no number."""
    found: dict[str, list[Estimate]] = {}
    for name in chosen.first.metrics:
        present = [e for record in records if (e := record.metrics.get(name)) is not None]
        if len(present) < len(records):
            continue
        if not all(e.is_finite for e in present):
            raise DataError(
                f"{chosen.name}: {name} on its record is no number. Compute it anew with `bench rescore --write`."
            )
        found[name] = present
    return found


def _defined(found: SeedStatistics, names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Part the metrics that are numbers from those that are NaN."""
    kept, refused = [], {}
    for name in names:
        a, b = found.of(name)
        if all(math.isfinite(part.value) for part in (*a, *b)):
            kept.append(name)
        else:
            refused[name] = "it is NaN for one of them: there is nothing that it could be measured on"
    return kept, refused


def _main_metric(metrics: Sequence[str], present: Sequence[str], wanted: Wanted) -> str:
    names = whole_names(present)
    if wanted.metric is not None:
        return _asked(wanted.metric, names)
    return next((name for name in metrics if name in names), names[0])


def _asked(metric: str, names: Sequence[str]) -> str:
    """The metric that a user means, by its former name too; raises UsageError for one that the models have not."""
    name = asked_name(metric, names)
    if name not in names:
        raise UsageError(f"--metric {metric}: these models have none. {nearest(metric, names)}")
    return name


def _ordered(names: Sequence[str], metrics: Sequence[str], wanted: Wanted) -> list[str]:
    """Metrics in the task's order, then those that only this data adds; or the one that is asked for."""
    if wanted.metric is not None:
        return [_asked(wanted.metric, names)]
    own = [name for name in names if not name.startswith(_ADDITIVE)]
    return [name for name in metrics if name in own] + [name for name in own if name not in metrics]


def _seeds(pairs: Sequence[tuple[RunRecord, RunRecord]]) -> tuple[tuple[int, int], ...]:
    return tuple((one.seed, other.seed) for one, other in pairs)

"""Differences in parts of the samples: slices and classes that the scorer names, the task's slices, perturbations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.errors import DataError
from harness.judge.compare.metric_difference import MetricDifference, of_statistics
from harness.protocols import Statistics
from harness.record import RobustnessRecord, RunRecord
from harness.records.sample_scores import read_scores
from harness.records.store import Store
from harness.stats.grouped import GroupedStatistics
from harness.stats.resampling import MeanStatistics
from harness.stats.sample_scores import SampleScores
from harness.stats.significance import benjamini_hochberg
from harness.stats.slices import slice_part

LEAST_IN_A_SLICE = 10
CLASS, SLICE, PERTURBATION = "class", "slice", "perturbation"


@dataclass(frozen=True)
class SliceDifference:
    """A difference in one part of the samples; `adjusted` is its p among all of the table (Benjamini & Hochberg)."""

    kind: str
    name: str
    difference: MetricDifference
    adjusted: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return {
            "kind": self.kind, "name": self.name, "adjusted_p": self.adjusted, **self.difference.to_json()
        }  # fmt: skip


@dataclass(frozen=True)
class SeedStatistics:
    """All metrics of two models by pair of seeds, which are one seed of both where `same_seeds`."""

    a: Sequence[Mapping[str, Statistics | None]]
    b: Sequence[Mapping[str, Statistics | None]]
    same_seeds: bool = True

    def names(self) -> list[str]:
        """Name the metrics that every seed of both has."""
        every = [*self.a, *self.b]
        return [name for name in every[0] if all(each.get(name) is not None for each in every)]

    def of(self, name: str) -> tuple[list[Statistics], list[Statistics]]:
        """One metric by seed: of the first model and of the second."""
        a, b = ([s for each in side if (s := each[name]) is not None] for side in (self.a, self.b))
        return a, b

    def difference(self, name: str) -> MetricDifference | None:
        """What separates the models by one metric; None where it is undefined."""
        return of_statistics(name, *self.of(name), same_seeds=self.same_seeds)


def same_seeds(pairs: Sequence[tuple[RunRecord, RunRecord]]) -> bool:
    """Tell whether each pair of records is of one seed."""
    return all(one.seed == other.seed for one, other in pairs)


def whole_names(names: Sequence[str]) -> list[str]:
    """Those metrics that are about all samples."""
    return [name for name in names if "[" not in name and ":" not in name]


def scorer_slices(found: SeedStatistics, metric: str) -> list[SliceDifference]:
    """Slices `METRIC[SLICE]` and classes `NAME:CLASS` that the task's scorer has told apart."""
    rows = []
    for name in found.names():
        kind = _kind_of(name, metric)
        a, b = found.of(name)
        if kind is None or _counted(a[0], b[0]) < LEAST_IN_A_SLICE:
            continue
        difference = found.difference(name)
        if difference is not None:
            part = name.partition("[")[2][:-1] if kind == SLICE else name.partition(":")[2]
            rows.append(SliceDifference(kind, part, difference))
    return rows


def task_slices(
    found: SeedStatistics, metric: str, slices: Mapping[str, Mapping[str, Sequence[int]]]
) -> list[SliceDifference]:
    """Parts that the task knows by its targets, scored by one metric; what is shared by all samples stays (an IDF)."""
    a, b = found.of(metric)
    rows = []
    for kind, parts in slices.items():
        for name, chosen in parts.items():
            places = np.array(sorted(chosen), dtype=np.int64)
            if len(places) < LEAST_IN_A_SLICE:
                continue
            cut_a, cut_b = ([slice_part(part, places) for part in side] for side in (a, b))
            difference = of_statistics(metric, cut_a, cut_b, same_seeds=found.same_seeds)
            if difference is not None:
                rows.append(SliceDifference(kind, name, difference))
    return rows


def perturbation_slices(
    pairs: Sequence[tuple[RunRecord, RunRecord]], stores: tuple[Store, Store]
) -> tuple[list[SliceDifference], list[str]]:
    """Differences under each condition that both models met, from what each sample contributes; and what is lacking."""
    sweeps = [tuple(s.find_robustness(r.task, r.fingerprint) for s, r in zip(stores, p, strict=True)) for p in pairs]
    if any(sweep is None for both in sweeps for sweep in both):
        return [], []
    both_known = [(a, b) for a, b in sweeps if a is not None and b is not None]
    if reason := next((reason for a, b in both_known if (reason := _unlike(a, b))), None):
        return [], [f"Perturbations are not compared: {reason}."]
    rows, lacking = [], 0
    for label, name in _conditions(both_known):
        scores = [
            tuple(read_scores(store, sweep, label) for store, sweep in zip(stores, both, strict=True))
            for both in both_known
        ]
        metric = both_known[0][0].metric
        sides = [
            [MeanStatistics(part.metrics[metric]) for both in scores if (part := both[side]) and metric in part.metrics]
            for side in (0, 1)
        ]
        if any(len(side) < len(pairs) for side in sides) or not _alike([part for both in scores for part in both]):
            lacking += 1
            continue
        a, b = ([_grouped(part, scores[0][0]) for part in side] for side in sides)
        difference = of_statistics(metric, a, b, same_seeds=same_seeds(pairs))
        if difference is not None:
            rows.append(SliceDifference(PERTURBATION, name, difference))
    notes = []
    if lacking:
        notes.append(
            f"{lacking} conditions have no stored scores of single samples (they were made before these were kept): "
            "bench run --perturb makes them."
        )
    return rows, notes


def adjusted(rows: Sequence[SliceDifference]) -> list[SliceDifference]:
    """Put the p of the whole table beside each (Benjamini & Hochberg 1995)."""
    known = [place for place, row in enumerate(rows) if row.difference.p is not None]
    ps = benjamini_hochberg([rows[place].difference.p or 0.0 for place in known])
    by_place = dict(zip(known, ps, strict=True))
    return [replace(row, adjusted=by_place.get(place)) for place, row in enumerate(rows)]


def require_finite_scores(scores: SampleScores, where: str) -> None:
    """Refuse stored scores that are no numbers: no difference could be trusted."""
    for metric, values in scores.metrics.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise DataError(
                f"{where}: {metric} of sample {scores.sample_ids[int(bad[0])]} is {values[bad[0]]}, and {len(bad)} of "
                f"{len(values)} are no numbers. Compute them anew with `bench rescore --write`, or run the cell again."
            )


def _counted(a: Statistics, b: Statistics) -> int:
    """How many samples have a score of their own by both models."""
    return int((~np.isnan(a.per_sample - b.per_sample)).sum())


def _kind_of(name: str, metric: str) -> str | None:
    base, bracket, _ = name.partition("[")
    if bracket and ":" not in base:
        return SLICE if base == metric else None
    return CLASS if ":" in name else None


def _grouped(statistics: Statistics, scores: SampleScores | None) -> Statistics:
    if scores is None or len(set(scores.clusters)) == len(scores.clusters):
        return statistics
    return GroupedStatistics(statistics, scores.clusters)


def _alike(scores: Sequence[SampleScores | None]) -> bool:
    return len({None if part is None else part.sample_ids for part in scores}) == 1


def _conditions(sweeps: Sequence[tuple[RobustnessRecord, RobustnessRecord]]) -> Iterator[tuple[str, str]]:
    """Label and name of each condition that all have met with success on the same pixels, clean left out."""
    every = [sweep for both in sweeps for sweep in both]
    done = [{(s.perturbation, s.severity): s for s in sweep.scores if s.status == "ok"} for sweep in every]
    for name, severity in done[0]:
        met = [each[name, severity] for each in done if (name, severity) in each]
        pixels = {score.notes.get("pixels_sha256") for score in met} - {None}
        if name != "clean" and len(met) == len(done) and len(pixels) <= 1:
            yield f"{name}-{severity}", f"{name} {severity}" if severity else name


def _unlike(a: RobustnessRecord, b: RobustnessRecord) -> str | None:
    for what in ("data_digest", "split", "limit", "shortest_px", "signature", "metric"):
        one, other = getattr(a, what), getattr(b, what)
        if one != other:
            return f"{what.replace('_', ' ')} {one} against {other}"
    return None

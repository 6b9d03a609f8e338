"""Changes of scores: paired over the samples that both sides answered, else from the two intervals, and it says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from harness.judge.check.change import ACCURACY, ROBUSTNESS, Change
from harness.judge.check.measured import OK, Measured
from harness.stats.difference import Difference, difference_of_estimates, paired_difference
from harness.stats.sample_scores import SampleScores

CLEAN_KEY = ""
NO_SAMPLE_DIFFERS = "no sample differs"

SeedPair = tuple[Measured, Measured]
"""A seed of a subject before and now."""


def accuracy_change(pairs: Sequence[SeedPair]) -> Change:
    """The ranking metric on clean samples, averaged over the seeds of both sides."""
    return _score_change(pairs, ACCURACY, [[CLEAN_KEY]] * len(pairs))


def robustness_changes(pairs: Sequence[SeedPair]) -> list[Change]:
    """The ranking metric averaged over the conditions that both sides were scored under; empty where there are none.

    Conditions that were scored before and are not now are a row of their own, which is missing.
    """
    wanted = [[c for c, status in before.conditions.items() if status == OK] for before, _ in pairs]
    shared = [[c for c in own if now.conditions.get(c) == OK] for (_, now), own in zip(pairs, wanted, strict=True)]
    lost = sorted({c for own, kept in zip(wanted, shared, strict=True) for c in own if c not in kept})
    changes = [_score_change(pairs, ROBUSTNESS, shared)] if any(shared) else []
    if lost:
        changes.append(_named(pairs, ROBUSTNESS, note=f"not scored now: {', '.join(lost)}", missing=True))
    return changes


def _score_change(pairs: Sequence[SeedPair], kind: str, parts: Sequence[Sequence[str]]) -> Change:
    by_seed = [
        [(before.scores.get(part), now.scores.get(part)) for part in labels]
        for (before, now), labels in zip(pairs, parts, strict=True)
    ]
    tables = [table for own in by_seed for table in own]
    metric = pairs[0][0].metric or ""
    known = [[_aligned(a, b, metric) for a, b in own if a is not None and b is not None] for own in by_seed]
    broken = [side for own in known for table in own for side in table if _not_numbers(side, metric)]
    if broken:
        count, of = sum(_not_numbers(side, metric) for side in broken), sum(len(side.sample_ids) for side in broken)
        note = f"{count} of {of} sample scores are NaN or infinite: run that cell again"
        return _named(pairs, kind, note=note, missing=True)
    if sum(map(len, known)) < len(tables):
        sides = [side for side, place in (("before", 0), ("now", 1)) if any(table[place] is None for table in tables)]
        return _from_intervals(pairs, kind, f"no sample scores {' and '.join(sides)}")
    if any(a.sample_ids != b.sample_ids for own in known for a, b in own):
        return _from_intervals(pairs, kind, "other samples")
    return _paired(pairs, kind, [own for own in known if own])


def _aligned(before: SampleScores, now: SampleScores, metric: str) -> tuple[SampleScores, SampleScores]:
    """Bring the samples of now into the order of before, where they are the same ones."""
    if before.sample_ids == now.sample_ids:
        return before, now
    places = {sample_id: place for place, sample_id in enumerate(now.sample_ids)}
    if len(places) < len(now.sample_ids) or sorted(places) != sorted(before.sample_ids):
        return before, now
    order = [places[sample_id] for sample_id in before.sample_ids]
    clusters = tuple(now.clusters[place] for place in order)
    return before, SampleScores(before.sample_ids, clusters, {metric: now.metrics[metric][order]})


def _not_numbers(table: SampleScores, metric: str) -> int:
    import numpy as np

    return int((~np.isfinite(table.metrics[metric])).sum())


def _paired(
    pairs: Sequence[SeedPair], kind: str, tables: Sequence[Sequence[tuple[SampleScores, SampleScores]]]
) -> Change:
    """The mean over all tables of all seeds, a seed's tables (conditions) taken together sample by sample."""
    import numpy as np

    clusters = {i: c for own in tables for a, _ in own for i, c in zip(a.sample_ids, a.clusters, strict=True)}
    place, count = {sample_id: n for n, sample_id in enumerate(clusters)}, sum(map(len, tables))
    sides = np.zeros((2, len(tables), len(place)))
    for seed, own in enumerate(tables):
        for both in own:
            rows = [place[sample_id] for sample_id in both[0].sample_ids]
            share = len(tables) * len(place) / count / len(rows)
            for side, table in enumerate(both):
                sides[side, seed, rows] += share * table.metrics[pairs[0][0].metric or ""]
    found = paired_difference(sides[0], sides[1], tuple(clusters.values()))
    note = found.note or (NO_SAMPLE_DIFFERS if found.alike else "")
    scores = (float(sides[0].mean()), float(sides[1].mean()))
    return replace(_named(pairs, kind, scores, found, note), alike=found.alike)


def _from_intervals(pairs: Sequence[SeedPair], kind: str, why: str) -> Change:
    """Compare as if the two sides had answered independent samples."""
    known = [(a.score, b.score) for a, b in pairs if a.score is not None and b.score is not None]
    if kind == ROBUSTNESS or len(known) < len(pairs):
        return _named(pairs, kind, note=f"not compared: {why}")
    sides = [[pair[side] for pair in known] for side in (0, 1)]
    found = difference_of_estimates((1.0, -1.0), sides)
    if found.note:
        return _named(pairs, kind, note=f"not compared: {found.note}")
    if not math.isfinite(found.value + found.error):
        return _named(pairs, kind, note="the score is not a finite number: run that cell again", missing=True)
    means = tuple(sum(estimate.value for estimate in side) / len(side) for side in sides)
    return _named(pairs, kind, (means[0], means[1]), found, f"unpaired: {why}")


def _named(
    pairs: Sequence[SeedPair],
    kind: str,
    sides: tuple[float | None, float | None] = (None, None),
    loss: Difference | None = None,
    note: str = "",
    missing: bool = False,
) -> Change:
    subject, metric = pairs[0][0].subject, pairs[0][0].metric or ""
    measure = metric if kind == ACCURACY else f"mean perturbed {metric}"
    value, p = (None, None) if loss is None else (loss.value, loss.p)
    low, high = (loss and loss.interval) or (None, None)
    return Change(subject.task, subject.label, kind, measure, *sides, value, low, high, p, note, missing)

"""Changes of scores: paired over the samples that both sides answered, else from the two intervals, and it says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from harness.judge.check.change import ACCURACY, ROBUSTNESS, Change
from harness.judge.check.measured import OK, Measured
from harness.stats.sample_scores import SampleScores
from harness.stats.seed_variance import without_interval

if TYPE_CHECKING:
    from harness.stats.intervals import FloatArray

_NORMAL = NormalDist()
_REACH = _NORMAL.inv_cdf(0.975)
CLEAN_KEY = ""

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
    tables = [
        (before.scores.get(part), now.scores.get(part))
        for (before, now), labels in zip(pairs, parts, strict=True)
        for part in labels
    ]
    metric = pairs[0][0].metric or ""
    known = [_aligned(a, b, metric) for a, b in tables if a is not None and b is not None]
    broken = [side for table in known for side in table if _not_numbers(side, metric)]
    if broken:
        count, of = sum(_not_numbers(side, metric) for side in broken), sum(len(side.sample_ids) for side in broken)
        note = f"{count} of {of} sample scores are NaN or infinite: run that cell again"
        return _named(pairs, kind, note=note, missing=True)
    if len(known) < len(tables):
        sides = [side for side, place in (("before", 0), ("now", 1)) if any(table[place] is None for table in tables)]
        return _from_intervals(pairs, kind, f"no sample scores {' and '.join(sides)}")
    if any(a.sample_ids != b.sample_ids for a, b in known):
        return _from_intervals(pairs, kind, "other samples")
    return _paired(pairs, kind, known)


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


def _paired(pairs: Sequence[SeedPair], kind: str, tables: Sequence[tuple[SampleScores, SampleScores]]) -> Change:
    """Each cluster's share in the loss, summed over seeds and conditions; signs are flipped by cluster."""
    import numpy as np

    from harness.stats.significance import cluster_sums, sign_flip_p

    metric = pairs[0][0].metric or ""
    shares: list[FloatArray] = []
    clusters: list[str] = []
    values = [(a.metrics[metric], b.metrics[metric]) for a, b in tables]
    for (table, _), (before, now) in zip(tables, values, strict=True):
        shares.append((before - now) / len(before) / len(tables))
        clusters += table.clusters
    losses = cluster_sums(np.concatenate(shares), clusters)
    loss = float(losses.sum())
    centred = losses - losses.mean()
    reach = _REACH * math.sqrt(float((centred**2).sum()))
    before_mean, now_mean = (float(np.mean([side[place].mean() for side in values])) for place in (0, 1))
    return _named(pairs, kind, (before_mean, now_mean), (loss, loss - reach, loss + reach), sign_flip_p(losses))


def _from_intervals(pairs: Sequence[SeedPair], kind: str, why: str) -> Change:
    """Compare as if the two sides had answered independent samples."""
    scores = [(before.score, now.score) for before, now in pairs]
    if kind == ROBUSTNESS or any(a is None or b is None for a, b in scores):
        return _named(pairs, kind, note=f"not compared: {why}")
    known = [(a, b) for a, b in scores if a is not None and b is not None]
    if reason := without_interval([side for pair in known for side in pair]):
        return _named(pairs, kind, note=f"not compared: {reason}")
    before, now = (sum(side[place].value for side in known) / len(known) for place in (0, 1))
    loss = before - now
    # All seeds answer the same samples, so their errors do not average out.
    ends = [(a.value, a.drawn, b.value, b.drawn) for a, b in known]
    up = sum(math.hypot(a_ends[1] - a, b - b_ends[0]) for a, a_ends, b, b_ends in ends) / len(known)
    down = sum(math.hypot(a - a_ends[0], b_ends[1] - b) for a, a_ends, b, b_ends in ends) / len(known)
    error = max(up, down) / _REACH
    if not math.isfinite(loss + error):
        return _named(pairs, kind, note="the score is not a finite number: run that cell again", missing=True)
    p = 2 * _NORMAL.cdf(-abs(loss) / error) if error > 0 else float(loss == 0)
    return _named(pairs, kind, (before, now), (loss, loss - down, loss + up), p, note=f"unpaired: {why}")


def _named(
    pairs: Sequence[SeedPair],
    kind: str,
    sides: tuple[float | None, float | None] = (None, None),
    loss: tuple[float | None, float | None, float | None] = (None, None, None),
    p: float | None = None,
    note: str = "",
    missing: bool = False,
) -> Change:
    subject, metric = pairs[0][0].subject, pairs[0][0].metric or ""
    measure = metric if kind == ACCURACY else f"mean perturbed {metric}"
    return Change(subject.task, subject.label, kind, measure, *sides, *loss, p, note, missing)

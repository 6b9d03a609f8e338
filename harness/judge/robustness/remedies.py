"""What a remedy of training buys under corruption, and what it costs in the clean score: a model with and without it.

Both answer the same samples with the same seeds, so differences are paired, with intervals over seeds and samples
(`harness.stats.difference`). The ratio is the gain under corruption for each point of the clean score that is lost;
where none is lost there is none. Its interval is linear in the samples drawn, as that of MMI, and is given only where
the loss is told apart from 0: elsewhere any ratio may be true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.cell import TrainOptions
from harness.condition import SHIFT
from harness.judge.robustness.cells import CLEAN_NAME
from harness.judge.robustness.row import RemedyGain, RobustnessRow
from harness.judge.verdict.comparison import Term, decidable, sample_values
from harness.judge.verdict.evidence import Group, ReadScores
from harness.judge.verdict.settings import REMEDIES, record_settings_of, unmatched
from harness.record import RunRecord
from harness.stats.difference import Difference, weighted_difference
from harness.stats.propagation import Figure, absent
from harness.stats.resampling import FloatArray

_AGAINST_FRAGILITY = ("augment", "dropout", "patience")
_NO_CORRUPTION = (SHIFT, "modality", "attack")
"""Families whose conditions have other samples, take the input away, or aim at the model."""
_STORED = "scores of the same samples are not stored for both"
_ACQUIRE, _RANDOM = "train.acquire", "random"
NOT_LOST = "no clean score lost"


@dataclass(frozen=True)
class _Trained:
    """A row with what was told to its training: its remedies, and all else."""

    row: RobustnessRow
    group: Group
    remedies: Mapping[str, object]
    rest: Mapping[str, object]


def with_gains(rows: Sequence[RobustnessRow], runs: Sequence[RunRecord], read: ReadScores) -> list[RobustnessRow]:
    """Put beside each row of a model with a remedy what it gains over the same model without it, where that is there.

    Of several that lack some of its remedies the one with the fewest counts; of a rule that acquires labels, the same
    model with as many labels acquired at random.
    """
    by_name = {run.fingerprint: run for run in runs}
    trained = [_trained(row, by_name) for row in rows]
    found = []
    for row, own in zip(rows, trained, strict=True):
        plain = None if own is None else _without(own, [other for other in trained if other is not None])
        found.append(row if own is None or plain is None else replace(row, remedy=_gain(own, plain, read)))
    return found


def _trained(row: RobustnessRow, runs: Mapping[str, RunRecord]) -> _Trained | None:
    """None where the run of a row is not stored: nobody can say what it was told."""
    records = tuple(runs[name] for name in row.fingerprints if name in runs)
    if not records or "train" not in records[0].cell.get("training", {}):
        return None
    settings = record_settings_of(records[0])
    plain = {f"train.{name}": getattr(TrainOptions(), name) for name in (*_AGAINST_FRAGILITY, *REMEDIES)}
    told = {name: value for name, former in plain.items() if (value := settings.get(name, former)) != former}
    rest = {
        name: value
        for name, value in settings.items()
        if name not in (*plain, "train.adversarial_steps", "train.acquire_rounds")
    }
    return _Trained(row, Group(row.model, row.control, records), told, rest)


def _without(own: _Trained, others: Sequence[_Trained]) -> _Trained | None:
    fits = [other for other in others if other is not own and _is_without(own, other)]
    fewest = [(len(_without_random(own, other)), _ACQUIRE not in other.remedies, n) for n, other in enumerate(fits)]
    return fits[min(fewest)[-1]] if fits else None


def _is_without(own: _Trained, other: _Trained) -> bool:
    same = (own.row.scope, own.row.model, own.row.control) == (other.row.scope, other.row.model, other.row.control)
    fewer = _without_random(own, other).items() < own.remedies.items()
    return same and fewer and _told_alike(own.rest, other.rest) and not unmatched(own.rest, other.rest)


def _without_random(own: _Trained, other: _Trained) -> Mapping[str, object]:
    """The remedies of the other; beside a rule of acquisition, labels acquired at random are none."""
    rule = own.remedies.get(_ACQUIRE)
    return {
        name: value for name, value in other.remedies.items() if rule is None or (name, value) != (_ACQUIRE, _RANDOM)
    }


def _told_alike(first: Mapping[str, object], second: Mapping[str, object]) -> bool:
    """Whether two were told the same; versions aside, of which one may have those that its remedies draw in."""
    names = {name for name in (*first, *second) if not name.startswith("versions.")}
    return all(first.get(name) == second.get(name) for name in names)


def _gain(own: _Trained, plain: _Trained, read: ReadScores) -> RemedyGain:
    name = ", ".join(_told(*each) for each in own.remedies.items() if each not in plain.remedies.items())
    shared = {c.perturbation: c.family for c in own.row.conditions if c.family not in _NO_CORRUPTION}
    cells = sorted(cell for cell in _scored(own.row) & _scored(plain.row) if cell[0] in shared)
    seeds = sorted(own.group.by_seed.keys() & plain.group.by_seed.keys())
    found = RemedyGain(
        name, plain.row.name, tuple(seeds), len(cells), absent(_STORED), absent(_STORED), absent(_STORED)
    )
    if not seeds or not cells:
        gap = absent("no seed in common" if not seeds else "no condition in common")
        return replace(found, clean=gap, corrupted=gap, ratio=gap)
    terms = [(1.0, own.group), (-1.0, plain.group)]
    values = _values(read, own.row.scope.metric, terms, seeds, cells)
    if values is None:
        return found
    clean, corrupted, clusters = values
    lost, won = (weighted_difference((1, -1), list(each), clusters) for each in (clean, corrupted))
    return replace(found, clean=_figure(lost), corrupted=_figure(won), ratio=_ratio(clean, corrupted, lost, clusters))


def _scored(row: RobustnessRow) -> set[tuple[str, int]]:
    return {(c.perturbation, c.severity) for c in row.conditions if c.score.value is not None}


def _values(
    read: ReadScores, metric: str, terms: Sequence[Term], seeds: Sequence[int], cells: Sequence[tuple[str, int]]
) -> tuple[FloatArray, FloatArray, tuple[str, ...]] | None:
    """Contributions `[2, seeds, samples]`, clean and as the mean over conditions; None where any is not stored."""
    clean = sample_values(read, metric, terms, seeds, f"{CLEAN_NAME}-0")
    if clean is None:
        return None
    total = np.zeros_like(clean.values)
    for name, severity in cells:
        found = sample_values(read, metric, terms, seeds, f"{name}-{severity}")
        if found is None or found.clusters != clean.clusters:
            return None
        total += found.values
    return clean.values, total / len(cells), clean.clusters


def _ratio(clean: FloatArray, corrupted: FloatArray, lost: Difference, clusters: Sequence[str]) -> Figure:
    if lost.value >= 0:
        return absent(NOT_LOST)
    loss, gain = clean[1] - clean[0], corrupted[0] - corrupted[1]
    value = float(gain.mean() / loss.mean())
    if not isinstance(decidable(lost), Difference) or lost.high >= 0:
        return Figure(value, reason="the loss of clean score is not told apart from none")
    linear = value + (gain - value * loss) / loss.mean()
    found = weighted_difference((1.0,), (linear,), clusters)
    return Figure(value, *(found.interval or (None, None)))


def _figure(found: Difference) -> Figure:
    shown = decidable(found)
    if isinstance(shown, str):
        return Figure(found.value, reason=shown)
    return Figure(found.value, shown.low, shown.high)


def _told(option: str, value: object) -> str:
    return f"{option.removeprefix('train.')}={value if isinstance(value, str) else f'{value:g}'}"

"""Robustness records -> scores by row and condition, seeds taken together, of sweeps that can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.record import Estimate, PerturbedScore, RobustnessRecord
from harness.report.page.entries import Board, Entry
from harness.report.tables.table import unique
from harness.stats.seed_variance import combine_seeds

CLEAN_LABEL = "clean"
MODALITY_PARTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "image": ("Image corruptions", ("noise", "blur", "weather", "digital", "extra")),
    "text": ("Text", ("character", "word", "sentence")),
    "geometry": ("Geometry", ("geometry",)),
    "joint": ("Image and text together", ("joint",)),
    "shift": ("Natural shifts", ("shift",)),
    "modality": ("Modality use", ("modality",)),
    "attack": ("Attacks", ("attack",)),
}
"""Families that stand in one heat map; a family that is not here has one of its own."""


@dataclass(frozen=True)
class Answer:
    """How a row scores under a condition; `estimate` is None where it failed, was skipped or has no score."""

    status: str
    error: str | None
    estimate: Estimate | None
    metrics: Mapping[str, Estimate | None]
    notes: Mapping[str, Any]


@dataclass(frozen=True)
class SweepKind:
    """A perturbation, with its family and the severities at which it was applied."""

    name: str
    family: str
    modality: str
    severities: tuple[int, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its conditions."""
        return tuple(sweep_label_of(self.name, severity) for severity in self.severities)

    @property
    def part(self) -> str:
        """The heat map that it stands in."""
        return next((part for part, (_, families) in MODALITY_PARTS.items() if self.family in families), self.family)


@dataclass(frozen=True)
class Sweep:
    """Rows perturbed in the same way: same scoring, same number of samples, same canvas."""

    metric: str
    chance: float
    limit: int | None
    shortest_px: int
    entries: tuple[Entry, ...]
    kinds: tuple[SweepKind, ...]
    answers: Mapping[str, Mapping[str, Answer]]
    """By id of the row, then by label of the condition; a condition that was never run is not there."""

    def clean(self, entry: Entry) -> Estimate | None:
        """The row's score on the same samples unperturbed."""
        answer = self.answers[entry.key].get(CLEAN_LABEL)
        return answer.estimate if answer else None

    def estimates(self, entry: Entry, labels: Sequence[str]) -> list[Estimate] | None:
        """The row's scores under all of these conditions, None where one is missing."""
        found = [self.answers[entry.key].get(label) for label in labels]
        values = [answer.estimate for answer in found if answer is not None and answer.estimate is not None]
        return values if values and len(values) == len(labels) else None


def sweep_label_of(perturbation: str, severity: int) -> str:
    """Name a condition: fog-3, or shift-style, which has no severity."""
    return f"{perturbation}-{severity}" if severity else perturbation


def build_robustness(board: Board, records: Sequence[RobustnessRecord]) -> list[Sweep]:
    """Gather the robustness records of a board's rows; those that cannot be compared are sweeps of their own."""
    by_fingerprint = {record.fingerprint: record for record in records}
    groups: dict[tuple[Any, ...], dict[str, list[RobustnessRecord]]] = {}
    for entry in board.entries:
        for fingerprint in entry.row.fingerprints:
            record = by_fingerprint.get(fingerprint)
            if record is not None:
                key = (record.metric, record.signature, record.limit, record.shortest_px)
                groups.setdefault(key, {}).setdefault(entry.key, []).append(record)
    return [_sweep(board, members) for members in groups.values()]


def _sweep(board: Board, members: Mapping[str, Sequence[RobustnessRecord]]) -> Sweep:
    entries = tuple(entry for entry in board.entries if entry.key in members)
    some = next(iter(members.values()))[-1]
    members = {key: [_distinct(record) for record in records] for key, records in members.items()}
    scores = [score for records in members.values() for record in records for score in record.scores]
    answers = {key: _answers(records, some.metric) for key, records in members.items()}
    return Sweep(some.metric, some.chance, some.limit, some.shortest_px, entries, _kinds(scores), answers)


def _distinct(record: RobustnessRecord) -> RobustnessRecord:
    """Keep apart joint conditions of one name and one greatest severity, such as a:1+b:3 and a:3+b:3."""
    seen: dict[tuple[str, int], int] = {}
    scores = []
    for score in record.scores:
        times = seen[score.perturbation, score.severity] = seen.get((score.perturbation, score.severity), 0) + 1
        scores.append(score if times == 1 else replace(score, perturbation=f"{score.perturbation} ({times})"))
    return replace(record, scores=tuple(scores))


def _kinds(scores: Sequence[PerturbedScore]) -> tuple[SweepKind, ...]:
    """List what was done, families in the order of `PARTS`."""
    first = {score.perturbation: score for score in reversed(scores) if score.perturbation != CLEAN_LABEL}
    severities = {n: sorted({s.severity for s in scores if s.perturbation == n}) for n in first}
    kinds = [SweepKind(n, _family(s), s.modality, tuple(severities[n])) for n, s in first.items()]
    families = [family for _, of_part in MODALITY_PARTS.values() for family in of_part]
    families += unique([kind.family for kind in kinds if kind.family not in families])
    seen = unique([score.perturbation for score in scores])
    return tuple(sorted(kinds, key=lambda kind: (families.index(kind.family), seen.index(kind.name))))


def _family(score: PerturbedScore) -> str:
    return "joint" if "+" in score.perturbation else score.family


def _answers(records: Sequence[RobustnessRecord], metric: str) -> dict[str, Answer]:
    """Take seeds together; a condition that one seed lacks has no score, and says why."""
    by_label: dict[str, list[PerturbedScore]] = {}
    for record in records:
        for score in record.scores:
            by_label.setdefault(sweep_label_of(score.perturbation, score.severity), []).append(score)
    return {label: _answer(scores, metric, len(records)) for label, scores in by_label.items()}


def _answer(scores: Sequence[PerturbedScore], metric: str, seeds: int) -> Answer:
    bad = next((score for score in scores if score.status != "ok"), None)
    if bad is not None:
        return Answer(bad.status, bad.error, None, {}, bad.notes)
    if len(scores) < seeds:
        return Answer("failed", f"only {len(scores)} of {seeds} seeds were perturbed so", None, {}, scores[-1].notes)
    names = unique([name for score in scores for name in score.metrics])
    combined: dict[str, Estimate | None] = {}
    for name in names:
        present = [e for e in (score.metrics.get(name) for score in scores) if e is not None]
        combined[name] = combine_seeds(present) if len(present) == len(scores) else None
    return Answer("ok", None, combined.get(metric), combined, scores[-1].notes)
